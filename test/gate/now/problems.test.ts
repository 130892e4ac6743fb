// Goal: each thing that is wrong has its sentence, right and with something to do; the worst is first; nobody outside can put a word in.
// problems.txt has each situation, the state that it makes of a gate that serves, and all that is found, as a person approved it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findEnds } from '../../../src/gate/now/ends.js';
import { type FoundProblem, findProblems, Standing, stateOf } from '../../../src/gate/now/problems.js';
import type {
  Fault,
  Running,
  RunningBackend,
  RunningKey,
  RunningSink,
  TlsCause,
} from '../../../src/gate/now/running.js';
import {
  backend,
  down as downNow,
  drained,
  exchange,
  fault,
  healthy,
  shipTold,
} from '../../kit/gate/running.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

const nowMs = healthy.atMs;
const downMs = Date.UTC(2026, 10, 21, 2, 14);
const dayMs = 86_400_000;
const journal = (more: Partial<Running['journal']>): Partial<Running> => ({
  journal: { ...healthy.journal, ...more },
});

type Down = readonly [code?: string, system?: string, more?: Partial<RunningBackend>, tlsCause?: TlsCause];
function down(name: string, ...[code = 'dial-refused', system, more = {}, tlsCause]: Down): RunningBackend {
  const why = { ...fault(code, 'what it said', 'what the table says', 'ask'), system, tlsCause };
  return downNow(name, { sinceMs: downMs, fault: why, ...more });
}

function find(more: Partial<Running>): readonly FoundProblem[] {
  return findProblems({ ...healthy, backends: [backend('mail1')], routes: [], ...more });
}

/** `*` behind the code: it degrades. */
function found(more: Partial<Running>): string {
  const all = find(more);
  assert.ok(all.every(({ text, try: hint = '' }) => !`${text}${hint}`.includes('undefined')));
  return [
    stateOf(false, all, true),
    ...all.flatMap(({ code, isDegrading, text, try: hint, ...rest }) => [
      `${code}${isDegrading ? '*' : ''}: ${text}`,
      ...(hint === undefined ? [] : [`  try: ${hint}`]),
      ...(Object.keys(rest).length === 0 ? [] : [`  ${JSON.stringify(rest)}`]),
    ]),
  ].join('\n');
}

const route = (line: number, ...backends: string[]) => ({
  place: `/etc/dovegate/dovegate.yaml:${line}`,
  backends,
});

const silent = down('mail1', 'dial-timeout');
const held = exchange('A', { durationMs: 40_000 });
const notStuck = [
  exchange('C', { durationMs: 50_000, isWaiting: true }),
  exchange('D', { durationMs: 50_000, clientMs: 2_000 }),
  exchange('E', { durationMs: 50_000, backend: 'mail2' }),
  exchange('F', { durationMs: 9_000 }),
];
const retrying = [backend('mail1', { health: 'retrying' })];
const byHand = { by: 'anna', since: '2026-11-21T02:14:00.000Z' };
const byConfiguration = drained('mail1', { newer: 'reads' });

const ofBackends: Readonly<Record<string, readonly RunningBackend[] | Partial<Running>>> = {
  'nothing is wrong': {},
  'a backend is down, commands failed': [down('mail1', 'dial-refused', 'ECONNREFUSED', { lost: 412 })],
  'a backend is down, three wait': [down('mail1', 'dial-refused', 'ECONNREFUSED', { waiters: 3 })],
  'a socket is not there, one waits': [
    down('mail1', 'dial-refused', 'ENOENT', { host: undefined, waiters: 1 }),
  ],
  ...Object.fromEntries(
    (
      [
        ['dial-refused', 'ENOTFOUND'],
        ['dial-refused', 'EHOSTUNREACH'],
        ['dial-refused', 'EACCES'],
        ['dial-refused', 'ESOMETHING'],
        ['dial-timeout'],
        ['auth-rejected'],
        // The error of a file is none of the backend's socket.
        ['auth-rejected', 'ENOENT'],
        ['tls-failed', 'ERR_TLS_CERT_ALTNAME_INVALID'],
        ['version-unsupported'],
        ['closed-early', 'ECONNRESET'],
        ['reply-timeout'],
      ] as const
    ).map(([code, system]) => [`a backend is down: ${code} ${system ?? ''}`, [down('mail1', code, system)]]),
  ),
  'one that accepts connections and says nothing is no matter of the network': [
    { ...silent, fault: silent.fault && { ...silent.fault, isSilent: true } },
  ],
  ...Object.fromEntries(
    (['expired', 'not-valid-yet', 'name', 'issuer', 'key'] as const).map((cause) => [
      `a backend is down for its certificate: ${cause}`,
      [down('mail1', 'tls-failed', undefined, {}, cause)],
    ]),
  ),
  'drained by the configuration': [byConfiguration, backend('mail2')],
  'drained by a person': [
    {
      ...byConfiguration,
      drained: [{ ...byHand, by: 'anna, on call', reason: 'new disk' }],
      refused: 412,
      refusedPerSecond: 29,
    },
    backend('mail2'),
  ],
  'drained, and one command failed before': [
    { ...byConfiguration, drained: [byHand], refused: 1 },
    backend('mail2'),
  ],
  'drained, the only one of its route: nothing else comes first': {
    backends: [byConfiguration, backend('mail2')],
    routes: [route(12, 'mail1')],
  },
  'drained, the only one of all': [byConfiguration],
  'at its end the gate drains them all, and there is nothing to enable': {
    state: 'draining',
    backends: [drained('mail1', { drained: [] })],
  },
  'no backend is up: one sentence for all of them, then each': [down('mail1'), down('mail2', 'dial-timeout')],
  'a start within an outage': [{ ...down('mail1'), mayBeLonger: true }, backend('mail2')],
  'workers are stopped behind one that accepts connections': {
    backends: retrying,
    exchanges: [held, exchange('B', { durationMs: 12_000 }), ...notStuck],
  },
  'none of these hangs': { backends: retrying, exchanges: notStuck },
  'commands may take long where connections are made': { exchanges: [held] },
  'every backend of a route is down or drained; one alone has a sentence of its own': {
    backends: [down('mail1'), drained('mail2'), backend('mail3')],
    routes: [
      route(12, 'mail1', 'mail2'),
      route(13, 'mail1', 'mail3'),
      route(14, 'mail1'),
      route(15, 'mail2'),
    ],
  },
  'newer than known, reads': [backend('mail1', { newer: 'reads' }), backend('mail2')],
  'newer than known, all': [backend('mail1', { newer: 'serve' }), backend('mail2')],
};

const full = fault('write-failed', 'ENOSPC', 'the disk refused a write or a sync', 'free the disk');
const bad = { state: 'failed', fault: full, freeBytes: 0 } as const;
const filling = {
  isFilling: true,
  youngBytes: 83,
  bytesMax: 100,
  largest: [
    { principal: 'jobs@jobs', share: 0.912 },
    { principal: 'panel@http', share: 0.05 },
  ],
};
const ofJournal: Readonly<Record<string, Partial<Running>>> = {
  'what makes the state comes first, and what degrades nothing behind it': {
    backends: [down('mail1')],
    ...journal({ missing: { seq: 7, sinceMs: downMs } }),
  },
  'failed, with a cause and one sentence': journal({ ...bad, space: 'reserve', unsyncedMs: 9_000 }),
  'failed: no right': journal({ state: 'failed', fault: fault('no-rights', 'EACCES', 'no right') }),
  'in reserve: the disk': journal({ space: 'reserve', freeBytes: 64 * 1024 ** 2 }),
  'in reserve: its own maximum': journal({ space: 'reserve', freeBytes: 40 * 1024 ** 3 }),
  'hardly slow': journal({ unsyncedMs: 1_999 }),
  slow: journal({ unsyncedMs: 12_345 }),
  lost: journal({ lost: 1, freeBytes: undefined }),
  'files were taken away': journal({ missing: { seq: 213, sinceMs: 0 } }),
  'files were taken away before the start': journal({ missing: { seq: 213, sinceMs: undefined } }),
  'what a start found': journal({ isDamaged: true, isAppended: true }),
  'young records fill it': journal({ filling }),
  'young records fill it, nobody knows whose': journal({ filling: { ...filling, largest: [] } }),
  'young records fill it, and it has worse': journal({ filling, space: 'reserve' }),
};

const waiting = { leased: 10, connections: 10, waiters: 12 };
const slowClient = { principal: 'anna@support', clientMs: 1_000 };
const ofQueues: Readonly<Record<string, Partial<Running>>> = {
  'a short wait': { backends: [backend('mail1', { ...waiting, oldestWaitMs: 4_999 })] },
  'a long wait': { backends: [backend('mail1', { ...waiting, oldestWaitMs: 8_000 })] },
  'half of its places': { backends: [backend('mail1', { waiters: 500 })] },
  'of a backend that is down': {
    backends: [down('mail1', 'dial-timeout', undefined, { waiters: 12, oldestWaitMs: 8_000 })],
  },
  'who waits for a slow client is named, with what ends it': {
    backends: [backend('mail1', { waiters: 3, oldestWaitMs: 7_000, leased: 2, connections: 2 })],
    exchanges: [
      exchange('01B', slowClient),
      exchange('01A', { ...slowClient, clientMs: 1_001 }),
      exchange('01C', { clientMs: 999 }),
      exchange('01D', { ...slowClient, backend: 'mail2' }),
    ],
  },
};

function sink(name: string, state: RunningSink['state'], lagRecords: number, why?: Fault): RunningSink {
  return { name, state, fault: why, lagRecords, lagMs: 0, safeSeq: 0 };
}
const absent = { ...shipTold, isConnected: false, isAbsent: true, names: ['logs:6514', 'chat'] };
const status = {
  code: 'status',
  status: 500,
  forMs: nowMs - 300,
  why: ['it answers with an HTTP status that is no success', 'correct the URL'],
} as const;
const ofReceivers: Readonly<Record<string, Partial<Running>>> = {
  'a receiver is away, with what waits for it': {
    sinks: [
      sink('log1:6514', 'away', 1234, fault('dial-refused', '', 'nobody listens there', 'mend the receiver')),
      sink('log2:6514', 'connected', 5),
    ],
  },
  'another journal under the id of this one': { sinks: [sink('/srv/trail/dovegate', 'forked', 5)] },
  'a receiver of notices takes none': {
    ship: {
      ...shipTold,
      notices: [{ name: 'chat', delivered: 0, failed: 1, dropped: 0, lagMs: 0, fault: status }],
      ageMs: 300,
    },
  },
  'without dovegate ship, notices alone': { ship: absent },
  'without dovegate ship, records': { ship: absent, sinks: [sink('logs:6514', 'connecting', 5)] },
  'for no longer than a restart takes': { ship: { ...absent, isAbsent: false } },
};

function key(name: string, leftMs: number | undefined): RunningKey {
  const more = { expiresMs: undefined, lastUsedMs: undefined, failures: 0 };
  return { listener: 'panel', name, policy: 'panel', leftMs, ...more };
}
const certificate = (
  role: 'listener' | 'client-ca' | 'backend',
  name: string,
  leftMs: number,
  file?: string,
) => ({ role, name, leftMs, file: file && `/etc/dovegate/${file}` });
const certificates = [
  certificate('listener', 'panel', 3.5 * dayMs, 'panel.crt'),
  certificate('client-ca', 'panel', 8 * dayMs, 'ca.pem'),
  certificate('backend', 'mail1', 1.5 * dayMs),
  certificate('listener', '(page)', 1_000, 'page.crt'),
];
const keys = [key('webmail', 2 * dayMs), key('graph', undefined), key('old', -1)];
const endsAt = (endMs: number) => ({ keys: [key('webmail', endMs - nowMs)] });
const problems = ['f.yaml:3:1: no backend "x"\n    x: 1', 'f.yaml:2:1: warning: z'];
const reload = { atMs: downMs, isSuccess: false, restart: [], problems };
const used = {
  listener: 'panel',
  key: 'webmail',
  why: 'address',
  network: '203.0.113.9',
  isFromSeveral: false,
  count: 3,
  firstMs: downMs,
  lastMs: nowMs,
} as const;
const replaced = { ...used, why: 'replaced', isFromSeveral: true } as const;
const most = { network: '203.0.113.9', listener: 'panel', count: 28 };
const why = ['no answer in time'] as const;
const ofOthers: Readonly<Record<string, Partial<Running>>> = {
  'the first to end comes first; expired ones before what only may happen': { certificates, keys, reload },
  'certificates and keys': { certificates, keys },
  'a certificate has expired': { certificates: [certificate('listener', 'panel', -1, 'panel.crt')] },
  'a key ends with a day of the configuration': endsAt(Date.UTC(2026, 10, 24)),
  'a key ended with a day of the configuration': endsAt(Date.UTC(2026, 10, 21)),
  'a key ends within a day': endsAt(Date.UTC(2026, 10, 24) + 1000),
  'a file had problems at the start': { reload: { ...reload, lastReadMs: downMs - dayMs } },
  'a key was used from elsewhere twice': { refusedKeys: [{ ...used, count: 2 }] },
  'a key was used from elsewhere': { refusedKeys: [used] },
  'an old key': { refusedKeys: [replaced] },
  'both: one that is used from elsewhere is not one that is old': { refusedKeys: [replaced, used] },
  'some logins fail': { failedLogins: { count: 29, most } },
  'many logins fail': { failedLogins: { count: 30, most } },
  'an auth service': { lookups: [{ socket: '/run/dovecot/auth-userdb', sinceMs: downMs, why }] },
  'a stall': { stall: { atMs: nowMs, durationMs: 1_234 } },
  'worst first, whatever comes together': {
    backends: [down('mail1'), down('mail2'), backend('mail3', { waiters: 9, oldestWaitMs: 9_000 })],
    routes: [{ place: 'a:1', backends: ['mail1', 'mail2'] }],
    ...journal({ space: 'reserve', unsyncedMs: 9_000, lost: 2 }),
    sinks: [sink('log1:6514', 'away', 1, fault('stalled', '', 'stalled')), sink('log2:4222', 'forked', 1)],
    reload: { ...reload, problems: [] },
    keys: [key('webmail', 1)],
    stall: { atMs: nowMs, durationMs: 600 },
  },
};

const since = '2026-11-21T02:00:00.000Z';
const until = '2026-11-21T04:00:00.000Z';
const lock = { by: 'root', reason: 'stolen', since, until, hold: false };
const { until: _until, ...hold } = { ...lock, target: 'user:bob@example.com', id: 'H1', hold: true };
const targets = ['carol', 'key:panel', 'user:bob@example.com', 'backend:mail1', 'a', 'b', 'c'];
const ofLocks: Readonly<Record<string, Partial<Running>>> = {
  'by whom, until when and why, without a mail user; above five their number': {
    locks: targets.map((target, at) => ({ ...lock, target, id: `L${at}` })),
  },
  // The name of the user is beside it, for those who may see that mail.
  'holds: for good; somebody asked to lift it; until a time': {
    locks: [hold, { ...hold, asked: 'anna', asked_until: until }, { ...hold, until }],
  },
};

const asked = (situations: Readonly<Record<string, readonly RunningBackend[] | Partial<Running>>>): Asked[] =>
  Object.entries(situations).map(([what, of]) => [what, () => found('length' in of ? { backends: of } : of)]);

for (const [name, situations] of Object.entries({
  backends: ofBackends,
  journal: ofJournal,
  queues: ofQueues,
  receivers: ofReceivers,
  others: ofOthers,
  locks: ofLocks,
}))
  void test(`problems: ${name}`, () =>
    compareAnswers(`test/gate/now/problems/${name}.txt`, asked(situations)));

void test('no backend can be reached: not serving, whatever else is wrong but the journal', () => {
  const some = find({ backends: [down('mail1')] });
  assert.equal(stateOf(false, some, true), 'degraded');
  assert.equal(stateOf(false, some, false), 'not serving');
  for (const all of [[], some, find(journal(bad))]) assert.equal(stateOf(true, all, false), 'draining');
  assert.equal(stateOf(false, find(journal(bad)), false), 'blind');
  const standing = new Standing(1_000);
  standing.judge('not serving', some, downMs + 5_000);
  assert.deepEqual([standing.state, standing.sinceMs], ['not serving', downMs]);
});

void test('the state keeps since when it is; a change that nobody looked at begins when its cause did, but not before the last look', () => {
  const standing = new Standing(1_000);
  const causedAt = (sinceMs: number): FoundProblem => ({
    code: 'backend-down',
    text: '',
    isDegrading: true,
    sinceMs,
  });
  assert.deepEqual([standing.state, standing.sinceMs], ['serving', 1_000]);
  for (const [state, causes, atMs, sinceMs] of [
    ['serving', [], 5_000, 1_000],
    ['degraded', [7_000, 6_000], 9_000, 6_000],
    ['degraded', [9_500], 10_000, 6_000],
    ['serving', [], 11_000, 11_000],
    ['degraded', [2_000], 12_000, 11_000],
    ['blind', [2_000], 13_000, 13_000],
    ['draining', [], 14_000, 14_000],
    // A wall clock that was set back.
    ['serving', [], 3_000, 3_000],
  ] as const) {
    standing.judge(state, causes.map(causedAt), atMs);
    assert.deepEqual([standing.state, standing.sinceMs], [state, sinceMs]);
  }
});

// Goal: a sentence about an end is made of any number, since it may come from another process.
void test('ends that no date has', () => {
  const sentence = (leftMs: number): string | undefined => {
    const page = { role: 'listener', name: '(page)', leftMs } as const;
    return findEnds({ atMs: 1_000, certificates: [page], keys: [] }, true)[0]?.text;
  };
  assert.equal(sentence(-1_000), 'The certificate of page expired at {1970-01-01T00:00:00.000Z}.');
  for (const leftMs of [-1e300, -8.64e15 - 1, -Infinity])
    assert.equal(sentence(leftMs), sentence(-1_000), String(leftMs));
  const away = { code: 'timeout', forMs: 1e300, why: ['it is away'] } as const;
  const notices = [{ name: 'chat', delivered: 0, failed: 0, dropped: 0, lagMs: 0, fault: away }];
  const [problem] = findProblems({ ...healthy, ship: { ...shipTold, notices } });
  assert.equal(
    problem?.text,
    'The receiver of notices chat has taken none since {1970-01-01T00:00:00.000Z}: it is away.',
  );
});

void test('a sentence of an end stays the same, whenever the clock was read', () => {
  const endMs = Date.UTC(2026, 10, 22);
  const sentences = new Set<string | undefined>();
  const old = { ...key('old', 0), expiresMs: endMs };
  for (let ms = 0; ms < 40; ms += 1) {
    // What is left was counted some milliseconds before or after now.
    const leftMs = endMs - (endMs + 1000 + ms) - (20 - ms);
    const ends = { atMs: endMs + 1000 + ms, certificates: [], keys: [{ ...old, leftMs }] };
    sentences.add(findEnds(ends, true)[0]?.text);
  }
  assert.deepEqual(
    [...sentences],
    ['The key "old" of listener "panel" has expired: its last day was 2026-11-21.'],
  );
});
