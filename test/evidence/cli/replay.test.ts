// Goal: a journal, compressed or not, is judged by a configuration; what would change is told with how often, by whom and why.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deskConfiguration, linesOf, openDesk, writeJournal } from '../../whole/cli/desk.js';

const atMs = Date.UTC(2026, 10, 20, 12);
const sent = [
  { listener: 'support', user: 'bob', words: ['quota', 'get'], atMs },
  { listener: 'support', user: 'eve', words: ['quota', 'get'], atMs: atMs + 1000 },
  { listener: 'support', user: 'bob', words: ['mailbox', 'delete', 'Old\u202e'], atMs },
  { listener: 'support', user: 'bob', words: ['nonsense'], atMs },
  { listener: 'audit', user: 'bob', words: ['search', 'subject', 'salary'], atMs },
] as const;

test('nothing changes under the same configuration: 0; under another: 1, and what', async (t) => {
  const { run, folder } = openDesk(t);
  writeJournal(folder, sent);
  const same = await run('test', '--replay', 'audit');
  assert.equal(same.exit, 0, same.text);
  assert.deepEqual(linesOf(same), [
    '4 records judged: 4 as before, 0 allow -> deny, 0 deny -> allow',
    '1 of them with secrets or words of mails, which are recorded as digests and were judged as unknown words',
    '1 not judged: with no command that could be read',
  ]);

  const changed = deskConfiguration
    .replace('      - quota get\n', '')
    .replace('deny: [mailbox delete]', 'deny: []')
    .replace('- mailbox list', '- mailbox delete')
    .replace('mode: observe', 'mode: enforce');
  const other = openDesk(t, changed);
  const told = await other.run('test', '--replay', join(folder, 'audit'));
  assert.equal(told.exit, 1, told.text);
  assert.deepEqual(linesOf(told).slice(0, 4), [
    'allow -> deny  quota get --',
    '2 times, last 2026-11-20T12:00:01.000Z, by carol@support at support, for bob@example.com and 1 other',
    'then: allowed by dovegate.yaml:15',
    'now:  no rule allows "quota get"',
  ]);
  assert.match(told.text, /^deny -> allow {2}mailbox delete -- 'Old\\u\{202e\}'$/m);
  for (const said of [
    /^ {4}once, last 2026-11-20T12:00:00\.000Z, by carol@audit at audit, for bob@example\.com$/m,
    /^allow -> deny {2}search -- subject hmac:[0-9a-f]{16}\n.*\n {4}then: allowed by observing\n/m,
    /^ {4}some of its words are known as digests only/m,
    /^4 records judged: 0 as before, 3 allow -> deny, 1 deny -> allow$/m,
  ])
    assert.match(told.text, said);
});

test('a candidate is judged in the place of its policy, as suggest prints it', async (t) => {
  const { run, folder } = openDesk(t);
  writeJournal(folder, sent);
  writeFileSync(
    join(folder, 'next.yaml'),
    'policies:\n  support:\n    users: ["*@example.com"]\n    allow: [mailbox list]\n',
  );
  const told = await run('test', '--replay', 'audit', '--candidate', 'next.yaml', '--coverage');
  assert.equal(told.exit, 1, told.text);
  assert.match(told.text, /^ {4}now: {2}no rule allows "quota get"$/m);
  assert.match(told.text, /^4 records judged: 2 as before, 2 allow -> deny, 0 deny -> allow$/m);
  assert.match(told.text, /^ {2}\S*next\.yaml:4 +support +allow +mailbox list$/m);

  for (const [policies, said] of [
    ['support: { users: ["*"], allow: [mailbox lst] }', /next\.yaml:1:\d+: .*did you mean mailbox list/],
    ['suport: { users: ["*"], allow: [who] }', /has no policy "suport"; did you mean support\?/],
    ['', /next\.yaml: .*policies: NAME/],
  ] as const) {
    writeFileSync(join(folder, 'next.yaml'), policies === '' ? '{}' : `policies: { ${policies} }`);
    const refused = await run('test', '--replay', 'audit', '--candidate', 'next.yaml');
    assert.equal(refused.exit, 78, refused.text);
    assert.match(refused.stderr, said);
  }
  assert.equal((await run('test', '--replay', 'audit', '--candidate', 'nowhere.yaml')).exit, 78);
  assert.equal((await run('test', '--candidate', 'next.yaml')).exit, 64);
});

test('a journal with a hole is 65, unless that is accepted; what was not judged is said', async (t) => {
  const { run, folder } = openDesk(t);
  const many = Array.from({ length: 30 }, (_, at) => ({ ...sent[0], atMs: atMs + at }));
  writeJournal(folder, many);
  const directory = join(folder, 'audit');
  const [first = '', second = ''] = readdirSync(directory).toSorted();
  const lines = readFileSync(join(directory, second), 'utf8').split('\n');
  writeFileSync(join(directory, second), lines.toSpliced(3, 2).join('\n'));
  const told = await run('test', '--replay', 'audit');
  assert.equal(told.exit, 65, told.text);
  assert.match(told.stderr, /has \d+ records, but their numbers go from \d+ to \d+\n.*--accept-holes/);
  assert.equal((await run('test', '--replay', 'audit', '--accept-holes')).exit, 0);

  writeFileSync(join(directory, second), lines.join('\n'));
  assert.equal((await run('test', '--replay', 'audit')).exit, 0);
  rmSync(join(directory, first));
  const begun = await run('test', '--replay', 'audit');
  assert.equal(begun.exit, 65, begun.text);
  assert.match(begun.stderr, /its first record is \d+, and it does not say that earlier ones were retired/);
  // A segment that is named alone is judged alone.
  assert.equal((await run('test', '--replay', `audit/${second}`)).exit, 0);
});
