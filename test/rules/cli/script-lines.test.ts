// Goal: an administrator asks about every call of doveadm in a script or a crontab at once, and gets the rules to add with stars where the
// script has variables. What must not happen: a call that is left out without a word, something of the script that runs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { linesOfScript, withStars } from '../../../src/rules/cli/script-lines.js';
import { deskConfiguration, linesOf, openDesk } from '../../whole/cli/desk.js';

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
  const numbers = linesOfScript(script, '')
    .map(({ number }) => number)
    .join('');
  assert.equal(numbers, '24445');
});

test('doveadm behind a variable is not judged: each line that calls it is named, and the exit is not that of "all allowed"', async (t) => {
  const script = [
    'DV=doveadm',
    'OTHER="/usr/bin/doveadm -o mail_debug=yes"; RESULT=$(doveadm quota get -u bob@example.com)',
    'export VIA="sudo $DV"',
    '[ -x "$DV" ] || exit 1; echo $RESULT of it',
    '$DV expunge -A mailbox Trash all',
    '  "${OTHER}" quota get -u $u && sudo $VIA who',
    '# $DV purge -A',
    'doveadm quota get -A',
    'say() { "$LATER" who; }; LATER=doveadm',
    'WHOLE="doveadm purge"',
    '$WHOLE -A',
    'doveadm "$CMD" -u bob@example.com',
  ].join('\n');
  const calls = linesOfScript(script, 'bob@example.com');
  const found = calls.map((each) => [each.number, each.text, each.fault]);
  const fault = (name: string): string =>
    `${name} is doveadm here, and what a variable calls is not judged: write doveadm there`;
  const unseen = 'its command is in a variable, which is not judged: write it there';
  assert.deepEqual(found, [
    [2, 'doveadm quota get -u bob@example.com', undefined],
    [5, '$DV expunge -A mailbox Trash all', fault('DV')],
    [6, '${OTHER} quota get -u $u', fault('OTHER')],
    [6, '$VIA who', fault('VIA')],
    [8, 'doveadm quota get -A', undefined],
    [9, '$LATER who', fault('LATER')],
    [11, '$WHOLE -A', fault('WHOLE')],
    [12, 'doveadm "$CMD" -u bob@example.com', unseen],
  ]);
  const { folder, run } = openDesk(t, deskConfiguration);
  const told = async (text: string) => {
    writeFileSync(join(folder, 'job'), text);
    return run('explain', '--listener', 'support', '--user', 'bob@example.com', '--lines', 'job');
  };
  const hidden = await told('DV=doveadm\ndoveadm quota get -u bob@example.com\n$DV expunge -A all\n');
  assert.equal(hidden.exit, 64, hidden.text);
  assert.match(hidden.text, /^job:3: \$DV expunge -A all\n {2}not asked about: DV is doveadm here/m);
  assert.match(hidden.text, /^job: 1 of 2 calls of doveadm are allowed, 1 is not judged$/m);
  const forAll = await told('doveadm quota get -A\n');
  assert.equal(forAll.exit, 64, forAll.text);
  assert.match(
    forAll.text,
    /^ {2}for bob@example\.com alone: allowed by .*\n {2}"doveadm -S" does not send it as it stands: dovegate send/m,
  );
  assert.match(forAll.text, /^job: 0 of 1 calls of doveadm are allowed, 1 only in another form$/m);
});

test('explain --lines: the decision on each call, and the rules', async (t) => {
  const { folder, run } = openDesk(t, deskConfiguration);
  const loop = 'for u in $users; do doveadm backup -u $u mdbox:/b/$1/$u; done\n';
  writeFileSync(join(folder, 'job'), `doveadm quota get -u bob@example.com\n${loop}`);
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
