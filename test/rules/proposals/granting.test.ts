// Goal: the lines that would allow a denied command are those of a policy that allows it, and what else they allow is said. What must not
// happen: lines for what a person denied, and lines that lose a condition of the rule that comes nearest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse as parseYaml, stringify } from 'yaml';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { type Grant, type Remedy, remedyFor } from '../../../src/rules/proposals/granting.js';
import { recordedMs } from '../../evidence/review/recording.js';
import { wordsOf } from '../../evidence/review/seeing.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { parse, withPolicies } from '../config/sound.js';

function grants(policyText: string, user: string, line: string): readonly Grant[] {
  return remedy(policyText, user, line).grants;
}

function remedy(policyText: string, user: string, line: string, series: Series = '2.4'): Remedy {
  // Lists with dashes, as most people write them; how other lists are edited is tested with `explain`.
  const written = stringify(parseYaml(policyText)).replaceAll(/^/gm, '    ').trimEnd();
  const { settings, problems } = parse(withPolicies(`  support:\n${written}\n`));
  assert.ok(settings, JSON.stringify(problems));
  const policy = settings.policies.get('support') ?? assert.fail();
  const who = { listener: 'support', principal: 'carol@support', clientMinor: 4 };
  const asked = { ...who, user, words: wordsOf(line) };
  const names = createUserNames(settings.mailUsers);
  const judgement = judgeLine(policy, asked, series, [], names, recordedMs);
  assert.ok(judgement.kind === 'judged', line);
  const { attempt, decision } = judgement;
  const nowMs = recordedMs;
  return remedyFor({ policy, mailUsers: settings.mailUsers, attempts: [attempt], decision, nowMs });
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
  const others = 'the same for every user of *@example.com';
  assert.deepEqual(list, [others, 'any arguments but those that a rule must name']);
  const bobs = '{ users: [bob@example.com], allow: [quota get] }';
  const [content] = grants(bobs, 'bob@example.com', 'fetch text all');
  assert.deepEqual(content?.also, ['any query', 'also what mails say']);
  const many = Array.from({ length: 25 }, (_, at) => `"*@d${at}.example"`).join(', ');
  const [wide] = grants(`{ users: [${many}], allow: [quota get] }`, 'bob@d3.example', 'mailbox list');
  assert.match(wide?.also[0] ?? '', /\*@d9\.example, and 15 more$/);
});

void test('a user whom the policy does not cover: the user, and the rule where one is missing too', () => {
  const lists = (line: string): string[][] =>
    grants(quota, 'dora@example.net', line).map(({ into, lines }) => [into, ...lines]);
  const user = ['policies.support.users', '- dora@example.net'];
  assert.deepEqual(lists('quota get'), [user]);
  assert.deepEqual(lists('mailbox list'), [user, ['policies.support.allow', '- mailbox list']]);
});

void test('root and all users are said in so many words', () => {
  assert.deepEqual(grants(quota, '', 'reload')[0]?.lines, ['- command: reload', '  root_equivalent: true']);
  const everybody = '{ users: ["*"], allow: [quota get] }';
  const [all] = grants(everybody, 'bob@example.com', 'quota get -A');
  assert.deepEqual(all?.lines, ['- command: quota get', '  all_users: true']);
  const at23 = 'also for all users at once, which no Dovecot 2.3 does: there, "dovegate send --users FILE"';
  assert.ok(all.also.includes(at23), all.also.join());
  // A Dovecot 2.3 has no such command, so that no rule helps.
  const { grants: none, hindrance } = remedy(everybody, 'bob@example.com', 'quota get -A', '2.3');
  assert.deepEqual(none, []);
  const why =
    /^no rule can allow it: Dovecot 2\.3 has no command for all users, .*"dovegate send --users FILE"$/;
  assert.match(hindrance ?? '', why);
});

void test('the conditions kept are those of allow, also where a rule of on_request is nearer', () => {
  const held = `{ users: ["*@example.com"], allow: [{ command: expunge, reason: required, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } } }]`;
  const line = 'expunge mailbox INBOX body x';
  const [grant] = grants(`${held}, on_request: [expunge] }`, 'bob@example.com', line);
  assert.deepEqual(grant, grants(`${held} }`, 'bob@example.com', line)[0]);
  assert.match(grant?.lines.join() ?? '', /reason: required/);
  const alone = '{ users: ["*@example.com"], allow: [quota get], on_request: [expunge] }';
  assert.equal(grants(alone, 'bob@example.com', line).length, 1);
});

void test('nothing for what a person denied, and for what is allowed', () => {
  const denying = '{ users: ["*@example.com"], allow: [quota get], deny: [mailbox delete] }';
  assert.deepEqual(grants(denying, 'bob@example.com', 'mailbox delete A'), []);
  assert.deepEqual(grants(quota, 'bob@example.com', 'quota get'), []);
});

const janitor = (more: string): string =>
  `{ users: ["*"], allow: [{ command: expunge, ${more}where: { query: { mailbox: [Trash, Junk], savedbefore: { at_least: 30d } } } }] }`;

const own = janitor('').replace('"*"', '"*@example.com"');

void test('the conditions and terms of the nearest rule stand in the lines', () => {
  const held = janitor('reason: required, limit: 20/hour, ');
  const [all, ...others] = grants(held, 'bob@example.com', 'expunge -A mailbox Trash savedbefore 40d');
  assert.deepEqual(others, []);
  assert.deepEqual(all?.lines, [
    '- command: expunge',
    '  where: { query: { mailbox: [Trash, Junk], savedbefore: { at_least: 30d } } }',
    '  reason: required',
    '  limit: 20/hour',
    '  all_users: true',
  ]);
  const [option] = grants(own, 'bob@example.com', 'expunge -d mailbox Trash savedbefore 40d');
  assert.deepEqual(option?.lines, [
    '- command: expunge',
    '  where: { delete-empty-mailbox: present, query: { mailbox: [Trash, Junk], savedbefore: { at_least: 30d } } }',
  ]);
  const fetching =
    '{ users: ["*"], allow: [{ command: fetch, where: { field: [uid], query: { seen: present } } }] }';
  const [content] = grants(fetching, 'bob@example.com', 'fetch text mailbox INBOX seen');
  assert.deepEqual(content?.lines, [
    '- command: fetch',
    '  where: { field: [text], query: { seen: present } }',
    '  users: ["*@example.com"]',
    '  content: true',
  ]);
});

void test('a condition that the command does not meet gives way to what the command says, and that is said', () => {
  const place = '/etc/dovegate/d.yaml:';
  const [age] = grants(own, 'bob@example.com', 'expunge mailbox Trash savedbefore 10d');
  const younger = '  where: { query: { mailbox: [Trash, Junk], savedbefore: { at_least: 10d } } }';
  assert.deepEqual(age?.lines.slice(1), [younger]);
  assert.ok(age?.also[0]?.startsWith(`more than the rule at ${place}`), age?.also[0]);
  assert.match(age?.also[0] ?? '', / allows: query$/);
  const [all] = grants(own, 'bob@example.com', 'expunge mailbox INBOX all');
  const equal = '  where: { query: { equals: [mailbox, INBOX, all] } }';
  assert.deepEqual(all?.lines.slice(1), [equal]);
  const reading =
    '{ users: ["*"], allow: [{ command: search, where: { query: { any_of: [{ seen: present }, { older: { at_least: 30d } }] } } }] }';
  const [search] = grants(reading, 'bob@example.com', 'search mailbox INBOX all');
  assert.deepEqual(search?.lines, ['- command: search', equal]);
});

void test('no rule for all users and for wider masks in a policy that is not for everybody', () => {
  for (const [policy, user, line] of [
    [own, 'bob@example.com', 'expunge -A mailbox Trash savedbefore 40d'],
    [own, 'dora@example.net', 'expunge -A mailbox Trash savedbefore 40d'],
    [own, 'bob@example.com', 'quota get -A'],
    [own, '', 'who'],
    [own, '', 'who *'],
  ] as const) {
    const { grants: found, hindrance } = remedy(policy, user, line);
    assert.deepEqual(found, [], line);
    assert.match(hindrance ?? '', /it needs users: \["\*"\] and no except/, line);
  }
  assert.match(remedy(own, 'bob@example.com', 'quota get -A').hindrance ?? '', /dovegate send --users/);
  const [masked] = grants(own, '', 'who *@example.com');
  assert.deepEqual(masked?.lines, ['- command: who', '  where: { mask: ["*@example.com"] }']);
});
