// Goal: whatever a rule can say is put into words that nobody misreads.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeRule, formatRate } from '../../../src/domain/answers/rights.js';
import { parse, sound } from '../config/sound.js';

/** What is said of a rule, given as the inside of a YAML map. */
function says(text: string, isForEverybody = true): string[] {
  const { settings } = parse(sound.replace('[quota get]', `[{ ${text} }]`));
  const rule = settings?.policies.get('support')?.allow[0];
  assert.ok(rule);
  return describeRule(rule, { isForEverybody });
}

/** Of the conditions alone: the last sentence of a `where` is always that there are no other options. */
function where(command: string, text: string): string[] {
  const sentences = says(`command: ${command}, where: { ${text} }`);
  assert.equal(sentences.pop(), 'no other options');
  return sentences;
}

void test('every kind of condition is put into words', () => {
  assert.deepEqual(where('mailbox list', 'subscriptions: true, mailbox-mask: any'), [
    'subscriptions: given',
    'mailbox-mask: any value, or none',
  ]);
  assert.deepEqual(where('mailbox list', 'subscriptions: absent, mailbox-mask: { equals: [a, b c] }'), [
    'subscriptions: not given',
    'mailbox-mask: exactly "a" "b c"',
  ]);
  assert.deepEqual(where('mailbox list', 'mailbox-mask: { regex: "[a-z]+", optional: true }'), [
    'mailbox-mask: matches [a-z]+, or not given',
  ]);
  assert.deepEqual(where('mailbox update', 'mailbox: [a], min-next-uid: { at_least: 5, at_most: 9 }'), [
    'mailbox: a',
    'min-next-uid: at least 5, at most 9',
  ]);
  assert.deepEqual(where('search', 'query: { seen: present, flagged: absent, larger: { at_least: 1KiB } }'), [
    'query: every mail it selects has seen and no flagged and larger at least 1024 bytes',
  ]);
  assert.deepEqual(
    where('search', 'query: { any_of: [{ mailbox: a }, { younger: { at_most: 2h }, seen: present }] }'),
    ['query: every mail it selects has (mailbox a) or (younger at most 2h and seen)'],
  );
  assert.deepEqual(where('search', 'query: { equals: mailbox INBOX all }'), [
    'query: exactly mailbox INBOX all',
  ]);
  assert.deepEqual(where('search', 'query: { regex: "mailbox .* all" }'), ['query: matches mailbox .* all']);
  assert.deepEqual(where('search', 'query: any'), ['query: any']);
  assert.deepEqual(
    says(
      'command: who, users: ["*@example.com"], masks: true, shared: true, content: true, expires: 2099-01-31, emergency: true',
    ),
    [
      'only for *@example.com',
      'also for masks of users',
      'also in mailboxes that others share',
      'also what mails say',
      'until 2099-01-31',
      'also while the audit disk is almost full',
    ],
  );
  assert.deepEqual(says('command: quota get, all_users: true'), ['also for all users at once']);
  assert.deepEqual(says('command: quota get, all_users: true', false), []);
  assert.deepEqual(says('command: quota get, all_users: true, users: ["a*"]'), ['only for a*']);
  assert.deepEqual(says('command: reload, root_equivalent: true'), ['amounts to root on the mail server']);
});

void test('a name alone says nothing more; rates are short', () => {
  assert.deepEqual(says('command: quota get'), []);
  assert.equal(formatRate({ count: 5, windowMs: 86_400_000 }), '5 a day');
  assert.equal(formatRate({ count: 5, windowMs: 1000 }), '5 a second');
});
