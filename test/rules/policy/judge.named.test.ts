// A command in JSON is judged as the same command from the wire: over random lines of every command, every table of cases, and every
// trick of the corpus that has a JSON form.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  allSeries,
  type Command,
  commandNamed,
  commandsOf,
  resolveCommand,
  type Series,
} from '../../../src/doveadm/commands/catalog.js';
import { isMask } from '../../../src/doveadm/names/glob.js';
import { createUserNames, type UserNames } from '../../../src/doveadm/names/user-name.js';
import type { CommandLine, NamedParameter } from '../../../src/doveadm/protocol/command.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { routingTableOf, type Settings } from '../../../src/rules/config/settings.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { underAnyGrant } from '../../../src/rules/policy/grant.js';
import { type JudgeContext, type Judgement, judge, judgementKey } from '../../../src/rules/policy/judge.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import { randomValues, spell } from '../../doveadm/commands/spelling.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import { type JsonForm, jsonForm, jsonFormOf, lineOfForm } from '../../kit/plain/json-form.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { projectRoot } from '../../kit/plain/root.js';
import { policyOf, withPolicies } from '../config/sound.js';
import { caseFiles, casesNowMs, readCases } from './cases.js';

const userNames = createUserNames({ characters: 'A-Za-z0-9._+=@-', defaultRealm: 'example.com' });
const rounds = 5 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
/** Of the six ways to write a command in JSON, so many for each case, in turns; all of them with DOVEGATE_ROUNDS=3. */
const formsEach = Math.min(6, 2 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1));
let nextForm = 0;

function contextOf(policy: Policy, names: UserNames = userNames): JudgeContext {
  return judgeContext(policy, { userNames: names, sharedNamespaces: ['shared/'], nowMs: casesNowMs });
}

/** What counts of a judgement; the input that a client would send differs, since a request has none behind it. */
function essence(judgement: Judgement): unknown {
  if (judgement.kind === 'unparsable') return { refused: judgement.code };
  const { command, effect, user, args, decision, wantsUsernameCell, attempt } = judgement;
  // Refused in JSON only, since its rows have no names.
  const unable = judgement.unable?.code === 'not-over-http' ? undefined : judgement.unable;
  const { users, masks, everybody, shared, content, mustBeNamed, never } = attempt;
  const people = { users, masks, everybody, shared, content, mustBeNamed, never };
  return { command, effect, user, args, decision, unable, wantsUsernameCell, ...people };
}

/** Random policies over the commands that do not amount to root. */
function randomPolicy(random: Random): Policy {
  const commands = allSeries.flatMap((series) => commandsOf(series).filter(({ grant }) => grant !== 'never'));
  const rules = [...new Set(commands.map(({ name }) => name))].flatMap((name) => {
    if (random() < 0.2) return [];
    const command = commandNamed('2.4', name) ?? commandNamed('2.3', name);
    const isMail = command?.scope === 'user';
    const flags = [
      ...(isMail && random() < 0.4 ? ['all_users: true'] : []),
      ...(random() < 0.3 ? ['masks: true'] : []),
      ...(isMail && random() < 0.3 ? ['shared: true'] : []),
      ...(random() < 0.1 ? ['users: ["alice*"]'] : []),
    ];
    return [`      - { command: ${name}${flags.map((flag) => `, ${flag}`).join('')} }`];
  });
  const head = '    users: ["*@example.com"]\n    except: [ceo@example.com]\n    allow:\n';
  return policyOf(withPolicies(`  support:\n${head}${rules.join('\n')}\n`));
}

/** Values that both forms can say. */
function valuesFor(random: Random, command: Command): Map<string, readonly string[]> {
  const values = new Map(randomValues(random, command));
  if (command.scope === 'user') {
    values.delete('user');
    // Nothing that has one of these is ever allowed.
    const never = ['all-users', 'user-file', 'socket-path', 'trans-flags', 'no-userdb-lookup'];
    for (const name of random() < 0.8 ? never : []) values.delete(name);
  }
  if (command.input === 'dot') values.delete('file');
  for (const { name, role } of command.params) {
    const isUser = role === 'source-user' || role?.startsWith('user-mask') === true;
    if (isUser && values.has(name))
      values.set(name, [pick(random, ['alice', 'ceo', '*', 'a?', 'eve@example.org'])]);
  }
  return values;
}

void test('every command with a form on the wire is judged alike in both forms', () => {
  const random = seededRandom(16);
  const counts = { judged: 0, allowed: 0, refused: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const context = contextOf(randomPolicy(random));
    for (const series of allSeries) {
      for (const command of commandsOf(series)) {
        const values = valuesFor(random, command);
        const user =
          command.scope === 'user' ? pick(random, ['alice', 'ALICE@Example.com', 'ceo', 'eve@x.org']) : '';
        const words = [command.name, ...spell(random, command, values)];
        const form = jsonForm(command, user, values, Math.floor(random() * 6));
        const shown = `${series} ${user} ${JSON.stringify(words)} ${JSON.stringify(form)}`;
        const fromWire = judge(plainLine(user, words), [series], context);
        const named = lineOfForm(form);
        const fromJson = judge(named, [series], context);
        if (command.input === 'duplex') {
          assert.equal(fromJson.kind === 'unparsable' ? fromJson.code : '', 'kills-server', shown);
          continue;
        }
        assert.deepEqual(essence(fromJson), essence(fromWire), shown);
        assert.equal(fromJson.input, command.input, shown);
        const keyOf = (line: CommandLine) => judgementKey(line, [series], context);
        assert.notEqual(keyOf(named), keyOf(plainLine(user, words)));
        if (fromJson.kind === 'unparsable') counts.refused += 1;
        else if (fromJson.decision.kind === 'allow') counts.allowed += 1;
        else counts.judged += 1;
      }
    }
  }
  assert.ok(counts.allowed > 30 * rounds && counts.judged > 50 * rounds, JSON.stringify(counts));
  assert.ok(counts.refused < counts.allowed, JSON.stringify(counts));
});

void test('a boolean that is false is as if it were not there, in both series', () => {
  const context = contextOf(randomPolicy(seededRandom(1)));
  const random = seededRandom(2);
  let tried = 0;
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      const values = valuesFor(random, command);
      for (const { name, type } of command.params) {
        if (type !== 'bool') continue;
        values.delete(name);
        const without = jsonForm(command, 'alice', values);
        for (const value of [{ kind: 'false' }, { kind: 'string', text: 'false' }] as const) {
          const form = { ...without, parameters: [...without.parameters, { name, value }] };
          const of = (each: JsonForm) => essence(judge(lineOfForm(each), [series], context));
          assert.deepEqual(of(form), of(without), `${series} ${command.name} ${name}`);
          tried += 1;
        }
      }
    }
  }
  assert.ok(tried > 300, `${tried}`);
});

/** Refused or harmless: the same as from the wire, or refused. */
function compareForms(series: Series, wireUser: string, words: readonly string[], context: JudgeContext) {
  const resolved = resolveCommand(series, words);
  // Servers ignore that of other commands, and JSON has no place for it.
  const user = resolved?.command.scope === 'user' ? wireUser : '';
  let tried = false;
  for (let count = 0; count < formsEach; count += 1) {
    const form = jsonFormOf(series, user, words, nextForm);
    nextForm = (nextForm + 1) % 6;
    if (form === undefined || resolved === undefined) return false;
    const shown = `${series} ${user} ${JSON.stringify(words)} ${JSON.stringify(form)}`;
    let line: CommandLine;
    try {
      line = lineOfForm(form);
    } catch {
      // Refused before anything runs.
      continue;
    }
    tried = true;
    const fromWire = judge(plainLine(user, words), [series], context);
    const fromJson = judge(line, [series], context);
    if (fromJson.kind === 'unparsable') {
      const isOnlyHere = 'argument-missing kills-server user-invalid user-unknown text-invalid not-over-http'
        .split(' ')
        .includes(fromJson.code);
      assert.ok(fromWire.kind === 'unparsable' || isOnlyHere, `${fromJson.code} ${shown}`);
      continue;
    }
    if (isMask(user)) {
      // On the wire that is no user; in JSON it is sent for everybody.
      assert.equal(fromJson.attempt.everybody, 'option', shown);
      continue;
    }
    assert.deepEqual(essence(fromJson), essence(fromWire), shown);
  }
  return tried;
}

void test('every case of every table is judged alike in its JSON form', () => {
  let tried = 0;
  for (const file of caseFiles) {
    const { settings, cases } = readCases(file);
    for (const { who, series, user, words } of cases) {
      const policy = policyFor(settings, who);
      const grants = who.startsWith('+') ? underAnyGrant : undefined;
      const context = { ...contextOf(policy, routingTableOf(settings).userNames), grants };
      for (const one of series) if (compareForms(one, user, words, context)) tried += 1;
    }
  }
  assert.ok(tried > 1500, `${tried}`);
});

function policyFor(settings: Settings, who: string): Policy {
  return settings.policies.get(who.slice(who.lastIndexOf('@') + 1)) ?? assert.fail(who);
}

const corpus = readFileSync(new URL('test/rules/policy/parsing.corpus', projectRoot), 'utf8');

void test('every trick of the corpus that has a JSON form is refused, or means what it means on the wire', (t) => {
  const [head = '', table = ''] = corpus.split(/^-{5,}$/m);
  const { settings } = parseSettings('corpus.yaml', { readText: () => head, glob: () => [] });
  assert.ok(settings);
  const context = contextOf(policyFor(settings, 'x@desk'), createUserNames(settings.mailUsers));
  let tricks = 0;
  let tried = 0;
  for (const row of table.split('\n')) {
    const [, which = '', shown = ''] = row.split(/ ?\| ?/);
    if (shown === '' || row.startsWith('#')) continue;
    const text = shown
      .replaceAll('\u2026', 'x'.repeat(40_000))
      .replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    const [, user = '', ...words] = text.split('\u2192');
    if (words.length === 0) continue;
    for (const series of allSeries.filter((each) => which.startsWith('both') || which.startsWith(each))) {
      tricks += 1;
      if (compareForms(series, user, words, context)) tried += 1;
    }
  }
  t.diagnostic(`${tried} of ${tricks} tricks, by series, have a JSON form`);
  assert.ok(tricks > 400 && tried > 200, `${tried} of ${tricks}`);
});

/** Tricks of JSON itself. */
void test('tricks of JSON: spellings, types, names that are no parameters', () => {
  const policy = randomPolicy(() => 0.99);
  const context = contextOf(policy);
  const text = (name: string, value: string) => ({ name, value: { kind: 'string', text: value } as const });
  const user = (name: string) => [text('user', name)];
  const alice = text('user', 'alice');
  const becomes = (form: JsonForm, series: Series): string => {
    const judgement = judge(lineOfForm(form), [series], context);
    if (judgement.kind === 'unparsable') return judgement.code;
    return `${judgement.decision.kind} ${judgement.user} ${judgement.args.map((word) => word.text).join(' ')}`;
  };
  const two: NamedParameter = { name: 'mailbox', value: { kind: 'list', items: ['A', '--'] } };
  const cases: readonly (readonly [name: string, parameters: JsonForm['parameters'], becomes: string])[] = [
    ['quotaGet', [alice], 'allow alice@example.com --'],
    ['QuotaGet', [alice], 'command-unknown'],
    ['quota get', [alice, text('u', 'ceo')], 'unknown-option'],
    ['quota get -u ceo', [alice], 'command-unknown'],
    ['quotaGet', [alice, text('User', 'ceo')], 'unknown-option'],
    ['quotaGet', [alice, text('__proto__', 'ceo')], 'unknown-option'],
    ['quotaGet', user('ceo'), 'deny ceo@example.com --'],
    ['quotaGet', user('alice\tquota get'), 'user-unknown'],
    ['quotaGet', user('alice\nceo'), 'user-unknown'],
    ['quotaGet', [alice, text('userFile', '/etc/passwd')], 'deny alice@example.com -F /etc/passwd --'],
    ['quotaGet', [alice, text('socketPath', '/x')], 'deny alice@example.com -S /x --'],
    ['quotaGet', [alice, text('transFlags', '1')], 'deny alice@example.com --trans-flags=1 --'],
    ['quotaGet', [alice, { name: 'allUsers', value: { kind: 'true' } }], 'deny alice@example.com -A --'],
    ['quotaGet', [alice, { name: 'allUsers', value: { kind: 'false' } }], 'allow alice@example.com --'],
    ['quotaGet', user('*'), 'deny  -A --'],
    ['quotaGet', user('*@example.com'), 'deny  -A --'],
    ['quotaRecalc', user('*@example.com'), 'not-over-http'],
    ['mailboxCreate', [alice, text('mailbox', '-A')], 'allow alice@example.com -- -A'],
    ['mailboxCreate', [alice, two], 'allow alice@example.com -- A --'],
    ['dovegate can', [], 'command-unknown'],
    ['pw', [], 'command-unknown'],
  ];
  for (const series of allSeries)
    for (const [name, parameters, expected] of cases)
      assert.equal(becomes({ name, parameters }, series), expected, `${series} ${name} ${expected}`);
});
