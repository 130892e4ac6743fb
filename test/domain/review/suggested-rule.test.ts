// Goal: the narrowest rule that policy itself takes; wider where that fails; none where only a grave grant would do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Settings } from '../../../src/domain/config/settings.js';
import { formatRate } from '../../../src/domain/policy/policy.js';
import { formatValue } from '../../../src/domain/review/policy-text.js';
import { RecordedAssessor, Sightings, understand } from '../../../src/domain/review/recorded.js';
import {
  decidingRule,
  findRule,
  graveRule,
  patternsOf,
  type Sight,
  type Trial,
} from '../../../src/domain/review/suggested-rule.js';
import { settingsOf, sound } from '../config/sound.js';
import { record, recordedMs } from './recording.js';
import { wordsOf } from './seeing.js';

const observing = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));

/** `USER: WORDS` each, as they were seen under the policy of the settings. */
function see(settings: Settings, ...lines: string[]): Sight[] {
  const sightings = new Sightings({ listener: 'support' });
  for (const line of lines) {
    const [user = '', words = ''] = line.split(': ');
    sightings.take(record(settings, 'support', { user, words: wordsOf(words), reason: 'x' }));
  }
  const policy = settings.policies.get('support') ?? assert.fail();
  return sightings.lines.map((seen) => ({
    seen,
    ...(understand(new RecordedAssessor(settings), policy, seen) ?? assert.fail()),
  }));
}

function trialOf(settings: Settings): Trial {
  const policy = settings.policies.get('support') ?? assert.fail();
  return { policy, mailUsers: settings.mailUsers, nowMs: recordedMs + 1000 };
}

function found(settings: Settings, sights: readonly Sight[]): string {
  const result = findRule(sights, trialOf(settings));
  return result.kind === 'rule' ? formatValue(result.rule) : `none: ${result.why}`;
}

void test('users are those of the lines, by domain', () => {
  const sights = see(
    observing,
    'bob@example.com: quota get',
    'Eve@Example.net: quota get',
    'bob@example.com: mailbox list',
  );
  assert.deepEqual(patternsOf(sights), ['*@example.com', '*@example.net']);
  assert.deepEqual(patternsOf(see(observing, 'root: quota get')), ['root']);
});

void test('what destroys is held to the domains where it was seen', () => {
  const line = 'bob@example.com: expunge mailbox Trash savedbefore 30d';
  const where = 'where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } }';
  for (const [users, more] of [
    ['["*@example.com", "*@example.net"]', ', users: ["*@example.com"]'],
    ['["*"]', ', users: ["*@example.com"]'],
    ['["*@example.com", bob@example.com]', ''],
  ] as const) {
    const settings = settingsOf(
      sound
        .replace('users: ["*@example.com"]', `users: ${users}`)
        .replace('[quota get]', '[quota get]\n    mode: observe'),
    );
    assert.equal(found(settings, see(settings, line)), `{ command: expunge, ${where}${more} }`, users);
  }
});

void test('the terms of the rule that allows it today stay', () => {
  const text =
    '[{ command: mailbox list, reason: required, limit: 5/day, emergency: true, expires: 2099-01-01 }, { command: quota get, limit: 7/hour }]';
  const settings = settingsOf(sound.replace('[quota get]', text));
  const list = see(settings, 'bob@example.com: mailbox list INBOX');
  assert.equal(
    found(settings, list),
    '{ command: mailbox list, reason: required, limit: 5/day, emergency: true, expires: "2099-01-01" }',
  );
  assert.equal(
    decidingRule(list, settings.policies.get('support') ?? assert.fail())?.command,
    'mailbox list',
  );
  assert.equal(formatRate({ count: 3, windowMs: 1000 }), '3/second');
  assert.equal(formatRate({ count: 3, windowMs: 60_000 }), '3/minute');
});

void test('users who are excepted today are in no rule', () => {
  const settings = settingsOf(
    `${sound}mail_users: { resolve: /run/auth }\n`.replace(
      'allow: [quota get]',
      'except: [ceo@example.com]\n    allow: [quota get]\n    mode: observe',
    ),
  );
  assert.match(found(settings, see(settings, 'ceo@example.com: quota get')), /^none: policy trial excepts/);
});

void test('a rule that only all_users or root_equivalent would make is shown and not found', () => {
  const root = see(observing, ': reload');
  assert.match(found(observing, root), /^none: "reload" amounts to root/);
  assert.equal(
    formatValue(graveRule(root, trialOf(observing), 'root_equivalent')),
    '{ command: reload, root_equivalent: true }',
  );
  const all = see(observing, 'bob@example.com: quota get -A');
  assert.match(found(observing, all), /^none: the rule must say all_users: true/);
});
