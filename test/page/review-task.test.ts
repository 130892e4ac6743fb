// Goal: what was seen under a policy, in groups whose text put together is a policy that allows it; a text is checked alone; what it would
// have refused is told; reading ends in time and says so.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFromDisk } from '../../src/adapters/host/process.js';
import type { Suggested } from '../../src/domain/admin/page/api.js';
import { parseSettings } from '../../src/domain/config/parse-settings.js';
import { formatTime } from '../../src/domain/records/audit/record.js';
import { type ReviewTask, review } from '../../src/page/review-task.js';
import { settingsLines } from '../../src/setup/configuration-lines.js';
import { writeJournal } from '../cli/desk.js';
import { recordedMs } from '../domain/judging/review/recording.js';
import { createFakeClock } from '../kit/fake-clock.js';
import { openFolder } from '../kit/folder.js';

const configuration = `version: 1
listeners: { audit: { unix: audit.sock, policy: watch }, other: { unix: other.sock, policy: strict } }
mail_users: { default_realm: example.com }
backends: { mail1: { address: "127.0.0.1:24245", tls: off, password_file: p, shared_namespaces: [] } }
routes: [{ users: ["*@example.com"], backend: mail1 }]
policies:
  watch: { mode: observe, users: ["*@example.com"], allow: [quota get] }
  strict: { users: ["*@example.com"], allow: [quota get] }
`;
function linesOf(text: string): readonly string[] {
  const { presetText } = readFromDisk;
  const { settings: read } = parseSettings('/etc/dovegate/d.yaml', {
    readText: () => text,
    glob: () => [],
    presetText,
  });
  assert.ok(read !== undefined);
  return [...settingsLines(read)];
}

const settings = linesOf(configuration);
const names = { characters: 'abcdefghijklmnopqrstuvwxyz@.', defaultRealm: 'example.com' };

function taskIn(
  folder: string,
  {
    kind = 'suggest',
    policy = 'watch',
    yaml = '',
    lines = settings,
  }: { kind?: ReviewTask['kind']; policy?: string; yaml?: string; lines?: readonly string[] } = {},
): ReviewTask {
  const directory = join(folder, 'audit');
  return { kind, names, yaml, settings: lines, directory, policy, sinceMs: 0 };
}

/** As the page puts it together. */
function textOf({ before, after, groups }: Suggested, ticked: readonly string[]): string {
  const chosen = groups.filter(({ kind, command }) => kind === 'rule' && ticked.includes(command));
  return [
    ...before,
    '    allow:',
    ...chosen.flatMap(({ yaml }) => yaml.map((line) => `      ${line}`)),
    ...after,
    '',
  ].join('\n');
}

void test('groups of what was seen; the ticked ones are a policy; what it would have refused', async (t) => {
  const folder = openFolder(t);
  const seen = { listener: 'audit', user: 'bob@example.com' };
  writeJournal(
    folder,
    [
      { ...seen, words: ['mailbox', 'list'], atMs: recordedMs },
      { ...seen, words: ['mailbox', 'list'], atMs: recordedMs + 1000, principal: 'dora@audit' },
      { ...seen, words: ['expunge', 'mailbox', 'Trash', 'all'], atMs: recordedMs + 2000 },
      { ...seen, words: ['expunge', 'mailbox', 'Trash', 'all'], atMs: recordedMs + 2500 },
      { ...seen, words: ['expunge', 'mailbox', 'Junk', 'savedbefore', '30d'], atMs: recordedMs + 3000 },
      { listener: 'other', user: 'eve@example.com', words: ['quota', 'get'], atMs: recordedMs },
    ],
    configuration,
  );
  const clock = createFakeClock();
  const found = await review(taskIn(folder), clock);
  assert.ok(found.kind === 'suggested', JSON.stringify(found));
  const { groups, looked, place } = found.value;
  assert.equal(place, '/etc/dovegate/d.yaml:7');
  assert.deepEqual(looked, {
    records: 5,
    from: new Date(recordedMs).toISOString(),
    to: new Date(recordedMs + 3000).toISOString(),
    isAll: true,
    notes: [],
  });
  assert.deepEqual(
    groups.map(({ kind, command, seen: count, byCount, effect }) => [kind, command, count, byCount, effect]),
    [
      ['rule', 'mailbox list', 2, 2, 'read'],
      ['rule', 'expunge', 2, 1, 'destroy'],
      ['once', 'expunge', 1, 1, 'destroy'],
    ],
  );
  assert.ok(found.value.before.includes('    users: ["*@example.com"]'), found.value.before.join('\n'));
  assert.deepEqual(groups[0]?.byWhom, ['carol@audit', 'dora@audit']);
  const yaml = textOf(found.value, ['mailbox list']);
  assert.deepEqual(await review(taskIn(folder, { kind: 'check', yaml }), clock), {
    kind: 'checked',
    value: { problems: [] },
  });
  const replayed = await review(taskIn(folder, { kind: 'replay', yaml }), clock);
  assert.ok(replayed.kind === 'replayed', JSON.stringify(replayed));
  const { result } = replayed.value;
  assert.equal(result?.looked.records, 5);
  assert.equal(result?.allowToDeny, 3);
  assert.deepEqual(result?.changes[0]?.words.slice(0, 1), ['expunge']);
  assert.match(result?.changes[0]?.reason ?? '', /^no rule allows "expunge"/);
  const all = textOf(found.value, ['mailbox list', 'expunge']);
  const none = await review(taskIn(folder, { kind: 'replay', yaml: all }), clock);
  assert.equal(none.kind === 'replayed' && none.value.result?.allowToDeny, 1);
});

void test('a text with errors is not replayed; their lines are those of the text; no file is read', async (t) => {
  const folder = openFolder(t);
  const problemsOf = async (yaml: string) => {
    const found = await review(taskIn(folder, { kind: 'replay', yaml }), createFakeClock());
    assert.ok(found.kind === 'replayed', JSON.stringify(found));
    return found.value.problems.map(({ severity, line, text }) => `${severity} ${line} ${text}`);
  };
  const [unknown] = await problemsOf('policies:\n  watch:\n    users: ["*"]\n    allow: [quota gett]\n');
  assert.match(unknown ?? '', /^error 4 .*did you mean/);
  for (const yaml of [
    'policies:\n  watch: { users: ["*"], allow: [], shadow: /etc/passwd }\n',
    'policies:\n  watch: { users: ["*"], use: { preset: support-desk } }\n',
    'include: [/etc/passwd]\npolicies: { watch: { users: ["*"], allow: [] } }\n',
    'listeners: {}\n',
    'policies: { other: { users: ["*"], allow: [] } }\n',
    '\0',
    'a: &a [*a]\n',
    '[[[[',
    '- '.repeat(5000),
    `x: "${'y'.repeat(40_000)}`,
  ]) {
    const problems = await problemsOf(yaml);
    assert.ok(
      problems.some((each) => each.startsWith('error ')),
      yaml.slice(0, 40),
    );
    assert.ok(!problems.join('').includes('root:'), yaml.slice(0, 40));
  }
});

// bounds.reviewReadMs
void test('reading ends in time, and says how far it came', async (t) => {
  const folder = openFolder(t);
  const sent = { listener: 'audit', user: 'bob@example.com', words: ['mailbox', 'list'] };
  writeJournal(
    folder,
    Array.from({ length: 4 }, (_, at) => ({ ...sent, atMs: recordedMs + at * 1000 })),
    configuration,
  );
  let nowMs = 0;
  // Each look at the clock takes three seconds.
  const clock = { wallMs: () => recordedMs, now: () => (nowMs += 3000) };
  const found = await review(taskIn(folder), clock);
  assert.ok(found.kind === 'suggested');
  const { looked } = found.value;
  assert.equal(looked.isAll, false);
  assert.ok(looked.records > 0 && looked.records < 4, String(looked.records));
  // The last of them, or its end.
  assert.ok(
    (looked.readTo ?? '') >= (looked.to ?? '~') && (looked.readTo ?? '~') < formatTime(recordedMs + 4000),
  );
});

void test('a policy that is not served', async (t) => {
  const found = await review(taskIn(openFolder(t), { policy: 'support' }), createFakeClock());
  assert.deepEqual(found, { kind: 'refused', text: 'there is no policy "support" any more' });
});

// bounds.reviewChanges
void test('of many changes 50 are shown, and all are counted', async (t) => {
  const folder = openFolder(t);
  const sent = { listener: 'audit', user: 'bob@example.com' };
  writeJournal(
    folder,
    Array.from({ length: 80 }, (_, at) => ({
      ...sent,
      words: ['mailbox', 'delete', `Box${at}`],
      atMs: recordedMs + at,
    })),
    configuration,
  );
  const yaml = 'policies:\n  watch: { users: ["*@example.com"], allow: [quota get] }\n';
  const found = await review(taskIn(folder, { kind: 'replay', yaml }), createFakeClock());
  assert.ok(found.kind === 'replayed', JSON.stringify(found));
  assert.equal(found.value.result?.allowToDeny, 80);
  assert.equal(found.value.result?.changes.length, 50);
});

// bounds.reviewGroups
void test('of many groups 200 are shown, and a note has their number', async (t) => {
  const folder = openFolder(t);
  const boxes = Array.from({ length: 205 }, (_, at) => `Box${at}`);
  // What a deny rule refused is a group for each rule, by the line where it is written.
  const many = `${configuration.slice(0, configuration.indexOf('policies:'))}policies:
  watch:
    users: ["*@example.com"]
    allow: [quota get]
    deny:
${boxes.map((box) => `      - { command: mailbox delete, where: { mailbox: ${box} } }`).join('\n')}
  strict: { users: ["*@example.com"], allow: [quota get] }
`;
  const sent = { listener: 'audit', user: 'bob@example.com' };
  writeJournal(
    folder,
    boxes.map((box, at) => ({ ...sent, words: ['mailbox', 'delete', box], atMs: recordedMs + at })),
    many,
  );
  const found = await review(taskIn(folder, { lines: linesOf(many) }), createFakeClock());
  assert.ok(found.kind === 'suggested', JSON.stringify(found));
  assert.equal(found.value.groups.length, 200);
  assert.deepEqual(found.value.looked.notes, ['There are 205 groups; the first 200 are here.']);
});

void test('what the policy has besides stays: presets, denials, rules that nobody used', async (t) => {
  const folder = openFolder(t);
  const seen = { listener: 'audit', user: 'bob@example.com', words: ['sieve', 'list'], atMs: recordedMs };
  const text = configuration.replace(
    'allow: [quota get] }',
    'use: [presets/support-desk], deny: [index], allow: [sieve get] }',
  );
  writeJournal(folder, [seen, seen], text);
  const task = taskIn(folder, { lines: linesOf(text) });
  const found = await review(task, createFakeClock());
  assert.ok(found.kind === 'suggested', JSON.stringify(found));
  const yaml = textOf(found.value, ['sieve list']);
  assert.match(yaml, /^ {4}use: \[presets\/support-desk\]\n {4}# not used since .*\n {4}deny: \[index\]$/m);
  assert.match(yaml, /^ {6}- sieve list\n {6}# not used since .*\n {6}- sieve get$/m);
  const checked = await review(taskIn(folder, { kind: 'check', yaml }), createFakeClock());
  assert.ok(checked.kind === 'checked');
  assert.deepEqual(
    checked.value.problems.filter(({ severity }) => severity === 'error'),
    [],
  );
});

void test('what the journal lacks, and what it only counted, is said', async (t) => {
  const folder = openFolder(t);
  const seen = { listener: 'audit', user: 'bob@example.com', words: ['mailbox', 'list'], atMs: recordedMs };
  const flood = { time: recordedMs, event: 'limit', action: 'refused', count: 16 } as const;
  writeJournal(folder, [seen, seen, seen, seen], configuration, [flood]);
  const file = join(folder, 'audit', '00000002.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  writeFileSync(file, lines.toSpliced(1, 1).join('\n'));
  const yaml = 'policies: { watch: { users: ["*"], allow: [mailbox list] } }';
  for (const kind of ['suggest', 'replay'] as const) {
    const answer = await review(taskIn(folder, { kind, yaml }), createFakeClock());
    assert.ok(answer.kind === 'suggested' || answer.kind === 'replayed');
    const looked = answer.kind === 'suggested' ? answer.value.looked : answer.value.result?.looked;
    assert.match(
      looked?.notes[0] ?? '',
      /^Records are missing: \S+ has 4 records, but their numbers go from 5 to 9\.$/,
    );
    assert.equal(looked?.notes[1], 'Left out: 16 refused commands of a flood, which were only counted.');
  }
});
