import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  readSentCommand,
  readTypedCommand,
  usageLine,
  writeCommands,
  writeUsage,
} from '../../../src/cli/doveadm/typed-command.js';
import { CommandFault } from '../../../src/cli/output/output.js';

void test('what concerns this end only is taken out of what goes over the wire', () => {
  const typed = readTypedCommand(['mailbox', 'delete', '-S', '/run/s', '-u', 'alice', '-rs', 'Old']);
  assert.equal(typed.command.name, 'mailbox delete');
  assert.deepEqual([typed.socket, typed.user], ['/run/s', 'alice']);
  assert.deepEqual(typed.args, ['-s', '-r', '--', 'Old']);
  const everybody = readTypedCommand(['purge', '-A']);
  assert.deepEqual([everybody.isAllUsers, everybody.args], [true, ['--']]);
  assert.equal(readTypedCommand(['purge', '-F', 'list']).userFile, 'list');
});

void test('the text of save and sieve put is read here', () => {
  assert.deepEqual(readTypedCommand(['save', '-u', 'a']).input, { file: undefined });
  assert.deepEqual(readTypedCommand(['save', '-u', 'a', '-']).input, { file: undefined });
  const named = readTypedCommand(['sieve', 'put', '-a', 'main', '/tmp/script']);
  assert.deepEqual([named.input, named.args], [{ file: '/tmp/script' }, ['-a', '--', 'main']]);
  assert.equal(readTypedCommand(['quota', 'get']).input, undefined);
});

void test('send sends a command of no catalog as it is typed, without a text; others are read as ever', () => {
  const typed = readSentCommand(['site', 'scan', '-d', '3', '--', 'INBOX']);
  assert.deepEqual([typed.command.name, typed.args], ['site', ['scan', '-d', '3', '--', 'INBOX']]);
  assert.deepEqual([typed.input, typed.user, typed.command.effect], [undefined, undefined, 'admin']);
  assert.deepEqual(readSentCommand(['quota', 'get']).args, readTypedCommand(['quota', 'get']).args);
  for (const words of [['quota', 'get', 'extra'], ['pw'], ['OPTION', 'log-passthrough'], ['', 'x'], ['-x']])
    assert.throws(() => readSentCommand(words), CommandFault, words.join(' '));
});

const refused: readonly [number, ...string[]][] = [
  [64, 'nonsense'],
  [64, 'mailbox'],
  [64, 'pw'],
  [64, 'config', '-n'],
  [64, 'mailbox', 'mutf7', 'x'],
  [64, 'dsync-server'],
  [64, 'quota', 'get', 'extra'],
  [64, 'mailbox', 'create'],
  [64, 'mailbox', 'status', 'bogus', 'INBOX'],
  [64, 'expunge', 'all'],
  [75, 'fetch', 'bogus', 'all'],
  [75, 'search', 'bogus'],
  [75, 'expunge', 'mailbox', 'INBOX', 'bogus'],
];

for (const [code, ...words] of refused) {
  test(`${words.join(' ')}: ${code}`, () => {
    assert.throws(
      () => readTypedCommand(words),
      (fault) => fault instanceof CommandFault && fault.exitCode === code,
    );
  });
}

void test('what only 2.3 has is read as 2.3 has it', () => {
  assert.equal(readTypedCommand(['replicator', 'status']).parsed.series, '2.3');
  assert.equal(readTypedCommand(['quota', 'get']).parsed.series, '2.4');
  assert.equal(readTypedCommand(['quota', 'get'], '2.3').parsed.series, '2.3');
});

// Goal: commands and usage are listed as the real program lists them, those that go over a socket and no others.

void test('the list: a line for each command or group, groups by their words', () => {
  const lines = (writeCommands('') ?? '').split('\n');
  assert.equal(lines[0], usageLine(''));
  assert.ok(lines.includes('  flags        add|remove|replace'));
  assert.ok(
    lines.includes(
      '  mailbox      cache|create|cryptokey|delete|list|metadata|path|rename|status|subscribe|unsubscribe|update',
    ),
  );
  assert.ok(lines.includes('  reload'));
  assert.ok(lines.includes('  search       [-u <user>|-A] [-S <socket_path>] <search query>'));
  for (const local of ['config', 'exec', 'pw', 'help', 'dovegate'])
    assert.ok(!lines.some((line) => line.startsWith(`  ${local} `)), local);
});

void test('a group, and what is none', () => {
  const lines = (writeCommands('mailbox') ?? '').split('\n');
  assert.equal(lines[0], 'usage: doveadm [-Dv] [-f <formatter>] mailbox <command> [<args>]');
  assert.ok(lines.includes('  cache        decision|purge|remove'));
  assert.ok(
    lines.includes('  status       [-u <user>|-A] [-S <socket_path>] [-t] <fields> <mailbox-mask> [...]'),
  );
  assert.equal(writeCommands('quota get'), undefined);
  assert.equal(writeCommands('nonsense'), undefined);
});

void test('the usage of a command', () => {
  assert.equal(writeUsage(['quota', 'get']), 'doveadm quota get [-u <user>|-A] [-S <socket_path>]');
  assert.equal(
    writeUsage(['mailbox', 'create']),
    'doveadm mailbox create [-u <user>|-A] [-S <socket_path>] [-s] [-g <guid>] <mailbox> [...]',
  );
  assert.match(writeUsage(['save']) ?? '', /< <text>$/);
  assert.equal(writeUsage(['mailbox']), undefined);
});
