// Goal: the lines that would allow a denied command are those of a policy that allows it, and what else they allow is said. What must not
// happen: lines for what a person denied.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNames } from '../../../src/domain/identity/user-name.js';
import { type Grant, grantsFor } from '../../../src/domain/review/granting.js';
import { judgeLine } from '../../kit/judge-line.js';
import { settingsOf, withPolicies } from '../config/sound.js';
import { recordedMs } from './recording.js';
import { wordsOf } from './seeing.js';

function grants(policyText: string, user: string, line: string): readonly Grant[] {
  const settings = settingsOf(withPolicies(`  support: ${policyText}\n`));
  const policy = settings.policies.get('support') ?? assert.fail();
  const asked = {
    listener: 'support',
    principal: 'carol@support',
    user,
    words: wordsOf(line),
    clientMinor: 4,
  };
  const names = createUserNames(settings.mailUsers);
  const judgement = judgeLine(policy, asked, '2.4', [], names, recordedMs);
  assert.ok(judgement.kind === 'judged', line);
  const { attempt, decision } = judgement;
  const { mailUsers } = settings;
  return grantsFor({ policy, mailUsers, attempts: [attempt], decision, nowMs: recordedMs });
}

const quota = '{ users: ["*@example.com"], allow: [quota get] }';

void test('a rule of the command, held to what it says where it changes something', () => {
  const [grant, ...others] = grants(quota, 'bob@example.com', 'mailbox rename A B');
  assert.deepEqual(others, []);
  assert.equal(grant?.into, 'policies.support.allow');
  assert.match(grant.place, /^\/etc\/dovegate\/d\.yaml:\d+$/);
  assert.deepEqual(grant.lines, ['- command: mailbox rename', '  where: { mailbox: [A], new-name: [B] }']);
  assert.deepEqual(grant.also, ['the same for every user of *@example.com']);
});

void test('what else: users, arguments, content', () => {
  const list = grants(quota, 'bob@example.com', 'mailbox list').flatMap(({ also }) => also);
  assert.deepEqual(list, [
    'the same for every user of *@example.com',
    'any arguments but those that a rule must name',
  ]);
  const own = '{ users: [bob@example.com], allow: [quota get] }';
  assert.deepEqual(grants(own, 'bob@example.com', 'fetch text all')[0]?.also, [
    'any query',
    'also what mails say',
  ]);
  const many = Array.from({ length: 25 }, (_, at) => `"*@d${at}.example"`).join(', ');
  const [wide] = grants(`{ users: [${many}], allow: [quota get] }`, 'bob@d3.example', 'mailbox list');
  assert.match(wide?.also[0] ?? '', /\*@d9\.example, and 15 more$/);
});

void test('a user whom the policy does not cover: the user, and the rule where one is missing too', () => {
  const lists = (line: string): string[][] =>
    grants(quota, 'dora@example.net', line).map(({ into, lines }) => [into, ...lines]);
  assert.deepEqual(lists('quota get'), [['policies.support.users', '- dora@example.net']]);
  assert.deepEqual(lists('mailbox list'), [
    ['policies.support.users', '- dora@example.net'],
    ['policies.support.allow', '- mailbox list'],
  ]);
});

void test('root and all users are said in so many words', () => {
  assert.deepEqual(grants(quota, '', 'reload')[0]?.lines, ['- command: reload', '  root_equivalent: true']);
  const everybody = '{ users: ["*"], allow: [quota get] }';
  const [all] = grants(everybody, 'bob@example.com', 'quota get -A');
  assert.deepEqual(all?.lines, ['- command: quota get', '  all_users: true']);
  assert.ok(all.also.includes('also for all users at once'), all.also.join());
  const [some] = grants(quota, 'bob@example.com', 'quota get -A');
  assert.equal(some?.also.at(-1), 'it needs users: ["*"] and no except, too');
});

void test('nothing for what a person denied, and for what is allowed', () => {
  const denying = '{ users: ["*@example.com"], allow: [quota get], deny: [mailbox delete] }';
  assert.deepEqual(grants(denying, 'bob@example.com', 'mailbox delete A'), []);
  assert.deepEqual(grants(quota, 'bob@example.com', 'quota get'), []);
});
