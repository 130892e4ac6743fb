// Goal: the last refusals and failures, in constant memory and without a word of a client or a backend, and the page's sentences of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lockSaying } from '../../../src/doveadm/codes/locks.js';
import { NowWatch } from '../../../src/gate/daemon/now-watch.js';
import type { Trouble } from '../../../src/gate/now/now.js';
import type { ExchangeEnded, LoginFailed } from '../../../src/gate/outcome/events.js';
import { judgeEnding } from '../../../src/gate/outcome/outcome.js';
import { troubleOf } from '../../../src/page/trouble-words.js';
import { ended as example } from '../../kit/gate/exchange-ended.js';
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

const sentences: readonly (readonly [
  what: string,
  more: Partial<ExchangeEnded>,
  text: string | undefined,
])[] = [
  ['went well', {}, undefined],
  ['the client left', { outcome: 'aborted', error: 'client-gone' }, undefined],
  [
    'denied by a rule',
    { ...denied, denial: 'deny-rule', rule },
    'Denied by policy support (a line of deny, support.yaml:14).',
  ],
  ['no rule', { ...denied, denial: 'no-rule' }, 'Denied by policy support (no rule names the command).'],
  [
    'without a reason',
    { ...denied, decision: 'allow', denial: 'no-reason' },
    'Denied by policy support (its rule asks for a reason, and the client gave none).',
  ],
  [
    'more mails than its rule permits',
    { ...denied, decision: 'allow', denial: 'too-many-matches' },
    'Denied by policy support (more mails match than its rule or its grant permits).',
  ],
  [
    'its peer was taken out of the configuration',
    { ...denied, decision: 'allow', denial: 'not-served' },
    'Denied by policy support (its peer is not served any more since a reload).',
  ],
  [
    'what an approver can lift',
    { ...denied, denial: 'no-rule', error: 'on-request' },
    'Denied by policy support (no rule names the command); available on request.',
  ],
  [
    'a step that this person may not do',
    { ...denied, decision: 'allow', error: 'access-denied' },
    'A step of access on request that this person, or anybody, may not do; or a report for an owner that this key may not ask for.',
  ],
  [
    'backend away',
    { ...failed, error: 'dial-refused', ...ours('backend mail1 is not reachable (dial-refused)') },
    'Backend mail1 is not reachable (dial-refused).',
  ],
  [
    'several backends, with their words',
    { ...failed, error: 'dial-refused' },
    'No server listens at this address, there is no route to it, or the name does not exist.',
  ],
  ['a code of nobody', { ...failed, error: 'lookup-zuluq7' }, 'It failed.'],
];
for (const [what, more, text] of sentences) {
  void test(`a command: ${what}`, () => assert.equal(shownOf(more)?.text, text));
}

const lock = {
  id: 'L1',
  by: 'root',
  reason: 'stolen',
  since: '2026-01-01',
  until: '2026-01-02',
  hold: false,
};

for (const [target, isNamed, text] of [
  ['carol', true, 'carol is locked by root until 2026-01-02: stolen.'],
  ['user:zuluq7@example.org', true, 'A mailbox is locked or held: L1.'],
  ['user:zuluq7@example.org', false, 'a mailbox is locked by root until 2026-01-02: that of lock L1.'],
] as const)
  void test(`a lock: ${text}`, () => {
    const saying = lockSaying({ ...lock, target }, isNamed);
    const verdict = judgeEnding({ kind: 'locked', lock: lock.id, isNamed, ...saying });
    const trouble = shownOf({ ...denied, ...verdict, isQuoting: verdict.isQuoting === true });
    assert.equal(trouble?.text, text);
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
  assert.deepEqual(
    shown(watch).map(({ kind, principal, listener, text }) => [kind, principal, listener, text]),
    [
      [
        'denied',
        'uid:1000',
        'support',
        'No session: not among its peers or networks, or a limit of sessions is reached.',
      ],
      ['login', 'webmail', 'panel', 'The key was used from outside of its networks (203.0.113.9).'],
      ['login', '-', 'panel', 'The TLS handshake failed.'],
      ['login', '203.0.113.9', 'panel', 'Wrong name, password or key.'],
    ],
  );
  assert.deepEqual([watch.facts().failedLogins.count, watch.facts().refusedKeys[0]?.key], [3, 'webmail']);
});

void test('each row says who can change it, and a denial its policy', () => {
  const owners = (more: Partial<ExchangeEnded>): readonly unknown[] => {
    const row = shownOf(more);
    return [row?.owner, row?.policy];
  };
  assert.deepEqual(owners({ ...denied, denial: 'no-rule' }), ['policy', 'support']);
  assert.deepEqual(owners({ ...denied, outcome: 'limited', error: 'over-limit' }), ['policy', 'support']);
  assert.deepEqual(owners({ ...denied, outcome: 'unparsable', error: 'unknown-option' }), [
    'requester',
    undefined,
  ]);
  assert.deepEqual(owners({ ...denied, error: 'access-denied' }), ['policy', 'support']);
  for (const denial of [
    'no-reason',
    'reason-short',
    'too-many-matches',
    'grant-withheld',
    'no-user',
  ] as const)
    assert.deepEqual(owners({ ...denied, denial }), ['requester', 'support'], denial);
  assert.deepEqual(owners({ ...denied, error: 'grant-over' }), ['requester', undefined]);
  assert.deepEqual(owners({ ...failed, status: '-NOUSER' }), ['requester', undefined]);
  assert.deepEqual(owners({ ...failed, status: '-NOTPOSSIBLE' }), ['server', undefined]);
  for (const error of ['dial-refused', 'lookup-reply-timeout', 'reply-bad-frame'] as const)
    assert.deepEqual(owners({ ...failed, error }), ['server', undefined], error);
  for (const error of ['audit-failed', 'queue-full', 'internal'] as const)
    assert.deepEqual(owners({ ...failed, error }), ['gate', undefined], error);
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

void test('what can be done about a denial stands with it, and nothing where the cause says it all', () => {
  const next = (more: Partial<ExchangeEnded>): string | undefined => shownOf(more)?.next;
  const writer = 'the person who writes policies, if this should be allowed (no rule yet, policy support)';
  assert.equal(next({ ...denied, denial: 'no-rule' }), writer);
  assert.equal(
    next({ ...denied, denial: 'no-rule', error: 'on-request' }),
    `the requester, who can ask for access with that command; or ${writer}`,
  );
  assert.equal(
    next({ ...denied, denial: 'no-reason' }),
    'the requester: say why: dovegate send --reason TEXT',
  );
  assert.equal(next({ ...failed, status: '-NOTPOSSIBLE' }), undefined);
});

void test('a record that could not be written: nothing was sent to any backend', () => {
  const watch = new NowWatch(createFakeClock());
  for (const backend of ['mail1', 'mail2'])
    watch.observe({ ...ended, ...failed, backend, error: 'audit-reserve' });
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
  for (const backend of ['mail1', 'mail2'])
    watch.observe({ kind: 'backend-down', level: 'error', type: 'dial-refused', backend });
  await clock.advance(100);
  assert.deepEqual([turns, clock.timers], [1, 0]);
  watch.observe({ kind: 'backend-up', level: 'warn', duration_ms: 1, backend: 'mail1' });
  watch.end();
  await clock.advance(100);
  assert.deepEqual([turns, clock.timers], [1, 0]);
});
