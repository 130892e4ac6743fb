// Goal: suggest reads the journal of the configuration, of one listener, as far back as asked; what it prints is a configuration.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deskConfiguration, openDesk, writeJournal } from '../../whole/cli/desk.js';

const dayMs = 86_400_000;
/** Here, since not everybody may make what the defaults name. */
const audit = 'state: state\naudit: { directory: audit, memory: off }\n';
const configuration = `${deskConfiguration}${audit}`;

test('what the listener did in that time, as a file that check takes', async (t) => {
  const { run, folder } = openDesk(t, configuration);
  const atMs = Date.now() - dayMs;
  writeJournal(folder, [
    { listener: 'audit', user: 'bob', words: ['mailbox', 'list', 'INBOX'], atMs: atMs - 9 * dayMs },
    { listener: 'audit', user: 'bob', words: ['mailbox', 'status', 'all', 'INBOX'], atMs },
    { listener: 'support', user: 'bob', words: ['quota', 'get'], atMs },
    { listener: 'audit', user: 'bob', words: ['mailbox', 'create', '*\u001b[2J'], atMs },
    { listener: 'audit', user: 'bob', words: ['mailbox', 'create', '*\u001b[2J'], atMs },
  ]);
  const told = await run('suggest', '--listener', 'audit');
  assert.equal(told.exit, 0, told.text);
  assert.doesNotMatch(told.text, /mailbox list|\u001b/);
  assert.match(told.text, /^ {6}# not used at listener audit since .*\n {6}- quota get$/m);
  assert.match(
    told.text,
    /^ {6}- mailbox status\n {6}# 2 times .*\n {6}# widened: 1 user to \*@example\.com\n {6}- command: mailbox create\n/m,
  );
  const month = await run('suggest', '--listener', 'audit', '--since', '4w');
  assert.match(month.text, /^ {6}- mailbox list$/m);

  const rest = configuration.slice(0, configuration.indexOf('  watch:'));
  writeFileSync(join(folder, 'dovegate.yaml'), `include: [watch.yaml]\n${rest}${audit}`);
  writeFileSync(join(folder, 'watch.yaml'), told.stdout);
  writeFileSync(join(folder, 'mail1.password'), 'x', { mode: 0o600 });
  assert.equal((await run('check')).text, 'dovegate.yaml: no problems\n');
});

test('all policies in one file: the shadow of each at once, and then in the place of all', async (t) => {
  const { run, folder } = openDesk(t, configuration);
  const atMs = Date.now() - dayMs;
  writeJournal(folder, [
    { listener: 'audit', user: 'bob', words: ['mailbox', 'status', 'all', 'INBOX'], atMs },
  ]);
  const told = await run('suggest', '--all');
  assert.equal(told.exit, 0, told.text);
  assert.equal(told.text.match(/^policies:$/gm)?.length, 1);
  assert.match(told.text, /^ {2}watch:\n(?: {4}.*\n)* {6}- mailbox status$/m);
  // Without a record it stands as it is.
  assert.match(told.text, /^ {2}support:\n(?: {4}.*\n)* {6}# not used\n {6}- /m);
  assert.match(
    told.text,
    /^dovegate: .*\/audit holds no command of policy support in that time: it is printed as it stands$/m,
  );
  assert.doesNotMatch(told.text, /no command of policy watch/);
  writeFileSync(join(folder, 'next.yaml'), told.stdout);
  writeFileSync(join(folder, 'mail1.password'), 'x', { mode: 0o600 });
  const file = join(folder, 'dovegate.yaml');
  writeFileSync(file, `${configuration}shadow: next.yaml\n`);
  assert.equal((await run('check', '--verbose')).text.match(/^candidate of policy/gm)?.length, 2);
  assert.equal((await run('test', '--replay', 'audit', '--candidate', 'next.yaml')).exit, 0);
  const rest = configuration.slice(0, configuration.indexOf('policies:'));
  writeFileSync(file, `include: [next.yaml]\n${rest}${audit}`);
  assert.equal((await run('check')).text, 'dovegate.yaml: no problems\n');
});

test('of a policy: what all its people did, at whatever listener', async (t) => {
  const both = configuration.replace('policy: support }', 'policy: watch }');
  const { run, folder } = openDesk(t, both);
  const atMs = Date.now() - dayMs;
  const sent = [
    { listener: 'audit', user: 'bob', words: ['mailbox', 'list'], atMs, principal: 'anna@audit' },
    { listener: 'support', user: 'bob', words: ['sieve', 'list'], atMs },
  ];
  writeJournal(folder, sent, both);
  const told = await run('suggest', '--policy', 'watch');
  assert.equal(told.exit, 0, told.text);
  assert.match(
    told.stdout.toString(),
    /^# Suggested from what was judged by policy watch from .*: 2 records, of which this allows 2\.$/m,
  );
  assert.match(told.text, /- mailbox list\n[^]*- sieve list\n/);
  assert.match(told.text, /^ {6}# not used since [^\n]*\n {6}- quota get$/m);
  const nobody = await run('suggest', '--policy', 'wach');
  assert.equal(nobody.exit, 64);
  assert.match(nobody.stderr, /has no policy "wach"; did you mean watch\?/);
  assert.equal((await run('suggest', '--policy', 'watch', '--listener', 'audit')).exit, 64);
  assert.equal((await run('suggest')).exit, 64);
});

test('nothing seen is 1, no journal 78, a wrong duration 64', async (t) => {
  const { run, folder } = openDesk(t, configuration);
  assert.equal((await run('suggest', '--listener', 'audit')).exit, 78);
  writeJournal(folder, [{ listener: 'support', user: 'bob', words: ['quota get'], atMs: Date.now() }]);
  const told = await run('suggest', '--listener', 'audit');
  assert.equal(told.exit, 1);
  assert.match(told.stderr, /no command of listener audit/);
  assert.equal((await run('suggest', '--listener', 'support')).exit, 0);
  assert.equal((await run('suggest', '--listener', 'support', '--since', '7')).exit, 64);
  assert.equal((await run('suggest', '--listener', 'nobody')).exit, 64);
  assert.equal((await run('suggest', '--help')).exit, 0);
});
