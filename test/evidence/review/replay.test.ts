// Goal: past records are judged by other policies as of their own time, and only what would change is told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReplay, type ReplayResult } from '../../../src/evidence/review/replay.js';
import { Coverage, runTests } from '../../../src/rules/answers/policy-tests.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { parse, settingsOf, sound, told } from '../../rules/config/sound.js';
import { grantId, record, recordedMs, type Sent } from './recording.js';

const withRules = (rules: string): Settings => settingsOf(sound.replace('[quota get]', rules));
const before = withRules('[quota get, mailbox list, search]');
const work: readonly Sent[] = [
  { user: 'bob@example.com', words: ['quota', 'get'] },
  { user: 'eve@example.com', words: ['quota get'], atMs: recordedMs + 5000 },
  { user: 'bob@example.com', words: ['mailbox', 'list', 'INBOX'] },
  { user: 'bob@example.com', words: ['sieve', 'list'] },
  { user: 'bob@example.com', words: ['nonsense'] },
];

function replayed(settings: Settings, sent: readonly Sent[] = work): ReplayResult {
  const replay = createReplay(settings);
  for (const each of sent) replay.take(record(before, 'support', each));
  return replay.finish();
}

void test('the same policies change nothing; what nobody could read is counted apart', () => {
  const result = replayed(before);
  assert.equal(result.judged, 4);
  assert.deepEqual(result.changes, []);
  assert.deepEqual([...result.notJudged], [['unreadable', 1]]);
});

void test("what doctor sent is nobody's work: it is counted apart, and no change", () => {
  const probe: Sent = { user: 'bob@example.com', words: ['quota', 'get'], reason: 'dovegate doctor' };
  const result = replayed(withRules('[mailbox list]'), [probe, { ...probe, reason: 'ticket 7' }]);
  assert.deepEqual([result.judged, result.allowToDeny, [...result.notJudged]], [1, 1, [['probe', 1]]]);
});

void test('changes in both directions, each kind once, with how often and for whom', () => {
  const result = replayed(withRules('[mailbox list, sieve list]'));
  assert.deepEqual([result.allowToDeny, result.denyToAllow], [2, 1]);
  const [quota, sieve] = result.changes;
  assert.deepEqual(
    [quota?.from, quota?.to, quota?.words, quota?.count, quota?.lastMs, quota?.reason],
    ['allow', 'deny', ['quota get', '--'], 2, recordedMs + 5000, 'no rule allows "quota get"'],
  );
  assert.deepEqual([...(quota?.users ?? [])], ['bob@example.com', 'eve@example.com']);
  assert.match(quota?.before ?? '', /d\.yaml:11$/);
  assert.deepEqual([sieve?.from, sieve?.to, sieve?.rule?.line], ['deny', 'allow', 11]);
  assert.equal(sieve?.before, 'no rule allows "sieve list"');
});

void test('a record is judged as of its time, and for the series that it was judged for', () => {
  const expiring = withRules('[{ command: quota get, expires: 2026-11-20T12:00:02Z }, mailbox list]');
  const result = replayed(expiring);
  assert.deepEqual([result.allowToDeny, result.changes[0]?.count], [1, 1]);
  const check: Sent = { user: 'bob@example.com', words: ['fts flatcurve check', 'INBOX'], series: ['2.4'] };
  assert.equal(replayed(withRules('[fts flatcurve check]'), [check]).denyToAllow, 1);
});

void test('a denial that policy would lift is a widening, also where the command could not be carried out', () => {
  const users = sound.replace('*@example.com', '*');
  const after = settingsOf(users.replace('[quota get]', '[{ command: quota get, all_users: true }]'));
  const all: Sent = { user: '', words: ['quota', 'get', '-A'] };
  assert.equal(record(before, 'support', all).fields['series'], '2.3 2.4');
  const result = replayed(after, [all]);
  assert.deepEqual([result.denyToAllow, result.toObstacle], [1, 0]);
  const [change] = result.changes;
  assert.deepEqual([change?.from, change?.to], ['deny', 'allow']);
  assert.match(change?.reason ?? '', /Dovecot 2\.3 has no command for all users/);
});

void test('a reason that is demanded now must have been said then', () => {
  const demanding = withRules('[{ command: quota get, reason: required }, mailbox list]');
  const said = { ...(work[0] ?? assert.fail()), reason: 'ticket 5' };
  const [change] = replayed(demanding).changes;
  assert.deepEqual([change?.from, change?.to], ['allow', 'no-reason']);
  assert.match(change?.reason ?? '', /^the client must say why: /);
  assert.deepEqual(replayed(demanding, [said]).changes, []);
});

const requestable = (rules: string): Settings => settingsWithWarnings(`${sound}    on_request: ${rules}\n`);
const granted: Sent = { user: 'bob@example.com', words: ['mailbox', 'delete', 'Old'], isGranted: true };

/** Nobody here may approve, of which there are warnings. */
function settingsWithWarnings(text: string): Settings {
  return parse(text).settings ?? assert.fail(told(text).join('\n'));
}

void test('a record under a grant is judged as under a grant of its rule', () => {
  const then = requestable('[mailbox delete]');
  const row = record(then, 'support', granted);
  assert.deepEqual([row.fields['decision'], row.fields['grant']], ['allow', grantId]);
  const by = (settings: Settings, sent = row): ReplayResult => {
    const replay = createReplay(settings);
    replay.take(sent);
    return replay.finish();
  };
  assert.deepEqual(by(then).changes, []);
  assert.deepEqual(by(requestable('[{ command: mailbox delete, approvals: 3 }]')).changes, []);
  const [gone] = by(withRules('[quota get]')).changes;
  assert.deepEqual([gone?.from, gone?.to], ['allow', 'deny']);
  const [narrower] = by(requestable('[{ command: mailbox delete, users: ["a*@example.com"] }]')).changes;
  assert.deepEqual([narrower?.from, narrower?.to], ['allow', 'deny']);
  // What was denied then, and is available on request now, is refused otherwise.
  const denied = record(before, 'support', { ...granted, isGranted: false });
  const { changes, otherwise } = by(then, denied);
  assert.deepEqual([changes[0]?.from, changes[0]?.to, otherwise], ['deny', 'on-request', 1]);
});

void test('limits count by the times of the records, and mails that were counted decide', () => {
  const limited = withRules('[{ command: quota get, limit: 2/minute }, mailbox list]');
  const at = (seconds: number): Sent => ({
    ...(work[0] ?? assert.fail()),
    atMs: recordedMs + seconds * 1000,
  });
  const many = replayed(limited, [0, 10, 20, 50, 90].map(at));
  assert.deepEqual([many.allowToDeny, many.changes.length], [2, 1]);
  assert.deepEqual([many.changes[0]?.to, many.changes[0]?.count], ['over-limit', 2]);
  assert.equal(many.changes[0]?.reason, 'it is over the limit of a rule of policy support (2/minute)');

  const narrow = withRules('[{ command: expunge, max_matches: 5 }]');
  const expunge: Sent = { user: 'bob@example.com', words: ['expunge', 'mailbox', 'Trash', 'all'] };
  const wide = withRules('[expunge]');
  const counted = (matches?: number): ReplayResult => {
    const row = record(wide, 'support', expunge);
    const replay = createReplay(narrow);
    replay.take({ ...row, fields: { ...row.fields, ...(matches === undefined ? {} : { matches }) } });
    return replay.finish();
  };
  const words = [undefined, 5, 6].map((matches) => counted(matches).changes[0]?.to);
  assert.deepEqual(words, ['depends', undefined, 'deny']);
  assert.deepEqual([counted().otherwise, counted(6).allowToDeny], [1, 1]);
});

void test('tests ask whether a command is available on request, and what a grant allows', () => {
  const text = `${sound}    on_request: [mailbox delete]
    deny: [sieve delete]
mail_users: { default_realm: example.com }
tests:
  - { listener: support, user: bob, command: [mailbox delete, Old], expect: request }
  - { listener: support, user: bob, command: [mailbox delete, Old], expect: deny }
  - { listener: support, user: bob, command: [mailbox delete, Old], expect: allow }
  - { listener: support, user: bob, command: [mailbox delete, Old], granted: true, expect: allow }
  - { listener: support, user: bob, command: [mailbox delete, Old], granted: true, expect: request }
  - { listener: support, user: bob, command: [quota get], expect: request }
  - { listener: support, user: bob, command: [sieve delete, main], expect: request }
  - { listener: support, user: bob@example.org, command: [mailbox delete, Old], granted: true, expect: deny }
  - { listener: support, user: bob, command: [nonsense], expect: request }
`;
  const outcome = runTests(settingsWithWarnings(text), nowMs).map(({ isPassed }) => isPassed);
  assert.deepEqual(outcome, [true, true, false, true, false, false, false, true, false]);
});

void test('a rule of on_request is exercised by a grant of it, and where it was available', () => {
  const rulesUsed = (tests: string): string[] => {
    const settings = settingsWithWarnings(
      `${sound}    on_request: [mailbox delete, sieve list]\ntests:\n${tests}`,
    );
    const coverage = new Coverage(settings.policies.values());
    for (const { readings } of runTests(settings, nowMs)) coverage.take(readings);
    return coverage
      .rules()
      .filter(({ isExercised }) => isExercised)
      .map(({ kind, rule }) => `${kind} ${rule.command}`);
  };
  const line = 'listener: support, user: bob@example.com, command';
  assert.deepEqual(rulesUsed(`  - { ${line}: [mailbox delete, Old], expect: request }\n`), [
    'on_request mailbox delete',
  ]);
  assert.deepEqual(rulesUsed(`  - { ${line}: [sieve list], granted: true, expect: allow }\n`), [
    'on_request sieve list',
  ]);
});

void test('what an old client meant by -A is recorded as what it is, so that a client of today judges it the same', () => {
  const words = ['mailbox', 'list', '-A', '-u', 'b*@example.com', 'INBOX'];
  const old: Sent = { user: 'bob@example.com', words, clientMinor: 2 };
  const { fields } = record(before, 'support', old);
  assert.deepEqual([fields['decision'], fields['args']], ['allow', ['--', 'INBOX']]);
  assert.deepEqual(replayed(before, [old]).changes, []);
  // The same words of a client of today are all users, and are recorded with -A.
  const { fields: today } = record(before, 'support', { ...old, clientMinor: 4 });
  assert.deepEqual([today['decision'], today['args']], ['deny', ['-A', '--', 'INBOX']]);
  assert.deepEqual(replayed(before, [{ ...old, clientMinor: 4 }]).changes, []);
});

// Goal: a rule is exercised when it decides, and by nothing less.
const nowMs = 1_795_176_000_000;

/** `policy kind LINE` of the rules that the tests exercise. */
function exercised(configuration: string): string[] {
  const settings = settingsOf(configuration);
  const coverage = new Coverage(settings.policies.values());
  for (const { readings } of runTests(settings, nowMs)) coverage.take(readings);
  return coverage
    .rules()
    .filter((each) => each.isExercised)
    .map(({ policy, kind, rule }) => `${policy} ${kind} ${rule.place.line}`);
}

const rulesOfCoverage = `[mailbox list]
    mode: MODE
    deny:
      - { command: mailbox list, where: { mailbox-mask: [Secret] } }
tests:
`;
// Where the namespaces are listed, a mailbox has no names that nobody knows.
const listed = 'namespaces: [{ prefix: "", separator: "/", inbox: true }]';
const configuration = (mode: string, tests: string): string =>
  sound
    .replace('[quota get]', rulesOfCoverage.replace('MODE', mode))
    .replace('shared_namespaces: []', listed) + tests;
const line = (command: string): string =>
  `  - { listener: support, user: bob@example.com, command: [${command}], expect: allow }\n`;

void test('an allowing rule that decides, a denying rule that decides', () => {
  // A mask that is left out means every mailbox.
  assert.deepEqual(exercised(configuration('enforce', line('mailbox list'))), ['support deny 14']);
  assert.deepEqual(exercised(configuration('enforce', line('mailbox list, INBOX'))), ['support allow 11']);
  assert.deepEqual(exercised(configuration('enforce', line('mailbox list, Secret'))), ['support deny 14']);
});

void test('a rule that only came near, and lines that nobody can read, exercise nothing', () => {
  assert.deepEqual(exercised(configuration('enforce', line('mailbox list, --user-file=x, INBOX'))), []);
  assert.deepEqual(exercised(configuration('enforce', line('mailbox lsit'))), []);
});

void test('under observe the rule counts that would have denied', () => {
  assert.deepEqual(exercised(configuration('observe', line('mailbox list, Secret'))), ['support deny 14']);
});

// Goal: the tests that stand beside a policy are run as a client would ask, and come out as what policy says.
function outcomes(tests: string): string[] {
  const settings = settingsOf(`${sound}mail_users: { default_realm: example.com }\ntests:\n${tests}`);
  return runTests(settings, nowMs).map(({ test: each, isPassed }) => `${each.place.line} ${isPassed}`);
}

void test('tests pass and fail', () => {
  assert.deepEqual(
    outcomes(`
  - { listener: support, user: bob@example.com, command: [quota, get], expect: allow }
  - { listener: support, user: bob, command: [quota get], expect: allow }
  - { listener: support, user: bob@example.com, command: [quota, get], expect: deny }
  - { listener: support, user: bob@example.com, command: [mailbox, list, -F, /etc/passwd], expect: deny }
  - { listener: support, user: bob@example.org, command: [quota, get], expect: deny }
  - { listener: support, as: { user: carol, groups: [support] }, user: bob, command: [quota, get], expect: allow }
  - { listener: support, user: bob, command: [nonsense], expect: deny }
  - { listener: support, command: [quota, get], expect: deny }
`),
    ['15 true', '16 true', '17 false', '18 true', '19 true', '20 true', '21 true', '22 true'],
  );
});

void test('who asks chooses the policy, as the listener would', () => {
  const text = sound
    .replace(
      'policy: support }',
      'peers: { users: [root], groups: [desk, admins] }, policies: [{ peers: { groups: [admins] }, policy: admin }, { policy: support }] }',
    )
    .replace('policies:\n', 'policies:\n  admin: { users: ["*"], allow: [mailbox list] }\n');
  const ask = (as: string, command: string): string =>
    `  - { listener: support, ${as} user: bob@example.com, command: [${command}], expect: allow }\n`;
  const settings = settingsOf(
    `${text}tests:\n${[
      ask('', 'quota get'),
      ask('as: { user: carol, groups: [desk] },', 'quota get'),
      ask('as: { groups: [admins] },', 'mailbox list'),
      ask('as: { user: root },', 'quota get'),
      ask('as: { user: mallory, groups: [others] },', 'quota get'),
      ask('as: { user: admins },', 'quota get'),
    ].join('')}`,
  );
  assert.deepEqual(
    runTests(settings, nowMs).map(({ policy, isPassed }) => `${policy ?? 'not let in'} ${isPassed}`),
    ['support true', 'support true', 'admin true', 'support true', 'not let in false', 'not let in false'],
  );
});

void test('a backend of unknown series must allow it in each that can read it, unless the test names one', () => {
  const text = sound
    .replace('[quota get]', '[quota get, mail fs get]')
    .replace('[quota get,', '[fts flatcurve check, quota get,');
  const settings = settingsOf(
    `${text.replace(', mail fs get', '')}tests:
  - { listener: support, user: bob@example.com, command: [fts flatcurve check, INBOX], expect: allow }
  - { listener: support, user: bob@example.com, command: [fts flatcurve check, INBOX], series: "2.4", expect: allow }
  - { listener: support, user: bob@example.com, command: [fts flatcurve check, INBOX], series: 2.3, expect: deny }
`,
  );
  const results = runTests(settings, nowMs);
  assert.deepEqual(
    results.map((each) => each.isPassed),
    [true, true, true],
  );
  assert.deepEqual(
    results[0]?.readings.map((each) => `${each.series} ${each.judgement.kind}`),
    ['2.3 unparsable', '2.4 judged'],
  );
});

void test('a line that policy allows and an obstacle stops is no denial', () => {
  const settings = settingsOf(
    `${sound.replace('[quota get]', '[{ command: purge, all_users: true }]').replace('"*@example.com"', '"*"')}tests:
  - { listener: support, user: bob@example.com, command: [purge, -A], expect: deny }
  - { listener: support, user: bob@example.com, command: [purge, -A], expect: obstacle }
  - { listener: support, user: bob@example.com, command: [purge, -A], series: "2.4", expect: deny }
  - { listener: support, user: bob@example.com, command: [nonsense], expect: deny }
`,
  );
  assert.deepEqual(
    runTests(settings, nowMs).map((each) => each.isPassed),
    [false, true, false, true],
  );
});

void test('a line that the series read differently is refused, as the daemon does, unless the test names one', () => {
  const kick = '{ command: kick, masks: true, where: { mask: any, force: any, passdb-field: any } }';
  const settings = settingsOf(
    `${sound.replace('[quota get]', `[${kick}]`).replace('"*@example.com"', '"*"')}tests:
  - { listener: support, command: [kick, -f, bob, alice], expect: deny }
  - { listener: support, command: [kick, -f, bob, alice], series: "2.3", expect: allow }
  - { listener: support, command: [kick, -f, bob, alice], series: "2.4", expect: allow }
  - { listener: support, command: [kick, alice], expect: allow }
`,
  );
  const results = runTests(settings, nowMs);
  assert.deepEqual(
    results.map((each) => each.isPassed),
    [true, true, true, true],
  );
  const said = results[0]?.assessment?.judgement;
  assert.equal(said?.kind === 'unparsable' && said.code, 'series-differ');
});
