// Goal: an administrator asks about every call of doveadm in a script or a crontab at once, and gets the rules to add with stars where the
// script has variables. What must not happen: a call that is left out without a word, something of the script that runs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { linesOfScript, withStars } from '../../../src/cli/policy/script-lines.js';
import { deskConfiguration, linesOf, openDesk } from '../desk.js';

const asked = (script: string, user = 'bob@example.com') =>
  linesOfScript(script, user).map(({ asked: found, fault }) =>
    found === undefined ? fault : [found.user, ...found.words.map(withStars)].join(' '),
  );

test('words are split as a shell does, up to the end of the command', () => {
  const script = [
    '# doveadm quota get -A',
    'doveadm -f tab mailbox status -u carol@example.com \\',
    "  'messages vsize' \"INBOX\" 2>/dev/null | awk '{print $1}'",
    'x=`doveadm quota get -u bob@example.com`; /usr/bin/doveadm who > /tmp/x && doveadm purge -u a\\b',
    '0 3 * * * doveadm mailbox list -u bob@example.com # nightly',
  ].join('\n');
  assert.deepEqual(asked(script), [
    'carol@example.com mailbox status -- messages vsize INBOX',
    'bob@example.com quota get --',
    ' who --',
    'ab purge --',
    'bob@example.com mailbox list --',
  ]);
  assert.deepEqual(
    linesOfScript(script, '').map(({ number }) => number),
    [2, 4, 4, 4, 5],
  );
});

test('a variable is a star, that of -u the user, and a number or an age', () => {
  assert.deepEqual(
    asked(
      [
        'doveadm backup -u "$u" "mdbox:/backup/$(date +%a)/${u}"',
        'doveadm backup -u "$u" mdbox:/backup/`date +%u`/x-$u:LAYOUT=fs',
        'doveadm move -u carol@example.com Archive-$1 mailbox INBOX savedbefore ${DAYS}d',
        'doveadm quota get -A',
      ].join('\n'),
    ),
    [
      'bob@example.com backup -- mdbox:/backup/*/<user>',
      'bob@example.com backup -- mdbox:/backup/*/x-*:LAYOUT=fs',
      'carol@example.com move -- Archive-* mailbox INBOX savedbefore *d',
      'bob@example.com quota get --',
    ],
  );
});

test('a call that cannot be asked about says why, and how it goes where doveadm -S does not send it', () => {
  const lines = linesOfScript('doveadm quota get -u $u\ndoveadm pw\ndoveadm who\ndoveadm purge -u x', '');
  assert.deepEqual(
    lines.map(({ fault, instead }) => [fault, instead]),
    [
      ['it is for any user: name one to ask about, as --user bob@example.com', undefined],
      [`"pw" works only on Dovecot's own machine: no server has it`, undefined],
      [undefined, 'dovegate send'],
      [undefined, undefined],
    ],
  );
});

test('explain --lines: the decision on each call, and the rules', async (t) => {
  const { folder, run } = openDesk(t, deskConfiguration);
  writeFileSync(
    join(folder, 'job'),
    'doveadm quota get -u bob@example.com\nfor u in $users; do doveadm backup -u $u mdbox:/b/$1/$u; done\n',
  );
  const options = ['--listener', 'support', '--user', 'bob@example.com', '--lines'];
  const told = await run('explain', ...options, 'job');
  assert.equal(told.exit, 77, told.text);
  const lines = linesOf(told);
  assert.match(lines.join('\n'), /^job:1: doveadm quota get -u bob@example\.com\n *allowed by /);
  assert.match(told.text, /^job:2: doveadm backup -u \$u mdbox:\/b\/\$1\/\$u\n {2}denied: /m);
  assert.match(told.text, /where: \{ destination: \["mdbox:\/b\/\*\/<user>"\] \}/);
  assert.match(told.text, /^job: 1 of 2 calls of doveadm are allowed$/m);
  writeFileSync(join(folder, 'none'), 'true\n');
  assert.equal((await run('explain', ...options, 'none')).exit, 1);
  assert.equal((await run('explain', ...options, 'job', '--', 'who')).exit, 64);
});

test('the rules for all denied calls are lines to paste at once, each of them once', async (t) => {
  const empty = deskConfiguration.replace(
    /users: \["\*@example\.com"\]\n {4}allow: \[quota get\]\n$/,
    'users: ["*"]\n    allow: []\n',
  );
  const { folder, run } = openDesk(t, empty);
  writeFileSync(join(folder, 'job'), "doveadm who\ndoveadm user 'a*'\ndoveadm who\n");
  const told = await run('explain', '--listener', 'audit', '--lines', 'job');
  assert.equal(told.exit, 77, told.text);
  assert.match(
    told.text,
    /^to allow what is denied, replace "allow: \[\]" of policies\.watch \(\S+\) with:\n {2}allow:\n {4}- command: who\n(?: {6}.*\n)+ {4}- command: user\n(?: {6}.*\n)+job: 0 of 3/m,
  );
});
