// Goal: the last refusals and failures, in constant memory and without a word of a client or a backend, and the page's sentences of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lockSaying } from '../../../src/doveadm/codes/locks.js';
import { receiversOf } from '../../../src/gate/daemon/now-source.js';
import { NowWatch } from '../../../src/gate/daemon/now-watch.js';
import { trafficOf } from '../../../src/gate/daemon/traffic.js';
import type { Trouble } from '../../../src/gate/now/now.js';
import type { RunningSink } from '../../../src/gate/now/running.js';
import type { ExchangeEnded, LoginFailed } from '../../../src/gate/outcome/events.js';
import { judgeEnding } from '../../../src/gate/outcome/outcome.js';
import type { CountedExchanges } from '../../../src/gate/telemetry/metrics.js';
import { troubleOf } from '../../../src/page/trouble-words.js';
import { ended as example } from '../../kit/gate/exchange-ended.js';
import { backend, fault, healthy } from '../../kit/gate/running.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { columns } from '../../kit/plain/columns.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

const ended: ExchangeEnded = {
  ...example,
  exchange: { ...example.exchange, principal: 'job@support', user: 'zuluq7@example.org' },
  text: 'zuluq7 in a sentence',
  isQuoting: true,
};
const ours = (text: string) => ({ text, isQuoting: false }) as const;

function shown(watch: NowWatch): readonly Trouble[] {
  const rows = watch.troubles().map(({ row }) => troubleOf(row));
  assert.doesNotMatch(JSON.stringify(rows), /zuluq7/);
  return rows;
}

function shownOf(more: Partial<ExchangeEnded>): Trouble | undefined {
  const watch = new NowWatch(createFakeClock());
  watch.observe({ ...ended, ...more });
  return shown(watch)[0];
}

const rule = { file: '/etc/dovegate/policies/support.yaml', line: 14, column: 3 };
const failed = { outcome: 'failed', decision: 'allow' } as const;
const denied = { outcome: 'denied', decision: 'deny', status: '-NOPERM' } as const;

const noRule = { ...denied, denial: 'no-rule' } as const;
const unsaid = { ...denied, decision: 'allow' } as const;
const lock = {
  id: 'L1',
  by: 'root',
  reason: 'stolen',
  since: '2026-01-01',
  until: '2026-01-02',
  hold: false,
};
const locked = (target: string, isNamed: boolean): Partial<ExchangeEnded> => {
  const saying = lockSaying({ ...lock, target }, isNamed);
  const verdict = judgeEnding({ kind: 'locked', lock: lock.id, isNamed, ...saying });
  return { ...denied, ...verdict, isQuoting: verdict.isQuoting === true };
};
const one = (word: string, of: Partial<ExchangeEnded>): [string, Partial<ExchangeEnded>] => [word, of];

/** How commands end. */
const situations: readonly (readonly [what: string, more: Partial<ExchangeEnded>])[] = [
  ['it went well', {}],
  ['the client left', { outcome: 'aborted', error: 'client-gone' }],
  ['denied by a rule', { ...denied, denial: 'deny-rule', rule }],
  ['no rule', noRule],
  ['what an approver can lift', { ...noRule, error: 'on-request' }],
  ['a step that this person may not do', { ...unsaid, error: 'access-denied' }],
  ['a grant that is over', { ...denied, error: 'grant-over' }],
  ['over a limit', { ...denied, outcome: 'limited', error: 'over-limit' }],
  ['not to be read', { ...denied, outcome: 'unparsable', error: 'unknown-option' }],
  ...(
    ['no-reason', 'reason-short', 'too-many-matches', 'grant-withheld', 'no-user', 'not-served'] as const
  ).map((denial) => one(denial, { ...unsaid, denial })),
  [
    'backend away',
    { ...failed, error: 'dial-refused', ...ours('backend mail1 is not reachable (dial-refused)') },
  ],
  ['several backends, with their words', { ...failed, error: 'dial-refused' }],
  ['a code of nobody', { ...failed, error: 'lookup-zuluq7' }],
  ...(['-NOUSER', '-NOTPOSSIBLE'] as const).map((status) => one(status, { ...failed, status })),
  ...(['lookup-reply-timeout', 'reply-bad-frame', 'audit-failed', 'queue-full', 'internal'] as const).map(
    (error) => one(error, { ...failed, error }),
  ),
  ['a lock of a person', locked('carol', true)],
  ['a lock of a mail user', locked('user:zuluq7@example.org', true)],
  ['a lock of a mail user who is not named', locked('user:zuluq7@example.org', false)],
];

void test('how a command ended: the sentence, who can change it, and what is next, as now-watch.txt has them', () => {
  const asked = situations.map(([what, more]): Asked => {
    const { text, owner, policy, next } = shownOf(more) ?? {};
    return [what, () => (text === undefined ? 'nothing is shown' : { text, owner, policy, next })];
  });
  compareAnswers('test/gate/daemon/now-watch.txt', asked);
});

const login: LoginFailed = {
  kind: 'login-failed',
  level: 'warn',
  listener: 'panel',
  type: 'failed',
  address: '203.0.113.9',
  account: 'zuluq7@example.org',
  why: undefined,
  text: 'zuluq7',
};

void test('logins: what the peer called itself is not shown, the name of a key is', () => {
  const watch = new NowWatch(createFakeClock());
  watch.observe({ kind: 'login', level: undefined, listener: 'panel', type: 'ok' });
  watch.observe({ ...login, type: 'gone' });
  assert.deepEqual(watch.troubles(), []);
  watch.observe(login);
  watch.observe({ ...login, type: 'tls-failed', address: undefined });
  watch.observe({ ...login, account: 'webmail', why: 'address' });
  const refused = { kind: 'session-refused', level: 'warn', listener: 'support' } as const;
  watch.observe({ ...refused, principal: 'uid:1000', text: 'zuluq7' });
  assert.deepEqual(columns(shown(watch), 'kind', 'principal', 'listener', 'text'), [
    [
      'denied',
      'uid:1000',
      'support',
      'No session: not among its peers or networks, or a limit of sessions is reached.',
    ],
    ['login', 'webmail', 'panel', 'The key was used from outside of its networks (203.0.113.9).'],
    ['login', '-', 'panel', 'The TLS handshake failed.'],
    ['login', '203.0.113.9', 'panel', 'Wrong name, password or key.'],
  ]);
  assert.deepEqual([watch.facts().failedLogins.count, watch.facts().refusedKeys[0]?.key], [3, 'webmail']);
});

void test('the last 60 of a million, newest first, with the users beside them', () => {
  const clock = createFakeClock();
  const watch = new NowWatch(clock);
  assert.equal(watch.troublesSince, '2026-01-02T03:04:05.000Z');
  for (let at = 0; at < 85; at += 1) {
    watch.observe({ ...ended, ...failed, exchange: { ...ended.exchange, id: `E${at}`, command: `c${at}` } });
    clock.advanceNow(1_000);
  }
  const rows = watch.troubles();
  assert.deepEqual(
    rows.map(({ row }) => row.id),
    Array.from({ length: 60 }, (_, back) => `E${84 - back}`),
  );
  assert.equal(rows[0]?.row.at, '2026-01-02T03:05:29.000Z');
  assert.equal(watch.troublesSince, '2026-01-02T03:04:29.000Z', 'that of the newest one without room');
  assert.ok(rows.every(({ user }) => user === 'zuluq7@example.org'));
  assert.deepEqual(
    [watch.history.rates(clock.now()).failed, watch.history.rates(clock.now()).perSecond],
    [85, 1],
  );
});

void test('those that are the same are one row, also with others in between: the last of them, and since when', () => {
  const clock = createFakeClock();
  const watch = new NowWatch(clock);
  const other = { ...ended, ...denied, denial: 'no-rule' } as const;
  watch.observe(other);
  for (let at = 0; at < 300; at += 1) {
    clock.advanceNow(1_000);
    for (const command of ['fetch', 'search'])
      watch.observe({ ...ended, ...failed, exchange: { ...ended.exchange, id: `${command}${at}`, command } });
  }
  const seen = watch.troubles().map(({ row: { id, count, since, at } }) => [id, count, since, at]);
  const [first, last] = ['2026-01-02T03:04:06.000Z', '2026-01-02T03:09:05.000Z'];
  assert.deepEqual(seen, [
    ['search299', 300, first, last],
    ['fetch299', 300, first, last],
    ['E1', undefined, undefined, '2026-01-02T03:04:05.000Z'],
  ]);
  // One that comes again is the newest again.
  watch.observe(other);
  assert.deepEqual(
    watch.troubles().map(({ row }) => row.count),
    [2, 300, 300],
  );
  for (const more of [
    { backend: 'mail2' },
    { error: 'dial-refused' },
    { exchange: { ...ended.exchange, principal: 'anna@support' } },
    { status: '-NOUSER' },
  ] as const)
    watch.observe({ ...other, ...more });
  watch.observe(login);
  watch.observe({ ...login, account: 'another' });
  watch.observe({ ...login, address: '198.51.100.1' });
  assert.deepEqual(
    watch.troubles().map(({ row }) => row.count),
    [undefined, 2, undefined, undefined, undefined, undefined, 2, 300, 300],
  );
});

void test('a record that could not be written: nothing was sent to any backend', () => {
  const watch = new NowWatch(createFakeClock());
  for (const name of ['mail1', 'mail2'])
    watch.observe({ ...ended, ...failed, backend: name, error: 'audit-reserve' });
  const [row, ...others] = shown(watch);
  assert.deepEqual([row?.backend, row?.count, others], [undefined, 2, []]);
  assert.doesNotMatch(row?.text ?? '', /`/);
});

void test('one stall is shown, the longest of its minute', () => {
  const clock = createFakeClock();
  const watch = new NowWatch(clock);
  const wallMs = clock.wallMs();
  watch.stalled(900);
  clock.advanceNow(10_000);
  watch.stalled(600);
  assert.deepEqual(watch.facts().stall, { atMs: wallMs, durationMs: 900 });
  clock.advanceNow(50_001);
  assert.equal(watch.facts().stall, undefined);
  watch.stalled(600);
  assert.equal(watch.facts().stall?.durationMs, 600);
  watch.end();
});

void test('better or worse: told once, soon; a command that ended is only counted', async () => {
  const clock = createFakeClock();
  const watch = new NowWatch(clock);
  let turns = 0;
  watch.onTurn = () => {
    turns += 1;
  };
  watch.observe(ended);
  assert.equal(clock.timers, 0);
  for (const name of ['mail1', 'mail2'])
    watch.observe({ kind: 'backend-down', level: 'error', type: 'dial-refused', backend: name });
  await clock.advance(100);
  assert.deepEqual([turns, clock.timers], [1, 0]);
  watch.observe({ kind: 'backend-up', level: 'warn', duration_ms: 1, backend: 'mail1' });
  watch.end();
  await clock.advance(100);
  assert.deepEqual([turns, clock.timers], [1, 0]);
});

void test('a receiver that is away is told by its code', () => {
  const text = 'certificate, name, pin, or a file of ours';
  const away = fault('tls-failed', 'its certificate says bob@example.com', text);
  const sinks: RunningSink[] = [
    { name: 'siem', state: 'connected', fault: undefined, lagRecords: 2, lagMs: 0, safeSeq: 10 },
    { name: 'far', state: 'away', fault: away, lagRecords: 12, lagMs: 0, safeSeq: 0 },
  ];
  assert.deepEqual(receiversOf(sinks), [
    { name: 'siem', state: 'connected', text: undefined, lagRecords: 2, safeSeq: 10 },
    { name: 'far', state: 'away', text, lagRecords: 12, safeSeq: 0 },
  ]);
});

const [support] = healthy.listeners;
assert.ok(support !== undefined);
const running = {
  ...healthy,
  started: 'first',
  listeners: [support, { ...support, name: 'jobs' }],
  backends: [backend('mail1', { waiters: 3, idle: 1, leased: 2 }), backend('mail2', { idle: 0 })],
};

void test('counts are added up by team; those out of service count for nobody', () => {
  const counted: CountedExchanges = {
    eachOfListeners(visit) {
      visit('support', 'ok', 3);
      visit('support', 'ok', 2);
      visit('support', 'denied', 2);
      visit('support', 'limited', 1);
      visit('support', 'timeout', 1);
      visit('support', 'aborted', 1);
      visit('gone', 'failed', 4);
    },
    eachOfBackends: () => undefined,
    bounds: [0.1, 1],
    eachOfDurations(visit) {
      visit('support', 'mail1', [4, 1, 1]);
      visit('gone', 'old', [4, 0, 0]);
      visit('jobs', 'old', [0, 1, 0]);
    },
  };
  const none = { ended: 0, denied: 0, failed: 0, buckets: [0, 0, 0] };
  assert.deepEqual(trafficOf(counted, running), {
    run: 'first',
    bounds: [0.1, 1],
    teams: [
      { name: 'support', ended: 10, denied: 3, failed: 1, buckets: [4, 1, 1] },
      { ...none, name: 'jobs', buckets: [0, 1, 0] },
    ],
  });
});
