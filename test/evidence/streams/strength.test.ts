// Each property that makes a stream weaker than `fleet init` makes it is named with its value and with what it must be; nothing else is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, type StreamConfig } from '../../../src/evidence/streams/made.js';
import {
  describeFill,
  describeWeakness,
  judgeCompression,
  judgeShare,
  judgeStrength,
  leastShareMiB,
  maxBytesOf,
  maxMessagesOf,
  type Strength,
  strengthOf,
  strongest,
  type WantedStream,
} from '../../../src/evidence/streams/strength.js';
import { bounds } from '../../../src/host/bounds/bounds.js';

const hourNs = 3_600_000_000_000;
const dayMs = 86_400_000;
const gib = 1024 ** 3;
const wanted: WantedStream = {
  subjects: ['dovegate.audit.>', 'dovegate.fleet.checkpoint'],
  replicas: 3,
  keepMs: 400 * dayMs,
  isExact: false,
  maxBytes: 400 * gib,
};
/** As a server of 2.10 describes what `init` made. */
const made: StreamConfig = {
  name: 'DOVEGATE_AUDIT',
  subjects: ['dovegate.audit.>', 'dovegate.fleet.checkpoint'],
  retention: 'limits',
  max_consumers: -1,
  max_msgs: -1,
  max_bytes: 400 * gib,
  max_age: 400 * 24 * hourNs,
  max_msgs_per_subject: -1,
  max_msg_size: -1,
  discard: 'new',
  storage: 'file',
  num_replicas: 3,
  duplicate_window: hourNs / 30,
  compression: 's2',
  allow_direct: true,
  mirror_direct: false,
  sealed: false,
  deny_delete: true,
  deny_purge: true,
  allow_rollup_hdrs: false,
  consumer_limits: {},
};
const asked: Strength = { replicas: 3, maxAgeMs: 400 * dayMs };

/** What is said of a stream that differs in these. */
function said(change: StreamConfig, before?: Strength, more: Partial<WantedStream> = {}): readonly string[] {
  return judgeStrength({ ...made, ...change }, { ...wanted, ...more }, before).map(({ text }) => text);
}

void test('a stream as init makes it, or a stronger one, is not weak', () => {
  assert.deepEqual(said({}), []);
  assert.deepEqual(said({}, asked), []);
  const stronger = {
    num_replicas: 5,
    max_age: 0,
    max_bytes: -1,
    duplicate_window: hourNs,
    subjects: ['dovegate.>'],
    allow_atomic: true,
    mirror: null,
    sources: [],
    metadata: { team: 'audit' },
  };
  assert.deepEqual(said(stronger, asked), []);
});

void test('a stream without compression is no weaker; init changes it where the server knows how', () => {
  assert.deepEqual(said({ compression: 'none' }), []);
  // nats-server 2.9 does not say.
  assert.equal(judgeCompression({}), undefined);
  assert.equal(
    judgeCompression(configOf('S', { replicas: 1, maxAgeMs: 0, maxBytes: 1, subjects: [] })),
    undefined,
  );
  assert.deepEqual(judgeCompression({ ...made, compression: 'none' }), {
    property: 'compression',
    text: 'compression is "none", must be "s2" (the records take more of the server\'s disk)',
    repair: 's2',
  });
});

const weak: readonly (readonly [StreamConfig, string])[] = [
  [{ max_age: hourNs }, 'max_age is 1h, must be 400d (keep)'],
  [{ max_age: 1 }, 'max_age is 1ms, must be 400d (keep)'],
  [{ discard: 'old' }, 'discard is "old" (a full stream removes the oldest records), must be "new"'],
  [
    { max_msgs_per_subject: 7 },
    'max_msgs_per_subject is 7 (the oldest records of a gate go), must be without limit',
  ],
  [{ retention: 'interest' }, 'retention is "interest" (records go when they were read), must be "limits"'],
  [{ storage: 'memory' }, 'storage is "memory" (a restart of the server loses all records), must be "file"'],
  [{ deny_delete: false }, 'deny_delete is off (records can be deleted), must be on'],
  [{ deny_purge: undefined }, 'deny_purge is off (the stream can be purged), must be on'],
  [{ allow_direct: false }, 'allow_direct is off (gates cannot ask for their last message), must be on'],
  [{ duplicate_window: 0 }, 'duplicate_window is 0s, must be 2m'],
  [{ duplicate_window: 1_000_000_000 }, 'duplicate_window is 1s, must be 2m'],
  [
    { max_bytes: 400 * gib - 1 },
    `max_bytes is ${400 * gib - 1} (a lower limit removes the oldest records), must be ${400 * gib}`,
  ],
  [{ max_msgs: 1 }, 'max_msgs is 1 (a lower limit removes the oldest records), must be 838860800'],
  [{ max_msg_size: 10 }, 'max_msg_size is 10 (larger messages are refused), must be 1048576'],
  [
    { republish: { src: '>', dest: 'x.>' } },
    'republish is on (every record also goes to another subject), must be off',
  ],
  [{ num_replicas: 1 }, 'num_replicas is 1, must be 3 (replicas)'],
  [
    { subjects: ['dovegate.audit.gate1.*'] },
    'subjects is "dovegate.audit.gate1.*", must be with "dovegate.audit.>", "dovegate.fleet.checkpoint"',
  ],
  [
    { allow_rollup_hdrs: true },
    'allow_rollup_hdrs is on (one message can replace all before it), must be off',
  ],
  [{ allow_msg_ttl: true }, 'allow_msg_ttl is on (a message can end its own life), must be off'],
  [
    { allow_msg_schedules: true },
    'allow_msg_schedules is on (a gate can have the server write for another gate), must be off',
  ],
  [{ allow_msg_counter: true }, 'allow_msg_counter is on (the stream takes numbers only), must be off'],
  [
    { discard_new_per_subject: true },
    'discard_new_per_subject is on (a limit that init does not set), must be off',
  ],
  [{ no_ack: true }, 'no_ack is on (gates get no acknowledgement), must be off'],
  [{ sealed: true }, 'sealed is on (the stream takes no more records), must be off'],
  [{ mirror: { name: 'X' } }, 'mirror is on (it is a copy of another stream), must be off'],
  [{ sources: [{ name: 'X' }] }, 'sources is on (another stream writes into it), must be off'],
  [
    { subject_transform: { src: '>', dest: 'x' } },
    'subject_transform is on (records get another subject), must be off',
  ],
  [
    { persist_mode: 'async' },
    'persist_mode is "async" (records are acknowledged before they are written), must be "default"',
  ],
];

void test('each weak property is named, with its value and with what it must be', () => {
  for (const [change, text] of weak) assert.deepEqual(said(change), [text]);
  // All at once: each is named, and the text stays one sentence.
  const all: StreamConfig = Object.assign({}, ...weak.map(([change]) => change));
  assert.equal(said(all).length, new Set(weak.map(([change]) => Object.keys(change)[0])).size);
});

void test('a limit above the share is lowered only where the stream keeps a fifth of it free', () => {
  const share = 10 << 20;
  const judge = (bytes: number, messages: number, change: StreamConfig = {}) =>
    judgeShare({ ...made, max_msgs: maxMessagesOf(share), ...change }, { bytes, messages }, share).map(
      ({ property, is, must, repair }) => [property, is, must, repair],
    );
  const above = ['max_bytes', 400 * gib, share];
  assert.deepEqual(judge(8 << 20, 1), [[...above, share]]);
  assert.deepEqual(judge((8 << 20) + 1, 1), [[...above, undefined]]);
  assert.deepEqual(judge(1, 16_385), [[...above, undefined]], 'both limits are of one share');
  // What a server does not say is no reason to lower a limit.
  assert.deepEqual(judge(Number.NaN, 1), [[...above, undefined]]);
  assert.deepEqual(judge(9 << 20, 1, { max_bytes: share }), []);
  const countless = { max_bytes: share, max_msgs: -1 };
  assert.deepEqual(judge(0, 16_384, countless), [['max_msgs', 0, 20_480, 20_480]]);
  assert.deepEqual(judge(0, 16_385, countless), [['max_msgs', 0, 20_480, undefined]]);
  for (const held of [
    { bytes: (8 << 20) + 1, messages: 1 },
    { bytes: 1, messages: 16_385 },
  ]) {
    assert.equal(leastShareMiB(held), 11);
    const enough = judgeShare({ max_bytes: -1, max_msgs: -1 }, held, leastShareMiB(held) << 20);
    assert.ok(enough.every(({ repair }) => repair !== undefined));
  }
});

void test('what the settings do not demand is compared with what was there before', () => {
  const free = { replicas: 1, keepMs: 30 * dayMs, maxBytes: undefined };
  assert.deepEqual(said({ num_replicas: 1, max_age: 30 * 24 * hourNs, max_bytes: gib }, undefined, free), []);
  assert.deepEqual(said({ num_replicas: 1, max_age: 30 * 24 * hourNs, max_bytes: gib }, asked, free), [
    'max_age is 30d and was 400d (keep)',
    'num_replicas is 1 and was 3 (replicas)',
  ]);
  const forEver = { ...asked, maxAgeMs: 0 };
  assert.deepEqual(said({}, forEver), ['max_age is 400d and was without limit (keep)']);
  // What is less than the settings demand is said once.
  assert.deepEqual(said({ num_replicas: 1 }, asked), ['num_replicas is 1, must be 3 (replicas)']);
});

void test('the strongest of two is remembered, as whole numbers, whatever a server says', () => {
  assert.deepEqual(strengthOf(made), asked);
  const odd = { num_replicas: 1.5, max_age: 1e300, max_bytes: 1e300 };
  const { replicas, maxAgeMs } = strengthOf(odd);
  for (const value of [replicas, maxAgeMs, maxBytesOf(odd)])
    assert.ok(Number.isSafeInteger(value), String(value));
  assert.deepEqual(strengthOf({ num_replicas: 'x', max_age: -1 }), { replicas: 0, maxAgeMs: 0 });
  const other = { replicas: 5, maxAgeMs: dayMs };
  assert.deepEqual(strongest(asked, other), { replicas: 5, maxAgeMs: 400 * dayMs });
});

void test('the sentence says how to repair what can be repaired, and what a person must decide', () => {
  const describe = (change: StreamConfig, before?: Strength): string =>
    describeWeakness('S', judgeStrength({ ...made, ...change }, wanted, before));
  assert.match(
    describe({ discard: 'old' }),
    /^the stream S is weaker than it must be: discard is .*init --repair$/,
  );
  assert.doesNotMatch(describe({ storage: 'memory' }), /--repair/);
  assert.match(describe({ storage: 'memory' }), /needs another stream$/);
  assert.match(describe({}, { ...asked, replicas: 5 }), /num_replicas is 3 and was 5 .*verify --accept/);
});

void test('a stream that fills, and one that is full: what its gate does, and what gives room', () => {
  const of = (bytes: number, maxBytes?: number): string | undefined =>
    describeFill({ stream: 'S', bytes, maxBytes });
  const advice =
    'Raise share (of the host, or of all) or max_size, and max_file of each server where that is less than all shares together, and run "dovegate audit fleet init --repair"; or shorten keep';
  const mib = 1 << 20;
  assert.deepEqual(
    [of(799 * mib, 1000 * mib), of(800 * mib, 1000 * mib), of(990 * mib, 1000 * mib), of(5)],
    [
      undefined,
      `the stream S is 80 % full; when it is full, its gate waits. ${advice}`,
      `the stream S is full, and its gate waits. ${advice}`,
      undefined,
    ],
  );
  // A share of four blocks: with three, and their headers, there is no room for another one.
  assert.equal(of(3 * bounds.natsBatchBytes, mib), undefined);
  assert.equal(
    of(3 * bounds.natsBatchBytes + 600, mib),
    `the stream S is full, and its gate waits. ${advice}`,
  );
});

// bounds.fleetWordChars, bounds.fleetSubjectsShown
void test('a server cannot make the sentence long, nor put control characters into it', () => {
  const [subject, word] = ['s'.repeat(100), `\u001b[2J${'x'.repeat(10_000)}`];
  const [subjects = '', discard = ''] = said({ subjects: Array(1000).fill(subject), discard: word });
  const shown = Array(bounds.fleetSubjectsShown)
    .fill(`"${'s'.repeat(bounds.fleetWordChars)}"`)
    .join(', ');
  assert.ok(subjects.startsWith(`subjects is ${shown}, must be `), subjects);
  assert.ok(discard.startsWith(`discard is "\\x1b[2J${'x'.repeat(bounds.fleetWordChars - 4)}" (`), discard);
});
