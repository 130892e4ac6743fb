// The list of commands over HTTP: nothing that a policy allows is missing from it, and what its rules exclude by name is not in it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import { jsonName } from '../../../src/doveadm/commands/named.js';
import { type ListedCommand, listCommands } from '../../../src/rules/answers/command-list.js';
import { routingTableOf } from '../../../src/rules/config/settings.js';
import { judge } from '../../../src/rules/policy/judge.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import { jsonFormOf, lineOfForm } from '../../kit/plain/json-form.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';
import { caseFiles, casesNowMs, readCases } from '../policy/cases.js';

const policyWith = (body: string): Policy => policyOf(withPolicies(`  support:\n${body}\n`));

const namesIn = (list: readonly ListedCommand[]): string => list.map(({ command }) => command).join(' ');

/** `mailboxStatus: user string, field array`, one a line, sorted. */
function shown(list: readonly ListedCommand[]): string[] {
  return list
    .map(
      ({ command, parameters }) =>
        `${command}: ${parameters.map(({ name, type }) => `${name} ${type}`).join(', ')}`,
    )
    .toSorted();
}

void test('commands and parameters that the rules may allow, in the order and the names of Dovecot', () => {
  const policy = policyWith(`    users: ["*"]
    allow:
      - mailbox status
      - { command: quota get, all_users: true }
      - { command: mailbox delete, where: { recursive: absent } }
      - { command: copy, where: { source-user: any } }
      - { command: auth cache flush, masks: true }
      - save
    deny:
      - quota recalc`);
  assert.deepEqual(shown(listCommands(policy, 0, ['2.4'])), [
    'authCacheFlush: userMask array',
    'copy: user string, destinationMailbox string, sourceUser string, query array',
    'mailboxDelete: user string, mailbox array',
    'mailboxStatus: user string, totalSum boolean, field array, mailboxMask array',
    'quotaGet: allUsers boolean, user string',
    'save: user string, mailbox string, uid integer, guid string, receivedDate string, file string',
  ]);
  assert.deepEqual(shown(listCommands(policy, 0, ['2.3'])).slice(0, 2), [
    'authCacheFlush: user array',
    'copy: user string, destinationMailbox string, sourceType string, sourceUser string, query array',
  ]);
  const both = listCommands(policy, 0).map(({ command }) => command);
  assert.equal(new Set(both).size, both.length);
  assert.equal(both.length, 6);
});

void test('a command whose reply has no columns that are known is not listed, one without rows is', () => {
  const policy = policyWith(`    users: ["*"]
    allow:
      - proxy list
      - { command: oldstats dump, where: { type: any } }
      - { command: indexer add, masks: true }
      - { command: indexer remove, masks: true }
      - stats reopen
      - { command: user, masks: true }
      - { command: batch, root_equivalent: true, where: { separator: any, args: any } }`);
  const sorted = (series: Series): string =>
    namesIn(listCommands(policy, 0, [series]).toSorted((a, b) => (a.command < b.command ? -1 : 1)));
  assert.equal(sorted('2.3'), 'user');
  assert.equal(sorted('2.4'), 'indexerAdd indexerRemove proxyList statsReopen user');
});

void test('what a deny takes away, what has ended and what JSON cannot carry is not listed', () => {
  const policy = policyWith(`    users: ["*"]
    allow:
      - quota get
      - { command: quota recalc, expires: 2026-01-01T00:00:00Z }
      - mailbox list
      - dsync-server
    deny:
      - mailbox list`);
  assert.equal(namesIn(listCommands(policy, Date.parse('2026-02-01T00:00:00Z'))), 'quotaGet');
  assert.equal(namesIn(listCommands(policy, Date.parse('2025-02-01T00:00:00Z'))), 'quotaGet quotaRecalc');
});

void test('an observing policy lists what it lets through', () => {
  const list = listCommands(policyWith(`    users: ["*"]\n    mode: observe\n    allow: [who]`), 0);
  const names = list.map(({ command }) => command);
  assert.ok(names.includes('mailboxDelete') && names.includes('quotaGet') && names.includes('who'));
  assert.ok(!names.includes('stop') && !names.includes('dsyncServer'));
  const copy = list.find(({ command }) => command === 'copy');
  assert.ok(
    copy !== undefined && copy.parameters.every(({ name }) => name !== 'sourceUser' && name !== 'allUsers'),
  );
});

/** Names of the list that a line uses. */
function missing(
  list: readonly ListedCommand[],
  series: Series,
  name: string,
  given: readonly string[],
): string[] {
  const listed = list.find(({ command }) => command === jsonName(name));
  if (listed === undefined) return [name];
  const names = new Set(listed.parameters.map((parameter) => parameter.name));
  return given
    .filter((parameter) => !names.has(jsonName(parameter)))
    .map((parameter) => `${series} ${name} ${parameter}`);
}

void test('nothing that any table of policies allows is missing', () => {
  let allowed = 0;
  for (const file of caseFiles) {
    const { settings, cases } = readCases(file);
    const { userNames } = routingTableOf(settings);
    const lists = new Map<Policy, readonly ListedCommand[]>();
    for (const { who, series, user, words, line } of cases) {
      const policy = settings.policies.get(who.slice(who.lastIndexOf('@') + 1));
      assert.ok(policy);
      const list = lists.get(policy) ?? listCommands(policy, casesNowMs);
      lists.set(policy, list);
      for (const one of series) {
        const form = jsonFormOf(one, user, words);
        if (form === undefined) continue;
        const context = judgeContext(policy, { principal: who, userNames, nowMs: casesNowMs });
        const judgement = judge(lineOfForm(form), [one], context);
        if (judgement.kind !== 'judged' || judgement.decision.kind !== 'allow') continue;
        // Refused after all.
        if (judgement.unable?.code === 'not-over-http') continue;
        const given = [...judgement.attempt.parsed.values.keys()];
        assert.deepEqual(missing(list, one, judgement.attempt.command.name, given), [], `${file}:${line}`);
        allowed += 1;
      }
    }
  }
  assert.ok(allowed > 200, `${allowed}`);
});

void test('names of commands and parameters have one spelling each', () => {
  for (const series of allSeries)
    for (const { name, params } of commandsOf(series))
      for (const each of [name, ...params.map((parameter) => parameter.name)])
        assert.match(jsonName(each), /^[a-z0-9][A-Za-z0-9]*$/, each);
});
