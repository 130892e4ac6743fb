// Goal: the policy tests of a configuration are run; what fails is told with its line and why; --coverage tells idle rules.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deskConfiguration, linesOf, openDesk, requestable } from '../../whole/cli/desk.js';

const tests = `tests:
  - { listener: support, user: bob, command: [quota, get], expect: allow }
  - { listener: support, user: ceo, command: [quota, get], expect: allow }
  - { listener: support, user: bob, command: [mailbox, list, -s], expect: deny }
  - { listener: support, user: bob, command: [fts flatcurve check, INBOX], expect: allow }
  - { listener: support, user: bob, command: [mailbox, delete, Old], expect: deny }
`;

test('failures come as a table with their lines and what was said instead', async (t) => {
  const { run } = openDesk(t, deskConfiguration + tests);
  const told = await run('test');
  assert.equal(told.exit, 1);
  const lines = linesOf(told).map((line) => line.replaceAll(/ {2,}/g, '  '));
  assert.deepEqual(lines, [
    'TEST  EXPECTED  LISTENER  USER  COMMAND',
    'dovegate.yaml:31  allow  support  ceo  quota get',
    'denied by dovegate.yaml:13: policy support excepts a user of this command (Dovecot 2.3, 2.4)',
    'dovegate.yaml:32  deny  support  bob  mailbox list -s',
    'allowed by dovegate.yaml:16 (Dovecot 2.3, 2.4)',
    "dovegate.yaml:33  allow  support  bob  'fts flatcurve check' INBOX",
    'cannot be read: Dovecot 2.3 has no such command (Dovecot 2.3)',
    'denied: no rule allows "fts flatcurve check" (Dovecot 2.4)',
    '3 of 5 tests failed',
  ]);
});

test('a test of what is available on request, and of what a grant allows', async (t) => {
  const { run } = openDesk(
    t,
    `${requestable}tests:
  - { listener: support, user: bob, command: [mailbox, list], expect: request }
  - { listener: support, user: bob, command: [mailbox, list], granted: true, expect: allow }
  - { listener: support, user: bob, command: [mailbox, list], expect: allow }
  - { listener: support, user: bob, command: [quota, get], expect: request }
`,
  );
  const told = await run('test', '--coverage');
  assert.equal(told.exit, 1);
  assert.match(told.text, /denied: no rule allows "mailbox list"; available on request by dovegate\.yaml:17/);
  assert.match(told.text, /request +support +bob +quota get\n +allowed by dovegate\.yaml:15/);
  assert.match(told.text, /2 of 4 tests failed/);
  assert.match(told.text, / dovegate\.yaml:18 +support +on_request +expunge\n/);
});

test('a test of somebody whom no peers let in says so', async (t) => {
  const only = 'policies: [{ peers: { users: [anna], groups: [desk] }, policy: support }]';
  const { run } = openDesk(
    t,
    `${deskConfiguration.replace('unix: support.sock, policy: support', `unix: support.sock, ${only}`)}tests:
  - { listener: support, as: { user: eve }, user: bob, command: [quota, get], expect: allow }
  - { listener: support, as: { user: dan, groups: [mail, web] }, user: bob, command: [quota, get], expect: request }
  - { listener: support, as: { user: anna }, user: bob, command: [quota, get], expect: allow }
`,
  );
  const told = await run('test');
  assert.equal(told.exit, 1, told.text);
  const lines = linesOf(told).filter((line) => line.startsWith('denied'));
  assert.deepEqual(lines, [
    'denied: the peers of listener support do not include eve',
    'denied: the peers of listener support do not include dan of mail, web',
  ]);
});

test('tests that pass end with 0; no tests are said to be none', async (t) => {
  const good = tests.split('\n').filter((_, at) => ![2, 3, 4].includes(at));
  const passed = await openDesk(t, deskConfiguration + good.join('\n')).run('test');
  assert.equal(passed.text, 'all 2 tests passed\n');
  assert.equal(passed.exit, 0);
  const none = await openDesk(t).run('test');
  assert.equal(none.text, 'dovegate.yaml has no policy tests (tests:)\n');
  assert.equal(none.exit, 0);
  assert.equal((await openDesk(t, 'version: 2').run('test')).exit, 78);
});

test('--coverage lists the rules that decided nothing', async (t) => {
  const { run } = openDesk(t, deskConfiguration + tests);
  const told = await run('test', '--coverage');
  assert.equal(told.exit, 1);
  const lines = linesOf(told)
    .slice(-4)
    .map((line) => line.replaceAll(/ {2,}/g, '  '));
  assert.deepEqual(lines, [
    '3 of 6 rules exercised; no test exercises:',
    'dovegate.yaml:17  support  allow  fetch',
    'dovegate.yaml:19  support  allow  flags add',
    'dovegate.yaml:28  watch  allow  quota get',
  ]);
});
