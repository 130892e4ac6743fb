import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  readSentCommand,
  readTypedCommand,
  writeUsage,
} from '../../../src/doveadm/commands/typed-command.js';
import { CommandFault } from '../../../src/host/output/output.js';

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

void test('a list by --field or --flag stands for the positional, and a long option may be shortened, as in the real program', () => {
  for (const [words, args] of [
    ['fetch|--field=uid|all', '--|uid|all'],
    ['fetch|--field=uid|--field|flags|mailbox|INBOX', '--|uid flags|mailbox|INBOX'],
    ['fetch|--fieldstr=uid|all', '--|uid|all'],
    ['flags add|--flag=\\Seen|mailbox|INBOX|all', '--|\\Seen|mailbox|INBOX|all'],
    ['mailbox status|--field=messages|INBOX|Sent', '--|messages|INBOX|Sent'],
    ['mailbox cache decision|--fields=flags|--dec=yes|INBOX', '-f|flags|-d|yes|--|INBOX'],
  ] as const) {
    const [name = '', ...typed] = words.split('|');
    for (const series of ['2.3', '2.4'] as const)
      assert.equal(readTypedCommand([...name.split(' '), ...typed], series).args.join('|'), args, words);
  }
  assert.throws(() => readTypedCommand(['mailbox', 'list', '--use=bob']), /--user or --user-file/);
});

const refused: readonly string[] = [
  'nonsense|mailbox|pw|config -n|mailbox mutf7 x|dsync-server|quota get extra|mailbox create|mailbox status bogus INBOX',
  'expunge all|fetch bogus all|search bogus|expunge mailbox INBOX bogus',
];

for (const line of refused.flatMap((lines) => lines.split('|'))) {
  test(`${line}: wrong usage`, () => {
    const isUsage = (fault: unknown) => fault instanceof CommandFault && fault.exitCode === 64;
    assert.throws(() => readTypedCommand(line.split(' ')), isUsage);
  });
}

void test('what only 2.3 has is read as 2.3 has it', () => {
  assert.equal(readTypedCommand(['replicator', 'status']).parsed.series, '2.3');
  assert.equal(readTypedCommand(['quota', 'get']).parsed.series, '2.4');
  assert.equal(readTypedCommand(['quota', 'get'], '2.3').parsed.series, '2.3');
});

void test('usage: of what goes over a socket, for a command, for a group, for all', () => {
  assert.equal(writeUsage(['quota', 'get']), 'doveadm quota get [-u <user>|-A] [-S <socket_path>]');
  const usage = 'doveadm mailbox create [-u <user>|-A] [-S <socket_path>] [-s] [-g <guid>] <mailbox> [...]';
  assert.equal(writeUsage(['mailbox', 'create']), usage);
  assert.match(writeUsage(['save']) ?? '', /< <text>$/);
  const ofFlags = /^doveadm flags add .*\ndoveadm flags remove .*\ndoveadm flags replace .*$/;
  assert.match(writeUsage(['flags']) ?? '', ofFlags);
  assert.equal(writeUsage(['nonsense']), undefined);
  const all = (writeUsage([]) ?? '').split('\n');
  assert.ok(all.length > 60);
  for (const local of ['config', 'exec', 'pw', 'help', 'dovegate'])
    assert.ok(!all.some((line) => line.startsWith(`doveadm ${local} `)), local);
});
