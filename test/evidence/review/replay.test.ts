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

const turnsOf = ({ changes }: ReplayResult): string[] => changes.map(({ from, to }) => `${from} ${to}`);
const passes = (settings: Settings): boolean[] => runTests(settings, nowMs).map(({ isPassed }) => isPassed);

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
  assert.deepEqual(turnsOf(result), ['allow deny', 'deny allow']);
  const [quota = assert.fail(), sieve = assert.fail()] = result.changes;
  const { words, count, lastMs, reason } = quota;
  assert.deepEqual([words, count, lastMs], [['quota get', '--'], 2, recordedMs + 5000]);
  assert.equal(reason, 'no rule allows "quota get"');
  assert.deepEqual([...quota.users], ['bob@example.com', 'eve@example.com']);
  assert.match(quota.before, /d\.yaml:11$/);
  assert.deepEqual([sieve.rule?.line, sieve.before], [11, 'no rule allows "sieve list"']);
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
  assert.deepEqual([result.denyToAllow, result.toObstacle, turnsOf(result)], [1, 0, ['deny allow']]);
  assert.match(result.changes[0]?.reason ?? '', /Dovecot 2\.3 has no command for all users/);
});

void test('a reason that is demanded now must have been said then', () => {
  const demanding = withRules('[{ command: quota get, reason: required }, mailbox list]');
  const said = { ...(work[0] ?? assert.fail()), reason: 'ticket 5' };
  const result = replayed(demanding);
  assert.deepEqual(turnsOf(result), ['allow no-reason']);
  assert.match(result.changes[0]?.reason ?? '', /^the client must say why: /);
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
  for (const [settings, ...turns] of [
    [then],
    [requestable('[{ command: mailbox delete, approvals: 3 }]')],
    [withRules('[quota get]'), 'allow deny'],
    [requestable('[{ command: mailbox delete, users: ["a*@example.com"] }]'), 'allow deny'],
  ] as const)
    assert.deepEqual(turnsOf(by(settings)), turns);
  // What was denied then, and is available on request now, is refused otherwise.
  const result = by(then, record(before, 'support', { ...granted, isGranted: false }));
  assert.deepEqual([turnsOf(result), result.otherwise], [['deny on-request'], 1]);
});

void test('limits count by the times of the records, and mails that were counted decide', () => {
  const limited = withRules('[{ command: quota get, limit: 2/minute }, mailbox list]');
  const [quota = assert.fail()] = work;
  const times = [0, 10, 20, 50, 90].map((seconds) => recordedMs + seconds * 1000);
  const many = replayed(
    limited,
    times.map((atMs) => ({ ...quota, atMs })),
  );
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
  assert.deepEqual(passes(settingsWithWarnings(text)), [
    true,
    true,
    false,
    true,
    false,
    false,
    false,
    true,
    false,
  ]);
});

void test('a rule of on_request is exercised by a grant of it, and where it was available', () => {
  for (const [asked, used] of [
    ['[mailbox delete, Old], expect: request', 'mailbox delete'],
    ['[sieve list], granted: true, expect: allow', 'sieve list'],
  ] as const) {
    const line = `  - { listener: support, user: bob@example.com, command: ${asked} }\n`;
    const text = `${sound}    on_request: [mailbox delete, sieve list]\ntests:\n${line}`;
    const rules = exercisedBy(settingsWithWarnings(text));
    assert.deepEqual(
      rules.map(({ kind, rule }) => `${kind} ${rule.command}`),
      [`on_request ${used}`],
    );
  }
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

function exercisedBy(settings: Settings) {
  const coverage = new Coverage(settings.policies.values());
  for (const { readings } of runTests(settings, nowMs)) coverage.take(readings);
  return coverage.rules().filter(({ isExercised }) => isExercised);
}

const rulesOfCoverage = `[mailbox list]
    mode: MODE
    deny:
      - { command: mailbox list, where: { mailbox-mask: [Secret] } }
tests:
`;
// Where the namespaces are listed, a mailbox has no names that nobody knows.
const listed = 'namespaces: [{ prefix: "", separator: "/", inbox: true }]';

const exercises: readonly (readonly [mode: string, command: string, ...rules: string[]])[] = [
  // A mask that is left out means every mailbox.
  ['enforce', 'mailbox list', 'support deny 14'],
  ['enforce', 'mailbox list, INBOX', 'support allow 11'],
  ['enforce', 'mailbox list, Secret', 'support deny 14'],
  // The rule that would have denied.
  ['observe', 'mailbox list, Secret', 'support deny 14'],
  // A rule that only came near, and a line that nobody can read.
  ['enforce', 'mailbox list, --user-file=x, INBOX'],
  ['enforce', 'mailbox lsit'],
];
for (const [mode, command, ...rules] of exercises)
  void test(`${mode}: [${command}] exercises ${rules.join() || 'nothing'}`, () => {
    const line = `  - { listener: support, user: bob@example.com, command: [${command}], expect: allow }\n`;
    const policy = sound.replace('[quota get]', rulesOfCoverage.replace('MODE', mode));
    const found = exercisedBy(settingsOf(policy.replace('shared_namespaces: []', listed) + line));
    assert.deepEqual(
      found.map((each) => `${each.policy} ${each.kind} ${each.rule.place.line}`),
      rules,
    );
  });

// Goal: the tests that stand beside a policy are run as a client would ask, and come out as what policy says.
void test('tests pass and fail', () => {
  const settings = settingsOf(`${sound}mail_users: { default_realm: example.com }
tests:

  - { listener: support, user: bob@example.com, command: [quota, get], expect: allow }
  - { listener: support, user: bob, command: [quota get], expect: allow }
  - { listener: support, user: bob@example.com, command: [quota, get], expect: deny }
  - { listener: support, user: bob@example.com, command: [mailbox, list, -F, /etc/passwd], expect: deny }
  - { listener: support, user: bob@example.org, command: [quota, get], expect: deny }
  - { listener: support, as: { user: carol, groups: [support] }, user: bob, command: [quota, get], expect: allow }
  - { listener: support, user: bob, command: [nonsense], expect: deny }
  - { listener: support, command: [quota, get], expect: deny }
`);
  const outcomes = runTests(settings, nowMs).map(
    ({ test: each, isPassed }) => `${each.place.line} ${isPassed}`,
  );
  assert.equal(outcomes.join(), '15 true,16 true,17 false,18 true,19 true,20 true,21 true,22 true');
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
  for (const [as, command, expected] of [
    ['', 'quota get', 'support true'],
    ['as: { user: carol, groups: [desk] },', 'quota get', 'support true'],
    ['as: { groups: [admins] },', 'mailbox list', 'admin true'],
    ['as: { user: root },', 'quota get', 'support true'],
    ['as: { user: mallory, groups: [others] },', 'quota get', 'not let in false'],
    ['as: { user: admins },', 'quota get', 'not let in false'],
  ] as const) {
    const [result = assert.fail()] = runTests(settingsOf(`${text}tests:\n${ask(as, command)}`), nowMs);
    assert.equal(`${result.policy ?? 'not let in'} ${result.isPassed}`, expected, as);
  }
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
  assert.deepEqual(passes(settings), [true, true, true]);
  const [first] = runTests(settings, nowMs);
  const readings = first?.readings.map((each) => `${each.series} ${each.judgement.kind}`);
  assert.deepEqual(readings, ['2.3 unparsable', '2.4 judged']);
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
  assert.deepEqual(passes(settings), [false, true, false, true]);
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
  assert.deepEqual(passes(settings), [true, true, true, true]);
  const said = runTests(settings, nowMs)[0]?.assessment?.judgement;
  assert.equal(said?.kind === 'unparsable' && said.code, 'series-differ');
});
