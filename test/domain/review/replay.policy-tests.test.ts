// Goal: the tests that stand beside a policy are run as a client would ask, and come out as what policy says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTests } from '../../../src/domain/review/replay.js';
import { hash, withJobs } from '../config/jobs.js';
import { settingsOf, sound, testMistakes, told } from '../config/sound.js';

const nowMs = 1_795_176_000_000;

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

/** With an account `batch` that has another policy than `migrator`. */
const withAccounts = withJobs(
  `accounts: { migrator: { password_hash: "${hash}", policy: support }, batch: { certificate_name: b.example.com, policy: admin } }`,
).replace('policies:\n', 'policies:\n  admin: { users: ["*"], allow: [mailbox list] }\n');

void test('an account chooses its policy', () => {
  const ask = (account: string, command: string, expect: string): string =>
    `  - { listener: jobs, as: { account: ${account} }, user: bob@example.com, command: [${command}], expect: ${expect} }\n`;
  const settings = settingsOf(
    `${withAccounts}tests:\n${[
      ask('migrator', 'quota get', 'allow'),
      ask('batch', 'quota get', 'deny'),
      ask('batch', 'mailbox list', 'allow'),
    ].join('')}`,
  );
  assert.deepEqual(
    runTests(settings, nowMs).map(({ policy, isPassed }) => `${policy ?? 'not let in'} ${isPassed}`),
    ['support true', 'admin true', 'admin true'],
  );
});

void test('a test says which account asks where there are some, one that is there, and none where there are none', () => {
  const ask = (listener: string, as: string): string[] =>
    told(`${withAccounts}tests: [{ listener: ${listener}, ${as} command: [quota, get], expect: allow }]\n`);
  const at = '17:9: tests[0]: ';
  assert.deepEqual(
    [
      ask('jobs', ''),
      ask('jobs', 'as: { user: carol },'),
      ask('jobs', 'as: { account: migratr },'),
      ask('support', 'as: { account: migrator },'),
    ],
    [
      [`${at}does not say which account asks (as: { account: NAME }); listener jobs has: migrator, batch`],
      [`${at}does not say which account asks (as: { account: NAME }); listener jobs has: migrator, batch`],
      [`${at}listener jobs has no account "migratr"; did you mean migrator?`],
      [`${at}names an account, and listener support has none: the kernel says who asks there`],
    ],
  );
});

void test('a backend of unknown series must allow it in both, unless the test names one', () => {
  const text = sound
    .replace('[quota get]', '[quota get, mail fs get]')
    .replace('[quota get,', '[fts flatcurve check, quota get,');
  const settings = settingsOf(
    `${text.replace(', mail fs get', '')}tests:
  - { listener: support, user: bob@example.com, command: [fts flatcurve check, INBOX], expect: deny }
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

const test1 = (text: string): string => `tests: [{ ${text} }]`;

testMistakes([
  [
    'a test without an expectation',
    'version: 1',
    test1('listener: support, command: [quota, get]'),
    '1:9: tests[0].expect: is missing; it must be one of: allow, deny, unparsable, obstacle',
  ],
  [
    'a test of a listener that is not there',
    'version: 1',
    test1('listener: suport, command: [quota, get], expect: allow'),
    '1:11: tests[0].listener: there is no listener "suport"; did you mean support?',
  ],
  [
    'a test with an empty command',
    'version: 1',
    test1('listener: support, command: [], expect: allow'),
    '1:30: tests[0].command: must hold the words of a command line',
  ],
  [
    'a test with an unknown key',
    'version: 1',
    test1('listener: support, command: [quota, get], expects: allow'),
    '1:9: tests[0].expect: is missing; it must be one of: allow, deny, unparsable, obstacle',
    '1:53: tests[0].expects: "expects" is not a key here; did you mean expect?',
  ],
]);
