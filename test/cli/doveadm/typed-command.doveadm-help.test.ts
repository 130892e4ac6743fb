// Goal: commands and usage are listed as the real program lists them, those that go over a socket and no others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usageLine, writeCommands, writeUsage } from '../../../src/cli/doveadm/typed-command.js';

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
