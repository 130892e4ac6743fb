// Goal: a rule is exercised when it decides, and by nothing less.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Coverage, runTests } from '../../../src/domain/review/replay.js';
import { settingsOf, sound } from '../config/sound.js';

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

const rules = `[mailbox list]
    mode: MODE
    deny:
      - { command: mailbox list, where: { mailbox-mask: [Secret] } }
tests:
`;
// Where the namespaces are listed, a mailbox has no names that nobody knows.
const listed = 'namespaces: [{ prefix: "", separator: "/", inbox: true }]';
const configuration = (mode: string, tests: string): string =>
  sound.replace('[quota get]', rules.replace('MODE', mode)).replace('shared_namespaces: []', listed) + tests;
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
