// Goal: can lists what a listener may do as it stands in the file, each rule with its line, conditions and limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deskConfiguration, linesOf, openDesk, requestable } from '../../whole/cli/desk.js';

test('the rules of a listener, with users, exceptions and limits', async (t) => {
  const { run } = openDesk(t);
  const told = await run('can', '--listener', 'support');
  assert.equal(told.exit, 0);
  const lines = linesOf(told).map((line) => line.replaceAll(/ {2,}/g, '  '));
  assert.match(lines[0] ?? '', /^listener {2}support \(.*support\.sock\)$/);
  assert.deepEqual(lines.slice(1, -3), [
    'policy  support (dovegate.yaml:11)',
    'for users  *@example.com *@example.net',
    'except  ceo@example.com',
    'at most  60 a minute, 50 an hour of different users, 2 at once',
    'log lines  why a command failed, in words of dovegate',
    'may run:',
    'quota get  read  dovegate.yaml:15',
    'mailbox list  read  dovegate.yaml:16',
    'fetch  read  dovegate.yaml:17',
    'field: uid or flags',
    'no other options',
    'flags add  write *  dovegate.yaml:19',
    'query: every mail it selects has mailbox Trash or Junk and savedbefore at least 30d',
    'no other options',
    'the client must say why',
    'at most 20 an hour',
    `* Dovecot's own "doveadm -S" cannot send it: it asks its own machine about server commands, and has no place for`,
    'a reason. "dovegate send" can, and so can dovegate under the name of doveadm.',
    'and never:',
    'mailbox delete  destroy  dovegate.yaml:23',
  ]);
});

test('what the real doveadm cannot send over a socket is marked', async (t) => {
  const rules =
    '[quota get, who, { command: backup, root_equivalent: true }, user, { command: purge, reason: required }]';
  const { run } = openDesk(t, deskConfiguration.replace(/allow: \[quota get\]\n$/, `allow: ${rules}\n`));
  const told = linesOf(await run('can', '--listener', 'audit'));
  const marked = told.flatMap((line) => /^(\w+(?: \w+)?) +\w+ \*/.exec(line)?.[1] ?? []);
  assert.deepEqual(marked, ['who', 'user', 'purge']);
  const json = JSON.parse((await run('can', '--listener', 'audit', '--json')).stdout.toString());
  const sendable = json.allow.map(({ doveadm }: { doveadm: boolean }) => doveadm);
  assert.deepEqual(sendable, [true, false, true, false, false]);
});

test('what is available on request stands apart, and so do the policies that it may approve', async (t) => {
  const { run } = openDesk(t, requestable);
  const told = linesOf(await run('can', '--listener', 'support')).map((line) =>
    line.replaceAll(/ {2,}/g, '  '),
  );
  const at = told.indexOf('on request (dovegate request):');
  assert.deepEqual(told.slice(at + 1, at + 8), [
    'mailbox list  read  dovegate.yaml:17',
    'approved by 1 person, for 2h, for the users of the request, 20 times',
    'as: dovegate request --user USER@example.com --reason WHY -- mailbox list',
    'expunge  destroy  dovegate.yaml:18',
    'approved by 2 persons, for 1h, for one command line, once',
    'as: dovegate request --user USER@example.com --reason WHY -- expunge QUERY',
    'may approve requests of: support',
  ]);
  const json = JSON.parse((await run('can', '--listener', 'support', '--json')).stdout.toString());
  assert.deepEqual(json.approve, ['support']);
  const [first] = json.onRequest;
  const terms = [first.command, first.approvals, first.for, first.scope, first.uses, first.rule];
  assert.deepEqual(terms, ['mailbox list', 1, '2h', 'user', 20, 'dovegate.yaml:17']);
});

test('observe is said; an unknown listener is 64, a broken configuration 78', async (t) => {
  const { run } = openDesk(t);
  const { text } = await run('can', '--listener', 'audit');
  assert.match(text, /observes only/);
  assert.match(text, /for users +\*@example\.com; others too, since it observes\n/);
  assert.doesNotMatch(text, /What is not listed is denied/);
  assert.match(
    text,
    /served and recorded, also where it is not listed, and for users outside of "for users" or under "except"/,
  );
  assert.match((await run('can', '--listener', 'support')).text, /What is not listed is denied/);
  assert.equal((await run('can', '--listener', 'nobody')).exit, 64);
  assert.equal((await openDesk(t, 'version: 2').run('can', '--listener', 'support')).exit, 78);
  assert.equal((await run('can', '--help')).exit, 0);
});
