// One command as its records tell it: the line of its time, who, what and why; also of records that are cut, old, or hold nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  argumentsOf,
  chainOf,
  type Exchange,
  exchangeOf,
  lifeOf,
  nextOf,
  tryPath,
  whatOf,
  whoOf,
  whyOf,
} from '../../src/web/exchange.js';

function exchange(...records: readonly object[]): Exchange {
  const found = records.map((record) => ({ record: { ...record }, file: 'x' }));
  return exchangeOf(found, 'X') ?? assert.fail();
}

const admission = {
  seq: 4,
  time: '2026-11-21T10:00:00.105Z',
  event: 'admission',
  id: 'X',
  session: 'S',
  decision: 'allow',
  rule: 'd.yaml:7',
  principal: 'anna@support',
  peer: { uid: 1000, exe: '/usr/bin/doveadm' },
  command: 'expunge',
  args: ['mailbox', { hmac: 'ab12' }, { more: 3 }],
};
const completion = {
  seq: 6,
  time: '2026-11-21T10:00:00.200Z',
  event: 'completion',
  id: 'X',
  outcome: 'ok',
  status: '+',
  sent: true,
  wait_ms: 20.5,
  first_byte_ms: 30,
  duration_ms: 100,
};

void test('the line of time: what the records have of it, each step after the one before', () => {
  const life = lifeOf(exchange(admission, completion)).map(({ what, ms }) => [what, ms]);
  assert.deepEqual(life, [
    ['came', 0],
    ['recorded', 5],
    ['sent', 25.5],
    ['first byte', 55.5],
    ['ended', 100],
  ]);
  const denied = lifeOf(
    exchange(admission, { ...completion, sent: false, wait_ms: undefined, outcome: 'denied' }),
  );
  assert.deepEqual(
    denied.map(({ what, ms }) => [what, ms]),
    [
      ['came', 0],
      ['recorded', 5],
      ['sent', undefined],
      ['ended', 100],
    ],
  );
  assert.match(denied[2]?.about ?? '', /nothing was sent to a backend/);
  assert.deepEqual(
    lifeOf(exchange(admission)).map(({ what }) => what),
    ['came', 'recorded', 'sent', 'not ended'],
  );
  // The clock was set back between the two: nothing is negative or after the end.
  const odd = lifeOf(exchange({ ...admission, time: '2026-11-21T11:00:00.000Z' }, completion));
  assert.ok(odd.every(({ ms = 0 }) => ms >= 0 && ms <= 100));
  assert.ok(lifeOf(exchange({ event: 'admission', id: 'X' })).every(({ ms = 0 }) => ms === 0));
});

void test('who, what and why are what the records say, and nothing that they do not', () => {
  const one = exchange(admission, completion);
  assert.deepEqual(whoOf(one), [
    { what: 'Name', value: 'anna@support' },
    { what: 'uid', value: '1000' },
    { what: 'Program', value: '/usr/bin/doveadm' },
  ]);
  assert.deepEqual(whatOf(one), [{ what: 'Command', value: 'expunge' }]);
  assert.deepEqual(whyOf(one), [
    { what: 'Decision', value: 'allow' },
    { what: 'Rule', value: 'd.yaml:7' },
  ]);
  assert.deepEqual(argumentsOf(one), [
    { text: 'mailbox' },
    { text: '(not recorded)', hmac: 'ab12' },
    { text: '(3 more, not recorded)' },
  ]);
  for (const strange of [
    { event: 'admission', id: 'X', args: 'x', peer: 'y' },
    { event: 'log', id: 'X' },
  ])
    assert.deepEqual([whoOf(exchange(strange)), argumentsOf(exchange(strange))], [[], []]);
});

void test('its session and its twins are apart from it; hashes are there only if the records have them', () => {
  const one = exchange(
    { seq: 3, event: 'session-open', session: 'S' },
    { ...admission, hash: 'aa' },
    { seq: 5, event: 'admission', id: 'T', for: 'X' },
    { ...completion, hash: 'bb' },
  );
  assert.equal(one.session.opened?.['seq'], 3);
  assert.deepEqual(
    one.twins.map(({ id }) => id),
    ['T'],
  );
  assert.deepEqual(chainOf(one), [
    { seq: 4, event: 'admission', hash: 'aa' },
    { seq: 6, event: 'completion', hash: 'bb' },
  ]);
  assert.deepEqual(chainOf(exchange(admission)), []);
  assert.equal(exchangeOf([], undefined), undefined);
});

void test('a command can be tried again where its words are recorded: at its listener, as who asked', () => {
  const plain = {
    ...admission,
    listener: 'support',
    user: 'bob@example.org',
    args: ['--', 'mailbox', 'a b'],
  };
  assert.equal(
    tryPath(exchange(plain)),
    '/access?listener=support&as=1000&user=bob%40example.org&line=expunge+--+mailbox+%27a+b%27',
  );
  const { peer: _peer, ...remote } = plain;
  assert.match(tryPath(exchange(remote)) ?? '', /&as=anna&/);
  // A secret and a part that is not recorded would be another command.
  assert.equal(tryPath(exchange({ ...admission, listener: 'support' })), undefined);
});

void test('who acts next after a denial: who writes policies, or the requester where on_request offers it', () => {
  const text = 'no rule allows "expunge"';
  const refused = { ...admission, decision: 'deny', policy: 'helpdesk', rule: undefined, text };
  const over = { ...completion, outcome: 'denied', sent: false };
  const policyOf = (items: string): string =>
    `version: 1\npolicies:\n  helpdesk:\n    allow:\n      - quota get\n    on_request:\n${items}    requests:\n      open: 2\n`;
  const writer = 'the person who writes policies, if this should be allowed (no rule yet, policy helpdesk).';
  const next = (items: string, more: object = {}) =>
    nextOf(exchange({ ...refused, ...more }, over), policyOf(items));
  const offered =
    /^Who acts next: the requester, who can ask for access: on_request of policy helpdesk has "expunge"/;
  assert.match(next('      - expunge\n') ?? '', offered);
  assert.match(next('      - mailbox list\n      - for: 1h\n        command: expunge\n') ?? '', offered);
  assert.match(next('      - command: expunge\n        for: 1h\n') ?? '', offered);
  assert.equal(next('      - mailbox list\n'), `Who acts next: ${writer}`);
  assert.equal(nextOf(exchange(refused, over), undefined), `Who acts next: ${writer}`);
  assert.equal(
    next('      - expunge\n', { rule: 'd.yaml:9', text: 'a rule of policy helpdesk denies "expunge"' }),
    'Who acts next: the person who writes policies, if this should be allowed (rule d.yaml:9, policy helpdesk).',
  );
  assert.equal(nextOf(exchange(admission, completion), undefined), undefined);
});
