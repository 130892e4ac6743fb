// Goal: policies take their traits, shadows and presets; each shipped preset does what its own tests say and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prove } from '../../../src/evidence/proof/prove.js';
import { runTests } from '../../../src/rules/answers/policy-tests.js';
import { isStatement, readStatement } from '../../../src/rules/answers/statement.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { formatProblem, type Problem } from '../../../src/rules/config/problem.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import {
  presetConfiguration,
  presetNames,
  presetShape,
  presetText,
  readWithPresets,
} from '../../kit/plain/presets.js';
import { memoryFiles, settingsOf, sound, told, withPolicies } from './sound.js';

const nowMs = 1_795_176_000_000;

const roles =
  `abuse-response backup-replication mailbox-provisioning metrics-quota migration monitoring quota-billing read-only-auditor
    retention-janitor support-desk`.split(/\s+/);

const withAllow = (text: string): string => sound.replace('    allow: [quota get]', text);
const formatted = (problem: Problem) => formatProblem(problem);

function commandsIn(preset: string): string[] {
  return presetShape(preset).allow.map((rule) => (typeof rule === 'string' ? rule : rule.command));
}

void test('the roles are there', () => {
  assert.deepEqual(presetNames.toSorted(), roles);
});

for (const name of presetNames) {
  void test(`preset ${name}: its own tests, an allowed one for each rule, and denied ones`, () => {
    const { settings, problems } = readWithPresets(presetConfiguration(name));
    assert.deepEqual(problems.map(formatted), []);
    assert.ok(settings);
    const outcomes = runTests(settings, nowMs);
    const failed = outcomes.filter((each) => !each.isPassed);
    const wrong = failed.map(({ test: { expect, user, words }, readings }) => {
      const found = readings.map(({ judgement: it }) => (it.kind === 'judged' ? it.decision : it.code));
      return `${expect}: ${user} ${words.join(' ')}: ${JSON.stringify(found)}`;
    });
    assert.deepEqual(wrong, []);
    const commands = new Set(commandsIn(name));
    const allowed = new Set(
      outcomes.flatMap(({ test: each, assessment }) =>
        each.expect === 'allow' && assessment?.judgement.kind === 'judged'
          ? [assessment.judgement.attempt.command.name]
          : [],
      ),
    );
    assert.deepEqual(commands, allowed, 'every command of the preset has a test that it is allowed');
    assert.ok(outcomes.filter((each) => each.test.expect === 'deny').length >= 5);
  });

  void test(`preset ${name}: its statements hold`, () => {
    const { settings } = readWithPresets(presetConfiguration(name));
    assert.ok(settings);
    const { prove: statements } = presetShape(name).tests;
    assert.ok(statements.length > 0);
    for (const text of statements) {
      const statement = readStatement(text, settings);
      assert.ok(isStatement(statement, 'never'), text);
      assert.equal(prove(statement, settings, { nowMs, isOver: () => false }).kind, 'holds', text);
    }
  });

  void test(`preset ${name}: its first line says what is not enforced`, () => {
    assert.match(presetText(name), /^# Not enforced: \S/);
  });
}

const never =
  /^(fs|dict|mail fs|mail dict|sis|batch|stop|reload|service stop|instance remove|log find|log test|director (add|remove|up|down|update|move)|mailbox cryptokey)( |$)/;

void test('what belongs in no preset is in none', () => {
  for (const name of presetNames)
    for (const command of commandsIn(name)) assert.ok(!never.test(command), `${name}: ${command}`);
});

void test('rules of a preset stand behind the own ones, and name their own file', () => {
  const { settings, problems } = readWithPresets(
    withAllow('    allow: [search]\n    use: [presets/support-desk]'),
  );
  assert.deepEqual(problems, []);
  const policy = settings?.policies.get('support');
  assert.equal(policy?.allow[0]?.place.file, 'd.yaml');
  assert.equal(policy?.allow[1]?.place.file, 'presets/support-desk');
  assert.match(policy?.effectiveText ?? '', /mailbox-mask:\s+regex: "\[\^\*%\]\+"/);
});

void test('mistakes with presets', () => {
  const of = (use: string): string[] =>
    readWithPresets(withAllow(`    use: [${use}]`)).problems.map((each) =>
      formatted(each).replace('d.yaml:11:', '').replace('policies.support.use[0]', 'use'),
    );
  const notShipped = '11: use: must be the name of a shipped preset, as presets/support-desk';
  const age = 'must be an age: a whole number and ms, s, m, h, d or w, as 30d';
  const ages = ['10:61: allow[0]', '13:61: allow[1]'].map(
    (place) => `presets/retention-janitor:${place}.where.query.savedbefore.at_least: ${age}`,
  );
  for (const [use, ...expected] of [
    ['presets/suport-desk', '11: use: there is no preset presets/suport-desk'],
    ['/etc/passwd', notShipped],
    ['presets/../../etc/passwd', notShipped],
    ['presets/monitoring', '11: use: needs with: { probe: ... } (the user whose INBOX is asked for)'],
    [
      '{ preset: presets/monitoring, with: { probe: a@b, prob: c } }',
      '61: use.with.prob: is no parameter of this preset; it has: probe',
    ],
    ['{ preset: presets/retention-janitor, with: { age: 30 } }', ...ages],
  ] as const)
    assert.deepEqual(of(use), expected);
});

void test('traits of a policy', () => {
  const text = withAllow(`    mode: observe
    logs: full
    debug: true
    limits: { rate: 60/minute, distinct_users: 50/hour, at_once: 2 }
    allow: [quota get]`);
  const [policy, plain] = [text, sound].map((each) => settingsOf(each).policies.get('support'));
  const traitsOf = (each: Policy | undefined) => [each?.mode, each?.logs, each?.debug, each?.limits];
  const rate = { count: 60, windowMs: 60_000 };
  const limits = { rate, distinctUsers: { count: 50, windowMs: 3_600_000 }, atOnce: 2 };
  assert.deepEqual(traitsOf(policy), ['observe', 'full', true, limits]);
  assert.deepEqual(traitsOf(plain), ['enforce', 'filtered', false, {}]);
  assert.notEqual(policy?.version, plain?.version);
});

void test('a shadow is a policy of its own, and no part of the version', () => {
  const text = withAllow('    shadow: candidate.yaml\n    allow: [quota get]');
  const read = (candidate: string, settings = text) =>
    parseSettings('/etc/d.yaml', memoryFiles({ '/etc/d.yaml': settings, '/etc/candidate.yaml': candidate }));
  const toldOf = (candidate: string) => read(candidate).problems.map(formatted);
  const { settings, problems } = read('users: ["*"]\nallow: [search]\n');
  assert.deepEqual(problems, []);
  const policy = settings?.policies.get('support');
  assert.equal(policy?.shadow?.allow[0]?.command, 'search');
  assert.equal(policy?.shadow?.allow[0]?.place.file, '/etc/candidate.yaml');
  assert.equal(policy?.version, settingsOf(sound).policies.get('support')?.version);
  assert.notEqual(policy?.shadow?.version, policy?.version);
  const at = '/etc/candidate.yaml:2:1';
  const unknown = `${at}: alow: "alow" is not a key here; did you mean allow?`;
  assert.deepEqual(toldOf('users: ["*"]\nalow: [search]\n'), [unknown]);
  const nested = `${at}: shadow: a shadow has no shadow of its own`;
  assert.deepEqual(toldOf('users: ["*"]\nshadow: x.yaml\n'), [nested]);
  // What suggest prints, as it is; a file that lacks `users`; a file for another policy.
  const printed = read('policies:\n  support:\n    users: ["*"]\n    allow: [search]\n');
  assert.deepEqual(printed.problems, []);
  assert.equal(printed.settings?.policies.get('support')?.shadow?.version, policy?.shadow?.version);
  assert.match(toldOf('allow: [search]\n').join(), /candidate\.yaml:1:1: users: is missing/);
  assert.match(toldOf('policies:\n  other:\n    users: ["*"]\n').join(), /"policies" is not a key here/);
  const both = text
    .replace('policy: support }', 'policy: support }\n  other: { unix: /run/o.sock, policy: other }')
    .replace(
      'policies:\n',
      'policies:\n  other: { users: ["*"], shadow: candidate.yaml, allow: [search] }\n',
    );
  const two = read('users: ["*"]\nallow: [search]\n', both);
  assert.deepEqual(two.problems, []);
  assert.equal(two.settings?.policies.get('other')?.shadow?.allow.length, 1, 'one file for two policies');
  assert.equal(two.settings?.policies.get('support')?.shadow?.allow.length, 1);
  assert.match(told(text).join(), /candidate\.yaml cannot be read: no such file/);
});

// Goal: a changed candidate changes the hash of the configuration. So a reload differs from the one before, and doctor sees that the file
// in use is another one.

const file = '/etc/dovegate/d.yaml';
const with_ = withPolicies('  support: { users: ["*"], allow: [quota get], shadow: next.yaml }\n');

function hashWith(text: string, candidate: string): string {
  const files = memoryFiles({ [file]: text, '/etc/dovegate/next.yaml': candidate });
  return parseSettings(file, files).settings?.hash ?? assert.fail(candidate);
}

void test('the hash of a configuration has the candidates of its policies', () => {
  const one = hashWith(with_, 'users: ["*"]\nallow: [quota get]\n');
  assert.equal(hashWith(with_, 'users: ["*"]\nallow: [quota get] # the same\n'), one);
  assert.notEqual(hashWith(with_, 'users: ["*"]\nallow: [who]\n'), one);
  assert.notEqual(hashWith(with_.replace(', shadow: next.yaml', ''), ''), one);
});

void test('one file has the candidates of several policies; a policy that it lacks has none', () => {
  const policies =
    '  support: { users: ["*"], allow: [quota get] }\n  other: { users: ["*"], allow: [who] }\n';
  const parsed = (text: string, candidates: string) =>
    parseSettings(file, memoryFiles({ [file]: text, '/etc/dovegate/next.yaml': candidates }));
  const all = `${withPolicies(policies)}shadow: next.yaml\n`;
  const one = 'policies:\n  support: { users: ["*"], allow: [purge] }\n';
  const { settings } = parsed(all, one);
  assert.equal(settings?.policies.get('support')?.shadow?.allowByCommand.has('purge'), true);
  assert.equal(settings?.policies.get('other')?.shadow, undefined);
  const both = `${one}  other: { users: ["*"], allow: [search] }\n`;
  assert.equal(parsed(all, both).settings?.policies.get('other')?.shadow?.allowByCommand.has('search'), true);
  // A policy may name that file, too.
  const twice = parsed(with_, one.replace('\n', '\n  other: { users: ["*"], allow: [] }\n')).problems.length;
  assert.equal(twice, 0);
  const messages = (candidates: string) =>
    parsed(all, candidates).problems.flatMap(({ severity, message }) =>
      severity === 'error' ? message : [],
    );
  const nobody = ['/etc/dovegate/next.yaml has a candidate for nobody, and there is no such policy'];
  assert.deepEqual(messages(`${one}  nobody: { users: ["*"], allow: [] }\n`), nobody);
  assert.match(messages('users: ["*"]\n').join(), /holds no policies: NAME/);
});
