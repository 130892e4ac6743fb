// Goal: what was seen under a policy, in groups whose text put together is a policy that allows it; a text is checked alone; what it would
// have refused is told; reading ends in time and says so.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFromDisk } from '../../src/host/machine/process.js';
import { formatTime } from '../../src/host/words/instants.js';
import { encodeBody } from '../../src/journal/records/encode.js';
import { Ledger } from '../../src/journal/records/ledger.js';
import type { Suggested } from '../../src/page/answers/api.js';
import { type ReviewTask, review } from '../../src/page/review-task.js';
import { parseSettings } from '../../src/rules/config/parse-settings.js';
import { policyListOf } from '../../src/rules/config/policy-list.js';
import type { Settings } from '../../src/rules/config/settings.js';
import { settingsText } from '../../src/rules/setup/configuration-text.js';
import { admission, recordedMs, type Sent } from '../evidence/review/recording.js';
import { createFakeClock } from '../kit/plain/fake-clock.js';
import { openFolder } from '../kit/plain/folder.js';
import { writeJournal } from '../whole/cli/desk.js';

const configuration = `version: 1
listeners: { audit: { unix: audit.sock, policy: watch }, other: { unix: other.sock, policy: strict } }
mail_users: { default_realm: example.com }
backends: { mail1: { address: "127.0.0.1:24245", tls: off, password_file: p, shared_namespaces: [] } }
routes: [{ users: ["*@example.com"], backend: mail1 }]
policies:
  watch: { mode: observe, users: ["*@example.com"], allow: [quota get] }
  strict: { users: ["*@example.com"], allow: [quota get] }
`;
function settingsIn(text: string): Settings {
  const { presetText } = readFromDisk;
  const { settings: read } = parseSettings('/etc/dovegate/d.yaml', {
    readText: () => text,
    glob: () => [],
    presetText,
  });
  assert.ok(read !== undefined);
  return read;
}

const crossedOf = (text: string): string => settingsText(settingsIn(text));

const settings = crossedOf(configuration);
const mailUsers = { characters: 'abcdefghijklmnopqrstuvwxyz@.', default_realm: 'example.com' };

interface Asked {
  readonly kind?: 'suggest' | 'check' | 'replay';
  readonly policy?: string;
  readonly yaml?: string;
  readonly settings?: string;
  readonly statement?: string;
}

function taskIn(folder: string, more: Asked = {}): ReviewTask {
  const usual = { kind: 'suggest', policy: 'watch', yaml: '', settings, statement: '' } as const;
  return { ...usual, mailUsers, directory: join(folder, 'audit'), sinceMs: 0, ...more };
}

async function suggested(task: ReviewTask, clock: Parameters<typeof review>[1] = createFakeClock()) {
  const found = await review(task, clock);
  return found.kind === 'suggested' ? found.value : assert.fail(JSON.stringify(found));
}

async function replayed(folder: string, more: Asked) {
  const found = await review(taskIn(folder, { kind: 'replay', ...more }), createFakeClock());
  return found.kind === 'replayed' ? found.value : assert.fail(JSON.stringify(found));
}

async function policiesOf(
  directory: string,
  { sinceMs, clock = createFakeClock() }: { sinceMs?: number; clock?: Parameters<typeof review>[1] } = {},
) {
  const found = await review({ kind: 'policies', directory, sinceMs }, clock);
  return found.kind === 'policies' ? found.value : assert.fail(JSON.stringify(found));
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
  const found = await suggested(taskIn(folder));
  const { groups, looked, place } = found;
  assert.equal(place, '/etc/dovegate/d.yaml:7');
  assert.deepEqual(looked, {
    records: 5,
    from: new Date(recordedMs).toISOString(),
    to: new Date(recordedMs + 3000).toISOString(),
    isAll: true,
    notes: [],
  });
  const told = groups.map(({ kind, command, seen: count, byCount, effect }) => [
    kind,
    command,
    count,
    byCount,
    effect,
  ]);
  assert.deepEqual(told, [
    ['rule', 'mailbox list', 2, 2, 'read'],
    ['rule', 'expunge', 2, 1, 'destroy'],
    ['once', 'expunge', 1, 1, 'destroy'],
  ]);
  assert.ok(found.before.includes('    users: ["*@example.com"]'), found.before.join('\n'));
  assert.deepEqual(groups[0]?.byWhom, ['carol@audit', 'dora@audit']);
  const yaml = textOf(found, ['mailbox list']);
  assert.deepEqual(await review(taskIn(folder, { kind: 'check', yaml }), createFakeClock()), {
    kind: 'checked',
    value: { problems: [] },
  });
  const { result } = await replayed(folder, { yaml });
  assert.equal(result?.looked.records, 5);
  assert.equal(result?.allowToDeny, 3);
  assert.deepEqual(result?.changes[0]?.words.slice(0, 1), ['expunge']);
  assert.match(result?.changes[0]?.reason ?? '', /^no rule allows "expunge"/);
  const all = textOf(found, ['mailbox list', 'expunge']);
  assert.equal((await replayed(folder, { yaml: all })).result?.allowToDeny, 1);
});

void test('a candidate is proved: nobody may do more than before, and what somebody asks', async (t) => {
  const folder = openFolder(t);
  writeJournal(
    folder,
    [{ listener: 'other', user: 'bob@example.com', words: ['quota', 'get'], atMs: recordedMs }],
    configuration,
  );
  const provedOf = async (allow: string, statement = ''): Promise<unknown> => {
    const yaml = `policies:\n  strict:\n    users: ["*@example.com"]\n    allow: [${allow}]\n`;
    const { result } = await replayed(folder, { policy: 'strict', yaml, statement });
    return result?.proofs.map(({ lines }) => lines.map((line) => line.replace(/ for \S+/, '')));
  };
  const left = 'left out: limits, locks, who can open a socket, what another person would have to approve';
  assert.deepEqual(await provedOf(''), [['holds', left]]);
  const deletes = [
    'disproved: everybody at other may run this (policy strict, by line 4 of this text):',
    '  mailbox delete Work (effect destroy)',
  ];
  const both = await provedOf('quota get, mailbox delete', 'policy strict may only read');
  assert.deepEqual(both, [deletes, deletes]);
  assert.deepEqual(await provedOf('quota get', 'nobody may frob'), [
    ['holds', left],
    [
      'at character 12, before "frob", there must be a verb: read, end sessions, change, administer, destroy, ' +
        'read content, reach content, run COMMAND',
    ],
  ]);
});

void test('a text with errors is not replayed; their lines are those of the text; no file is read', async (t) => {
  const folder = openFolder(t);
  const problemsOf = async (yaml: string) =>
    (await replayed(folder, { yaml })).problems.map(
      ({ severity, line, text }) => `${severity} ${line} ${text}`,
    );
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
    const problems = (await problemsOf(yaml)).join('\n');
    assert.match(problems, /^error /m, yaml.slice(0, 40));
    assert.ok(!problems.includes('root:'), yaml.slice(0, 40));
  }
});

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
  const { looked } = await suggested(taskIn(folder), clock);
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
  const { result } = await replayed(folder, { yaml });
  assert.deepEqual([result?.allowToDeny, result?.changes.length], [80, 50]);
});

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
  const { groups, looked } = await suggested(taskIn(folder, { settings: crossedOf(many) }));
  assert.equal(groups.length, 200);
  assert.deepEqual(looked.notes, ['There are 205 groups; the first 200 are here.']);
});

void test('what the policy has besides stays: presets, denials, rules that nobody used', async (t) => {
  const folder = openFolder(t);
  const seen = { listener: 'audit', user: 'bob@example.com', words: ['sieve', 'list'], atMs: recordedMs };
  const text = configuration.replace(
    'allow: [quota get] }',
    'use: [presets/support-desk], deny: [index], allow: [sieve get] }',
  );
  writeJournal(folder, [seen, seen], text);
  const yaml = textOf(await suggested(taskIn(folder, { settings: crossedOf(text) })), ['sieve list']);
  assert.match(yaml, /^ {4}use: \[presets\/support-desk\]\n {4}# not used since .*\n {4}deny: \[index\]$/m);
  assert.match(yaml, /^ {6}- sieve list\n {6}# not used since .*\n {6}- sieve get$/m);
  const checked = await review(taskIn(folder, { kind: 'check', yaml }), createFakeClock());
  assert.ok(
    checked.kind === 'checked' && checked.value.problems.every(({ severity }) => severity !== 'error'),
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
  const found = [await suggested(taskIn(folder)), (await replayed(folder, { yaml })).result];
  for (const { looked } of found.map((each) => each ?? assert.fail())) {
    const missing = /^Records are missing: \S+ has 4 records, but their numbers go from 5 to 9\.$/;
    assert.match(looked.notes[0] ?? '', missing);
    assert.equal(looked.notes[1], 'Left out: 16 refused commands of a flood, which were only counted.');
  }
});

/** A journal of several configurations, with the texts of their policies; each takes effect by a record, and some commands follow. */
function writeChanges(
  folder: string,
  all: readonly { readonly text: string; readonly sent?: readonly Sent[]; readonly by?: string }[],
): string {
  const directory = join(folder, 'audit');
  mkdirSync(join(directory, 'policies'), { recursive: true });
  const keep = (hash: string, text: string): void =>
    writeFileSync(join(directory, 'policies', `${hash}.yaml`), text);
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  let was: string | undefined;
  for (const [at, { text, sent = [], by }] of all.entries()) {
    const read = settingsIn(text);
    const { hash: policies, text: list } = policyListOf(read);
    keep(policies, list);
    for (const { version, effectiveText } of read.policies.values()) keep(version, effectiveText);
    const time = recordedMs + at * 60_000;
    const files = { args: ['/etc/d.yaml: of uid 0, changed 2026-11-20T11:59:00.000Z'] };
    const change = { time, policies, ...(was && { was }), ...files };
    const peer = { listener: 'admin', uid: 0, login_uid: 1000 };
    let lines = ledger.seal(
      encodeBody(by === undefined ? { ...change, event: 'start' } : { ...change, event: 'reload', by, peer }),
    );
    was = policies;
    for (const [nth, each] of sent.entries()) {
      const id = `E${at}-${nth}`;
      const admitted = admission(read, 'audit', { ...each, atMs: time + 1000 }, id);
      const outcome = admitted.decision === 'deny' ? 'denied' : 'ok';
      const completed = { time: time + 1005, event: 'completion', session: 'S', id, outcome } as const;
      lines += ledger.seal(encodeBody(admitted)) + ledger.seal(encodeBody(completed));
    }
    writeFileSync(join(directory, `${String(at + 1).padStart(8, '0')}.jsonl`), lines);
  }
  return directory;
}

const allowing = (allow: string): string =>
  configuration.replace(
    'mode: observe, users: ["*@example.com"], allow: [quota get]',
    `users: ["*@example.com"], allow: [${allow}]`,
  );

void test('of many changes of the policies the last 200 are shown, and a note has their number', async (t) => {
  const [one, two] = [allowing('quota get'), allowing('quota get, expunge')];
  const all = Array.from({ length: 203 }, (_, at) => ({ text: at % 2 === 0 ? one : two, by: 'root' }));
  const directory = writeChanges(openFolder(t), all);
  const { periods, looked } = await policiesOf(directory);
  assert.deepEqual([periods.length, periods[0]?.seq], [200, 203]);
  assert.deepEqual(looked.notes, ['There were 203 changes; the last 200 are here.']);
});

void test('where time runs out, the changes are shown for longer than what ran under them', async (t) => {
  const sent = [{ user: 'bob@example.com', words: ['quota', 'get'] }];
  const directory = writeChanges(openFolder(t), [
    { text: allowing('quota get'), sent },
    { text: allowing('quota get, expunge'), by: 'root', sent },
  ]);
  let nowMs = 0;
  // Each look at the clock takes two seconds.
  const clock = { wallMs: () => recordedMs, now: () => (nowMs += 2000) };
  const { looked, periods } = await policiesOf(directory, { clock });
  assert.deepEqual([looked.isAll, looked.readTo], [false, formatTime(recordedMs + 1005)]);
  const ran = periods.map(({ began, commands }) => [began, commands]);
  assert.deepEqual(ran, [
    ['reload by root (uid 0, login uid 1000)', 0],
    ['start', 1],
  ]);
});

void test('who changed the policies, what that permits, and what ran under it that the ones before would have denied', async (t) => {
  const sent = (...words: string[]): Sent => ({ user: 'bob@example.com', words });
  const directory = writeChanges(openFolder(t), [
    { text: allowing('quota get'), sent: [sent('quota', 'get'), sent('expunge', 'all')] },
    {
      text: allowing('quota get, expunge, mailbox list'),
      by: 'root',
      sent: [sent('quota', 'get'), sent('expunge', 'mailbox', 'Trash', 'all'), sent('mailbox', 'list')],
    },
    { text: allowing('quota get'), by: 'SIGHUP' },
  ]);
  const { looked, periods } = await policiesOf(directory);
  assert.deepEqual([looked.records, looked.isAll, looked.notes], [5, true, []]);
  const [last, wide, first] = periods;
  const ran = periods.map(({ began, commands, denied, redacted, unjudged, unlisted }) => [
    began,
    [commands, denied, redacted, unjudged, unlisted],
  ]);
  assert.deepEqual(ran, [
    ['reload by SIGHUP (uid 0, login uid 1000)', [0, 0, 0, 0, 0]],
    ['reload by root (uid 0, login uid 1000)', [3, 2, 0, 0, 0]],
    ['start', [2, 0, 0, 0, 0]],
  ]);
  assert.deepEqual(wide?.changes, [{ sign: '+', words: 'watch may now: expunge, mailbox list' }]);
  assert.deepEqual(wide.files, ['/etc/d.yaml: of uid 0, changed 2026-11-20T11:59:00.000Z']);
  assert.deepEqual([first?.until, wide.until, last?.until], [wide.time, last?.time, undefined]);
  assert.deepEqual(wide.counts, [
    '3 commands of all policies ran then',
    '2 used what is new: the policies before would have denied them',
  ]);
  assert.match(wide.newly.join(), /^expunge by carol@audit, once: no rule allows "expunge"/);
  assert.deepEqual(first?.notes, ['these are the first policies of this journal']);

  assert.deepEqual((await policiesOf(directory, { sinceMs: recordedMs + 1 })).periods, [last, wide]);

  rmSync(join(directory, 'policies', `${policyListOf(settingsIn(allowing('quota get'))).hash}.yaml`));
  assert.match((await policiesOf(directory)).looked.notes.join(), /cannot be put in words\./);
});

const reached = `persons: { dora: { users: [dora] } }
${configuration
  .replace('strict: {', 'strict: { approve: [asking],')
  .replace(
    'other: {',
    'desk: { unix: desk.sock, policy: asking }, other: { peers: { users: [dora] },',
  )}  asking:
    users: ["*@example.com"]
    except: [ceo@example.com]
    allow: [{ command: fetch, where: { field: [uid] } }]
    on_request: [{ command: fetch, content: true }, { command: flags add, approvals: 0, uses: 1 }]
`;

void test('who reaches a mailbox: each way with its rules, and what is not known of it', async () => {
  const ask = async (user: string) => {
    const found = await review({ kind: 'mailbox', settings: crossedOf(reached), user }, createFakeClock());
    return found.kind === 'mailbox' ? found.value : assert.fail(JSON.stringify(found));
  };
  const anna = await ask('Anna');
  assert.equal(anna.user, 'anna@example.com');
  const [watch, desk, other, ...more] = anna.rows;
  assert.deepEqual(more, []);
  assert.equal(watch?.who, 'everybody at audit');
  // What it observes is one entry, beside the rule that it has.
  const ofWatch = watch.rules.map(({ command, way, deeds }) => [command, way, deeds]);
  assert.deepEqual(ofWatch, [
    ['', 'at-once', ['mail', 'search', 'facts', 'change', 'destroy']],
    ['quota get', 'at-once', ['facts']],
  ]);
  const ofDesk = desk?.rules.map(({ command, way, deeds, place }) => [command, way, deeds, place]);
  assert.deepEqual(ofDesk, [
    ['fetch', 'at-once', ['facts'], '/etc/dovegate/d.yaml:13'],
    ['flags add', 'break-glass', ['change'], '/etc/dovegate/d.yaml:14'],
    ['fetch', 'on-request', ['mail', 'search', 'facts'], '/etc/dovegate/d.yaml:14'],
  ]);
  assert.deepEqual(desk?.approvers, ['people of policy strict']);
  assert.deepEqual([other?.who, other?.place], ['user dora at other', '/etc/dovegate/d.yaml:9']);
  assert.match(anna.notes.join(' '), /mail_users\.resolve.*Not through the gate: root/);
  const ceo = await ask('ceo@example.com');
  assert.deepEqual(ceo.others, ['everybody at desk']);
  assert.match((await ask('*@example.com')).notes.join(' '), /any user whom the pattern matches/);
  // Whom no route leads anywhere only commands of a server are about.
  const away = (await ask('x@elsewhere.example')).rows;
  const reaching = away.map(({ policy, rules }) => [policy, rules.map(({ deeds }) => deeds)]);
  assert.deepEqual(reaching, [['watch', [['facts', 'change']]]]);
  const bad = await review({ kind: 'mailbox', settings: crossedOf(reached), user: 'a b' }, createFakeClock());
  assert.match(bad.kind === 'refused' ? bad.text : '', /character/);
});

void test('a list that time did not suffice for says so', async () => {
  let nowMs = 0;
  const clock = { wallMs: () => recordedMs, now: () => (nowMs += 2000) };
  const found = await review({ kind: 'mailbox', settings: crossedOf(reached), user: 'anna' }, clock);
  assert.match(found.kind === 'mailbox' ? found.value.notes.join() : '', /^Time ran out: more may reach it/);
});

void test('a statement is proved of what is served', async () => {
  const ask = async (statement: string) => {
    const found = await review({ kind: 'prove', settings: crossedOf(reached), statement }, createFakeClock());
    return found.kind === 'proved' ? found.value.lines : assert.fail(JSON.stringify(found));
  };
  assert.match((await ask('policy strict may never destroy'))[0] ?? '', /^holds/);
  assert.match((await ask('policy asking may only read'))[0] ?? '', /^disproved: .*d\.yaml:14/);
  assert.match((await ask('policy asknig may only read'))[0] ?? '', /did you mean asking\?/);
});
