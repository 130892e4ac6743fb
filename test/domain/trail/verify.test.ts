// What an intruder or a disk can do to a trail, and what verifying says about it: kind, file, line and seq, each in a table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { encodeBody, encodeRecord } from '../../../src/domain/audit/encode.js';
import { Ledger, makeSignKey } from '../../../src/domain/audit/ledger.js';
import { formatTime, type JournalRecord, type OwnRecord } from '../../../src/domain/audit/record.js';
import { createCheckpointVerifier } from '../../../src/domain/trail/checkpoints.js';
import { createVerifier, type Verdict } from '../../../src/domain/trail/verify.js';
import {
  forge,
  key,
  makeTrail,
  nameOf,
  type PaperTrail,
  rehash,
  seal,
  started,
  verify,
} from './paper-trail.js';

/** [kind, file, line, seq] of every fault. */
type Told = readonly (readonly [string, string, number, number | undefined])[];

function told(trail: PaperTrail, more?: Parameters<typeof verify>[1]): Told {
  return verify(trail, more).faults.map(({ kind, file, line, seq }) => [kind, file, line, seq]);
}

/** The lines of the second segment: a checkpoint (seq 11), four exchanges (12 to 19), a checkpoint (20). */
function second(trail: PaperTrail): string[] {
  return trail.segments[1]?.lines ?? [];
}

function swap(lines: string[], at: number): void {
  const [one = '', other = ''] = lines.slice(at, at + 2);
  lines.splice(at, 2, other, one);
}

void test('an untouched trail is whole, and its signature reaches to its last checkpoint', () => {
  const verdict = verify(makeTrail());
  assert.deepEqual(verdict.faults, []);
  assert.deepEqual(
    [verdict.records, verdict.firstSeq, verdict.lastSeq, verdict.signedSeq, verdict.openCount],
    [30, 1, 30, 30, 0],
  );
  assert.deepEqual([verdict.keys, verdict.isTorn, verdict.isNewer], [[key.key], false, false]);
  assert.deepEqual(
    told(makeTrail(false), { trustedKeys: [] }),
    [],
    'without signatures, when nobody asks for them',
  );
});

/** Changes the text of line 4 of the second segment. */
function inLine4(from: string | RegExp, to: string): (trail: PaperTrail) => void {
  return (trail) => {
    second(trail)[3] = (second(trail)[3] ?? '').replace(from, to);
  };
}

const tampering: readonly [string, (trail: PaperTrail) => void, Told][] = [
  ['a byte flipped in a value', inLine4('alice', 'alicf'), [['changed', nameOf(2), 4, 14]]],
  ['a byte flipped in seq', inLine4('"seq":14', '"seq":15'), [['changed', nameOf(2), 4, 14]]],
  ['a byte flipped in prev', inLine4(/"prev":"./, '"prev":"x'), [['changed', nameOf(2), 4, 14]]],
  ['a byte flipped in hash', inLine4(/"hash":"./, '"hash":"x'), [['changed', nameOf(2), 4, 14]]],
  ['a byte flipped in the form of the line', inLine4('{"seq"', '["seq"'), [['malformed', nameOf(2), 4, 14]]],
  [
    'a record changed and hashed again',
    (trail) => {
      const lines = second(trail);
      lines[3] = forge(lines[3] ?? '', (record) => {
        record['user'] = 'mallory@example.com';
      });
    },
    [['unlinked', nameOf(2), 5, 15]],
  ],
  ['a record deleted', (trail) => second(trail).splice(3, 1), [['missing', nameOf(2), 4, 14]]],
  ['three records deleted', (trail) => second(trail).splice(3, 3), [['missing', nameOf(2), 4, 14]]],
  [
    'the first record of a segment deleted',
    (trail) => second(trail).shift(),
    [['missing', nameOf(2), 1, 11]],
  ],
  [
    'the last record of a segment deleted',
    (trail) => trail.segments[0]?.lines.pop(),
    [['missing', nameOf(2), 1, 10]],
  ],
  [
    'a record inserted that claims a place',
    (trail) => {
      const lines = second(trail);
      const forged = forge(lines[3] ?? '', (record) => {
        record['user'] = 'mallory@example.com';
      });
      lines.splice(3, 0, forged);
    },
    [['inserted', nameOf(2), 5, 14]],
  ],
  [
    'garbage inserted',
    (trail) => second(trail).splice(3, 0, '{"seq":14,"user":"mallory"}'),
    [['malformed', nameOf(2), 4, 14]],
  ],
  ['two records swapped', (trail) => swap(second(trail), 3), [['reordered', nameOf(2), 4, 14]]],
  [
    'a record moved to another segment',
    (trail) => {
      const [moved = ''] = second(trail).splice(3, 1);
      trail.segments[2]?.lines.splice(4, 0, moved);
    },
    [['reordered', nameOf(2), 4, 14]],
  ],
  [
    'a record duplicated',
    (trail) => second(trail).splice(3, 0, second(trail)[3] ?? ''),
    [['duplicated', nameOf(2), 5, 14]],
  ],
  [
    'an old record put in again elsewhere',
    (trail) => second(trail).splice(6, 0, second(trail)[2] ?? ''),
    [['duplicated', nameOf(2), 7, 13]],
  ],
  ['the first segment removed', (trail) => trail.segments.shift(), [['segment-missing', nameOf(1), 0, 10]]],
  [
    'a middle segment removed',
    (trail) => trail.segments.splice(1, 1),
    [['segment-missing', nameOf(3), 1, 11]],
  ],
  ['the last segment removed', (trail) => trail.segments.pop(), [['cut', nameOf(2), 10, 21]]],
  [
    'all but the last segment removed',
    (trail) => trail.segments.splice(0, 2),
    [['segment-missing', nameOf(2), 0, 20]],
  ],
  [
    'two segments swapped',
    (trail) => {
      const [one, other] = trail.segments;
      if (one !== undefined && other !== undefined) [one.lines, other.lines] = [other.lines, one.lines];
    },
    [
      ['segment-missing', nameOf(1), 0, 10],
      ['reordered', nameOf(2), 1, 1],
      ['missing', nameOf(3), 1, 11],
    ],
  ],
  [
    'the tail cut, with its checkpoint',
    (trail) => {
      const last = trail.segments[2];
      if (last !== undefined) last.lines = last.lines.slice(0, 5);
    },
    [['cut', nameOf(3), 5, 26]],
  ],
  [
    'everything removed',
    (trail) => {
      trail.segments = [];
    },
    [
      ['cut', '', 0, 1],
      ['untrusted', '', 0, undefined],
    ],
  ],
  [
    'the end rewritten with a right chain, without a key',
    (trail) => {
      const lines = second(trail);
      lines[3] = (lines[3] ?? '').replace('alice', 'mallory');
      rehash(trail, 1, 3);
    },
    // A signature that was copied is not right any more for the record that it stands in.
    [
      ['bad-signature', nameOf(2), 10, 20],
      ['bad-signature', nameOf(3), 1, 21],
      ['bad-signature', nameOf(3), 10, 30],
      ['rewritten', nameOf(3), 10, 30],
    ],
  ],
  [
    'the end rewritten, and signatures left out',
    (trail) => {
      const lines = second(trail);
      lines[3] = (lines[3] ?? '').replace('alice', 'mallory');
      for (const { lines: all } of trail.segments.slice(1)) {
        for (const [at, line] of all.entries())
          all[at] = line.replace(/"key":"[^"]*","signature":"[^"]*",/, '');
      }
      rehash(trail, 1, 0);
    },
    [
      ['untrusted', nameOf(2), 1, 11],
      ['rewritten', nameOf(3), 10, 30],
    ],
  ],
  [
    'the whole trail written again with a key of the intruder',
    (trail) => Object.assign(trail, makeTrail(makeSignKey().secretPem)),
    [['untrusted', nameOf(1), 10, 10]],
  ],
  [
    'a checkpoint beside the trail that is none',
    (trail) => {
      trail.kept = [{ file: 'checkpoint.json', text: '{}' }];
    },
    [['bad-signature', 'checkpoint.json', 1, undefined]],
  ],
];

for (const [what, tamper, expected] of tampering) {
  void test(`tampering: ${what}`, () => {
    const trail = makeTrail();
    tamper(trail);
    assert.deepEqual(told(trail), expected);
  });
}

void test('the clock set back: time goes back without a record that says why', () => {
  const lines: string[] = [];
  const ledger = new Ledger('p', undefined, 'ab');
  seal(lines, ledger, { time: started, event: 'start', journal: 'ab', format: 1 });
  seal(lines, ledger, { time: started + 5000, event: 'session-open' });
  seal(lines, ledger, { time: started + 4500, event: 'session-close' });
  seal(lines, ledger, { time: started - 5000, event: 'session-open' });
  const trail = { segments: [{ name: nameOf(1), lines }], kept: [] };
  assert.deepEqual(told(trail, { trustedKeys: [] }), [['clock-back', nameOf(1), 4, 4]]);

  const honest: string[] = [];
  const other = new Ledger('p', undefined, 'ab');
  seal(honest, other, { time: started, event: 'start', journal: 'ab', format: 1 });
  seal(honest, other, { time: started - 5000, event: 'clock', step_ms: -5000 });
  seal(honest, other, { time: started - 4000, event: 'session-open' });
  assert.deepEqual(
    told({ segments: [{ name: nameOf(1), lines: honest }], kept: [] }, { trustedKeys: [] }),
    [],
  );
});

void test('a segment that retention removed is explained by its retire record', () => {
  const trail = makeTrail();
  const ledger = new Ledger('dovegate test', key.secretPem, 'ab'.repeat(16));
  const last = trail.segments[2]?.lines ?? [];
  const { seq, hash } = JSON.parse(last.at(-1) ?? '');
  ledger.resume({
    journal: 'ab'.repeat(16),
    seq,
    hash,
    stepsMs: 0,
    open: new Map(),
    oldestSeq: 1,
    timeMs: 0,
  });
  const { segment, segment_hash: segmentHash } = JSON.parse(second(trail)[0] ?? '');
  const retire = {
    time: started + 600_000,
    event: 'retire',
    segment,
    segment_hash: segmentHash,
    oldest_seq: 11,
  } as const;
  last.push(
    ledger.sealSigned(retire).trimEnd(),
    ledger.sealSigned(ledger.checkpoint(started + 600_000)).trimEnd(),
  );
  trail.segments.shift();
  assert.deepEqual(told(trail), []);
  trail.segments.shift();
  assert.deepEqual(told(trail), [['segment-missing', nameOf(2), 0, 20]], 'but only that one');
});

/** The last two segments of a trail, whose first one was removed, with a retire record made by `sign`, and a signed checkpoint. */
function removed(sign: (ledger: Ledger, retire: OwnRecord) => string, more: Partial<OwnRecord> = {}) {
  const trail = makeTrail();
  const ledger = new Ledger('dovegate test', key.secretPem, 'ab'.repeat(16));
  const lines = trail.segments[2]?.lines ?? [];
  const { seq, hash } = JSON.parse(lines.at(-1) ?? '');
  const names = { journal: 'ab'.repeat(16), stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 };
  ledger.resume({ ...names, seq, hash });
  const { segment, segment_hash: end } = JSON.parse(second(trail)[0] ?? '');
  const place = { segment, segment_hash: end, oldest_seq: 11, action: 'age', until: formatTime(started) };
  lines.push(sign(ledger, { time: started + 600_000, event: 'retire', ...place }).trimEnd());
  lines.push(ledger.sealSigned({ ...ledger.checkpoint(started + 600_000), ...more }).trimEnd());
  trail.segments.shift();
  return trail;
}

void test('a retire record that nobody signed explains nothing, whatever signs later', () => {
  const trail = removed((ledger, retire) => ledger.seal(encodeBody(retire)));
  assert.deepEqual(told(trail), [
    ['segment-missing', nameOf(1), 0, 10],
    ['retire-untrusted', nameOf(3), 11, 31],
  ]);
  assert.deepEqual(verify(trail).retired, [], 'nor is it told as an excuse');
  const unsigned = told(trail, { trustedKeys: [] });
  assert.deepEqual(unsigned[1]?.[0], 'retire-untrusted', 'also without a key: the journal is signed');
});

void test('one of another key, of another place or of another journal explains nothing either', () => {
  const stranger = new Ledger('dovegate test', makeSignKey().secretPem, 'ab'.repeat(16));
  const byStranger = removed((ledger, retire) => {
    stranger.resume(ledger);
    const line = stranger.sealSigned(retire);
    ledger.resume(stranger);
    return line;
  });
  assert.deepEqual(told(byStranger), [
    ['segment-missing', nameOf(1), 0, 10],
    ['retire-untrusted', nameOf(3), 11, 31],
  ]);
  // The signature of a true record, at another place: it covers seq and prev, and with them all of the journal before.
  const other = new Ledger('dovegate test', key.secretPem, 'cd'.repeat(16));
  const replayed = removed((ledger, retire) => {
    const { key: by, signature } = JSON.parse(other.sealSigned(retire));
    return ledger.seal(encodeBody({ ...retire, key: by, signature }));
  });
  assert.deepEqual(told(replayed), [
    ['segment-missing', nameOf(1), 0, 10],
    ['bad-signature', nameOf(3), 11, 31],
  ]);
});

void test('the last signed checkpoint alone says what retention left', () => {
  const trail = makeTrail();
  trail.segments.shift();
  assert.deepEqual(told(trail), [['segment-missing', nameOf(1), 0, 10]]);
  const honest = removed((ledger) => ledger.seal(encodeBody({ time: started + 600_000, event: 'reload' })), {
    oldest_seq: 11,
  });
  assert.deepEqual(told(honest), []);
});

void test('retire records of the keys before the one that a person accepted count, and none of a stranger between', () => {
  const before = makeSignKey();
  const first = makeTrail(before.secretPem);
  const lines = first.segments[2]?.lines ?? [];
  const { seq, hash } = JSON.parse(lines.at(-1) ?? '');
  const old = new Ledger('dovegate test', before.secretPem, 'ab'.repeat(16));
  old.resume({ journal: 'ab'.repeat(16), seq, hash, stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 });
  const { segment, segment_hash: end } = JSON.parse(second(first)[0] ?? '');
  const place = { segment, segment_hash: end, oldest_seq: 11 };
  lines.push(old.sealSigned({ time: started + 600_000, event: 'retire', ...place }).trimEnd());
  const now = new Ledger('dovegate test', key.secretPem, 'ab'.repeat(16));
  now.resume(old);
  lines.push(now.sealSigned({ ...now.checkpoint(started + 600_000), action: 'key-change' }).trimEnd());
  first.segments.shift();
  assert.deepEqual(told({ ...first, kept: [] }), []);
});

void test('after a stop and its checkpoint only a start may follow', () => {
  const make = (between: readonly JournalRecord[], more: Partial<OwnRecord> = {}): PaperTrail => {
    const lines: string[] = [];
    const ledger = new Ledger('p', key.secretPem, 'ab');
    seal(lines, ledger, { time: started, event: 'start', journal: 'ab', format: 1 });
    lines.push(ledger.sealSigned(ledger.checkpoint(started)).trimEnd());
    seal(lines, ledger, { time: started, event: 'stop' });
    lines.push(ledger.sealSigned({ ...ledger.checkpoint(started), action: 'stop' }).trimEnd());
    const last = { last_seq: ledger.seq, last_hash: ledger.hash };
    for (const record of between) seal(lines, ledger, record);
    const start = { time: started, event: 'start', journal: 'ab', format: 1, ...last, ...more } as const;
    seal(lines, ledger, start);
    lines.push(ledger.sealSigned(ledger.checkpoint(started)).trimEnd());
    return { segments: [{ name: nameOf(1), lines }], kept: [] };
  };
  const named = { time: started, session: 'S', id: 'E' };
  const unknown: JournalRecord = { ...named, event: 'completion', outcome: 'unknown', error: 'stopped' };
  assert.deepEqual(told(make([])), []);
  assert.deepEqual(told(make([{ time: started, event: 'clock', step_ms: 5000 }, unknown])), []);
  const appended = (line: number) => ['journal-appended', nameOf(1), line, line];
  for (const record of [
    { ...named, event: 'admission', decision: 'allow' },
    { ...named, event: 'completion', outcome: 'ok' },
    { time: started, event: 'reload' },
    { time: started, event: 'operator' },
  ] as const)
    assert.deepEqual(told(make([record]))[0], appended(5), record.event);
  const other = { last_seq: 4, last_hash: 'ef'.repeat(32) };
  assert.deepEqual(told(make([], other)), [appended(5)], 'a start that names another record');
  assert.deepEqual(told(make([], { last_seq: 3, last_hash: '00' })), [appended(5)]);
  const open = make([unknown]);
  open.segments[0]?.lines.splice(5);
  assert.deepEqual(told(open), [appended(5)], 'no start came');
  const code = { error: 'journal-cut journal-appended' };
  const kinds = told(make([], code)).map(([kind]) => kind);
  assert.deepEqual(kinds, ['cut', 'journal-appended']);
});

void test('a start that did not find the beginning: a fault while it is missing or retention took it since, a note once it is back', () => {
  const after = removed(
    (ledger) =>
      ledger.seal(encodeBody({ time: started + 600_000, event: 'start', error: 'journal-removed' })),
    {},
  );
  assert.deepEqual(
    told(after).map(([kind]) => kind),
    ['segment-missing', 'cut'],
  );
  const back = makeTrail();
  const trail = { ...after, segments: [back.segments[0] ?? assert.fail(), ...after.segments] };
  assert.deepEqual(told(trail), []);
  assert.deepEqual(
    verify(trail).returned.map(({ seq }) => seq),
    [31],
  );
  assert.deepEqual(told(trail, { isPart: true }), []);
  assert.match(verify(trail, { isPart: true }).returned[0]?.text ?? '', /whether they are back/);
});

void test('a part of a trail can be verified alone', () => {
  const trail = makeTrail();
  trail.segments.shift();
  assert.deepEqual(told(trail, { isPart: true }), []);
});

void test('an old key names the new one; a key that nobody named is a stranger', () => {
  const next = makeSignKey();
  const lines: string[] = [];
  const ledger = new Ledger('p', key.secretPem, 'ab');
  seal(lines, ledger, { time: started, event: 'start', journal: 'ab', format: 1 });
  lines.push(ledger.sealSigned({ ...ledger.checkpoint(started), next_key: next.key }).trimEnd());
  const successor = new Ledger('p', next.secretPem, 'ab');
  successor.resume(ledger);
  lines.push(successor.sealSigned(successor.checkpoint(started)).trimEnd());
  const trail = { segments: [{ name: nameOf(1), lines }], kept: [] };
  assert.deepEqual(told(trail), [], 'who trusts the old one');
  assert.deepEqual(told(trail, { trustedKeys: [next.key] }), [], 'who trusts the new one');
  assert.deepEqual(verify(trail, { trustedKeys: [next.key] }).signedSeq, 3);
  const unnamed = new Ledger('p', makeSignKey().secretPem, 'ab');
  unnamed.resume(successor);
  lines.push(unnamed.sealSigned(unnamed.checkpoint(started)).trimEnd());
  assert.deepEqual(told(trail), [['untrusted', nameOf(1), 4, 4]]);
});

void test('exchanges without completion are named, and are no fault', () => {
  const trail = makeTrail();
  const last = trail.segments[2]?.lines ?? [];
  trail.kept = [];
  last.splice(8);
  const verdict = verify(trail);
  assert.deepEqual(verdict.faults, []);
  assert.deepEqual(verdict.open, [{ id: 'E3-3', seq: 28, file: nameOf(3), line: 8 }]);
  assert.equal(verdict.openCount, 1);
});

void test('a line without end is a crash at the end, and damage elsewhere', () => {
  const trail = makeTrail();
  const feed = (isLast: boolean) => {
    const verifier = createVerifier({ trustedKeys: [], kept: [], isPart: false, faultsMax: 9 });
    for (const [number, { name, lines }] of trail.segments.entries()) {
      verifier.beginSegment(name);
      const isTorn = (number === trail.segments.length - 1) === isLast;
      for (const [at, line] of lines.entries())
        verifier.takeLine(Buffer.from(line), !isTorn || at < lines.length - 1);
      if (isTorn && !isLast) break;
    }
    return verifier;
  };
  const crash = feed(true).finish();
  assert.deepEqual([crash.isTorn, crash.faults.length, crash.lastSeq], [true, 0, 29]);
  const verifier = feed(false);
  verifier.beginSegment(nameOf(2));
  assert.deepEqual(
    verifier.finish().faults.map(({ kind, line, seq }) => [kind, line, seq]),
    [['malformed', 10, 10]],
  );
});

void test('of many faults the first are kept and all are counted', () => {
  const trail = makeTrail(key.secretPem, 50);
  for (const { lines } of trail.segments) {
    for (let at = 3; at < 60; at += 2) lines[at] = (lines[at] ?? '').replace('alice', 'bobby');
  }
  const verdict = verify(trail, { faultsMax: 5 });
  assert.deepEqual([verdict.faults.length, verdict.faultCount], [5, 87]);
});

void test('a record of another journal is foreign', () => {
  const lines: string[] = [];
  const ledger = new Ledger('p', undefined, 'ab');
  seal(lines, ledger, { time: started, event: 'start', journal: 'ab', format: 1 });
  seal(lines, ledger, { time: started, event: 'start', journal: 'cd', format: 2 });
  const trail = { segments: [{ name: nameOf(1), lines }], kept: [] };
  assert.deepEqual(told(trail, { trustedKeys: [] }), [['foreign', nameOf(1), 2, 2]]);
  assert.equal(verify(trail, { trustedKeys: [] }).isNewer, true);
});

// Goal: a forged journal does not fill the memory of the program that checks it.
const journal = 'ab'.repeat(16);

test('admissions without completion are kept up to a limit', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  for (let n = 0; n < bounds.openVerified + 1_000; n += 1)
    seal(lines, ledger, { time: started, event: 'admission', id: `E${n}` });
  const { openCount, faultCount } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.deepEqual([openCount, faultCount], [bounds.openVerified, 0]);
});

test('keys that sign are listed up to a limit', () => {
  const verifier = createCheckpointVerifier([], [], () => undefined);
  for (let n = 0; n < bounds.signingKeys + 1_000; n += 1) {
    const text = `{"seq":${n + 1},"key":"${'A'.repeat(43)}=","signature":"${'A'.repeat(86)}==","prev":"","hash":"${'0'.repeat(64)}"}`;
    verifier.judge(text, { key: `key${n}` }, { file: 'f', line: n, seq: n });
  }
  const { keys } = verifier.finish({ file: 'f', line: 1, seq: 1 }, 1);
  assert.equal(keys.length, bounds.signingKeys);
});

// bounds.clockSteps
test('steps of the clock are kept up to a limit', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  for (let n = 0; n < bounds.clockSteps + 10; n += 1)
    seal(lines, ledger, { time: started + n * 60_000, event: 'clock', step_ms: 60_000 });
  const { steps } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.equal(steps.length, bounds.clockSteps);
});

// bounds.shownOpen
test('of warnings of one kind so many are listed, and all are counted', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  for (let n = 0; n < bounds.shownOpen + 5; n += 1)
    seal(lines, ledger, { time: started, event: 'admission', id: `E${n}` });
  const { open, openCount } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.deepEqual([open.length, openCount], [bounds.shownOpen, bounds.shownOpen + 5]);
});

// Goal: a start that did not find all that the run before had in memory is a warning at its place, and no fault: nobody changed anything.

/** A first start, then one that says so much of the memory of the run before. */
function twoStarts(said: Partial<OwnRecord>) {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  seal(lines, ledger, { time: started, event: 'start', journal, format: 1 });
  seal(lines, ledger, { time: started + 1, event: 'start', journal, format: 1, ...said });
  return verify({ segments: [{ name: nameOf(1), lines }], kept: [] }, { trustedKeys: [] });
}

const warnings: readonly [string, Partial<OwnRecord>, string][] = [
  ['gone', { ring: 'missing' }, 'the memory of the run before was gone'],
  [
    'damaged',
    { recovered: 5, ring: 'damaged', lost: 2 },
    'the memory of the run before was damaged (2 places)',
  ],
  [
    'damaged, nobody knows how much',
    { ring: 'damaged', lost: 'unknown' },
    'the memory of the run before was damaged',
  ],
  [
    'replaced',
    { ring: 'foreign', lost: 'unknown' },
    'the memory of the run before was replaced, or the machine was started since',
  ],
  ['what a later release says', { ring: 'melted' }, 'the memory of the run before could not be used'],
];

for (const [name, said, what] of warnings) {
  void test(`the memory was ${name}`, () => {
    const { faults, forgotten } = twoStarts(said);
    assert.deepEqual(faults, []);
    const text = `${what}, so the last reads and outcomes before this start may be missing`;
    const time = '2026-11-20T08:00:00.001Z';
    assert.deepEqual(forgotten, [{ seq: 2, file: nameOf(1), line: 2, time, text }]);
  });
}

void test('records that were recovered are no warning', () => {
  assert.deepEqual(twoStarts({ recovered: 7 }).forgotten, []);
});

// A trail as a receiver stored it: cut into files of its own, with lines of others between the records.

/** All records of the usual trail in files of so many lines; `''` is a line of somebody else. */
function verifyShipped(lines: readonly string[], linesOfFile: number, isShipped = true): Verdict {
  const verifier = createVerifier({
    trustedKeys: [key.key],
    kept: [],
    isPart: false,
    isShipped,
    faultsMax: 10,
  });
  for (const [at, line] of lines.entries()) {
    if (at % linesOfFile === 0) verifier.beginSegment(`received.${at / linesOfFile}`);
    if (line === '') verifier.skipLine();
    else verifier.takeLine(Buffer.from(line), true);
  }
  return verifier.finish();
}

const linesOfShipped = makeTrail().segments.flatMap((segment) => segment.lines);

void test('it does not matter where a receiver cut its files', () => {
  for (let count = 1; count <= linesOfShipped.length; count += 1) {
    assert.deepEqual(verifyShipped(linesOfShipped, count).faults, [], `files of ${count} lines`);
  }
  // Segment 2 begins with line 11: as the start of a file it would ask for a file of the name 00000001.jsonl.
  assert.equal(verifyShipped(linesOfShipped, 10, false).faults[0]?.kind, 'segment-missing');
});

void test('skipped lines count for the place of a fault, and for nothing else', () => {
  const mixed = linesOfShipped.flatMap((line, at) => (at % 3 === 0 ? ['', line] : [line]));
  assert.deepEqual(verifyShipped(mixed, 100).faults, []);
  const at = mixed.findIndex((line) => line.includes('"seq":14,'));
  const changed = mixed.with(at, (mixed[at] ?? '').replace('alice', 'alicf'));
  const [fault] = verifyShipped(changed, 100).faults;
  assert.deepEqual(
    [fault?.kind, fault?.file, fault?.line, fault?.seq],
    ['changed', 'received.0', at + 1, 14],
  );
});

// Steps of the wall clock: those of a minute and more are told, and apart from them those that a start found, which may be a long stop.
const minute = 60_000;

test('what a step was, and whether a start found it', () => {
  const ledger = new Ledger('dovegate test', undefined, journal);
  const lines: string[] = [];
  const start = { event: 'start', journal, format: 1, program: 'dovegate test' } as const;
  const step = (time: number, stepMs: number): void =>
    seal(lines, ledger, { time: started + time, event: 'clock', step_ms: stepMs });
  seal(lines, ledger, { time: started, event: 'admission', id: 'E' });
  step(0, -minute);
  seal(lines, ledger, { time: started, event: 'completion', id: 'E', outcome: 'unknown' });
  seal(lines, ledger, { time: started, ...start });
  step(1_000, 1_000);
  step(5 * minute, 4 * minute);
  seal(lines, ledger, { time: started + 5 * minute, event: 'stop' });
  seal(lines, ledger, { time: started + 5 * minute, ...start });
  const { steps } = verify(
    { segments: [{ name: '00000001.jsonl', lines }], kept: [] },
    { trustedKeys: [], isPart: true },
  );
  assert.deepEqual(steps, [
    { from: '2026-11-20T08:01:00.000Z', to: '2026-11-20T08:00:00.000Z', seq: 2, isAtStart: true },
    { from: '2026-11-20T08:01:00.000Z', to: '2026-11-20T08:05:00.000Z', seq: 6, isAtStart: false },
  ]);
});

// Goal: what the journal says of its own records is compared with them, whatever stands around it.

void test('argument records that are missing, changed, or that nobody announced', () => {
  const bodies = encodeRecord({
    time: started,
    event: 'admission',
    session: 'S',
    id: 'E',
    decision: 'allow',
    command: 'flags add',
    args: ['--', 'x'.repeat(90_000)],
  });
  assert.ok(typeof bodies !== 'string' && bodies.length > 4, 'it has argument records');
  const [admission = '', ...records] = bodies;
  const feed = (some: readonly string[], isPart = false): readonly string[] => {
    const ledger = new Ledger('p', undefined, 'ab');
    const lines: string[] = [];
    seal(lines, ledger, { time: started, event: 'start', journal: 'ab', format: 1 });
    for (const body of some) lines.push(ledger.seal(body).trimEnd());
    seal(lines, ledger, { time: started, event: 'session-close', session: 'S' });
    const trail = { segments: [{ name: nameOf(1), lines }], kept: [] };
    return verify(trail, { trustedKeys: [], isPart }).faults.map(({ kind, line, seq, text }) =>
      [kind, line, seq, text].join(' '),
    );
  };
  const count = records.length;
  const missing = (some: number, text: string): string => `arguments ${some + 3} 2 ${text}`;
  assert.deepEqual(feed(bodies), []);
  assert.deepEqual(feed(bodies.slice(0, -1)), [
    missing(count - 1, '1 argument record of the admission 2 is missing'),
  ]);
  assert.deepEqual(feed([admission]), [
    missing(0, `${count} argument records of the admission 2 are missing`),
  ]);
  const [first = '', next = ''] = records;
  assert.deepEqual(feed([admission, next, first, ...records.slice(2)]), [
    `arguments ${count + 2} ${count + 2} the argument records are not those that the admission 2 announced`,
  ]);
  assert.deepEqual(feed([first]), ['arguments 2 2 argument records that no admission before them announced']);
});

void test('a record with a wrong prev says so', () => {
  const trail = makeTrail();
  const lines = second(trail);
  lines[3] = forge(lines[3] ?? '', (record) => {
    record['user'] = 'mallory@example.com';
  });
  const { faults } = verify(trail);
  assert.deepEqual(
    faults.map(({ kind, seq, text }) => [kind, seq, text]),
    [['unlinked', 15, 'prev is not the hash of the record before']],
  );
});

void test('checkpoints and retire records may be younger than the records behind them, others not', () => {
  const feed = (event: 'checkpoint' | 'retire' | 'reload'): number => {
    const ledger = new Ledger('p', undefined, 'ab');
    const lines: string[] = [];
    seal(lines, ledger, { time: started, event: 'start', journal: 'ab', format: 1 });
    const head = event === 'checkpoint' ? { head: ledger.hash } : {};
    seal(lines, ledger, { time: started + 60_000, event, ...head });
    seal(lines, ledger, { time: started + 1, event: 'session-open' });
    return verify({ segments: [{ name: nameOf(1), lines }], kept: [] }, { trustedKeys: [] }).faults.length;
  };
  assert.deepEqual([feed('checkpoint'), feed('retire'), feed('reload')], [0, 0, 1]);
});

void test('a trail that begins later says from where, by the file that its first record names', () => {
  const text = (change: (trail: PaperTrail) => void): string => {
    const trail = makeTrail();
    change(trail);
    return verify(trail).faults[0]?.text ?? 'none';
  };
  const first = (trail: PaperTrail): string[] => trail.segments[0]?.lines ?? [];
  assert.equal(
    text((trail) => first(trail).shift()),
    'record 1 is missing, and nothing explains it',
  );
  assert.equal(
    text((trail) => first(trail).splice(0, 3)),
    'records 1 to 3 are missing, and nothing explains it',
  );
  assert.match(
    text((trail) => trail.segments.shift()),
    /^00000001\.jsonl is missing/,
  );
});
