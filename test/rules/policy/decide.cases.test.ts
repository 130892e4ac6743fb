// Goal: every table of test/rules/policy/cases comes out as it says. The tables are the specification that operators can read.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSeries, commandsOf } from '../../../src/doveadm/commands/catalog.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { beyondObserving } from '../../../src/rules/policy/decide.js';
import { type Asked, ask, matches, missesOf } from '../../../src/rules/policy/match.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { projectRoot } from '../../kit/plain/root.js';
import { settingsOf, sound } from '../config/sound.js';
import { type Case, caseFiles, casesNowMs, judge, readCases, testCases } from './cases.js';

for (const name of caseFiles) testCases(name);

void test('every command of each series is allowed to one, and to nobody without a rule or with an option for the inside', () => {
  const { settings, cases } = readCases('catalog.cases');
  const allowed = cases.filter(({ who, expected }) => who === 'root@admin' && expected === 'allow');
  for (const series of allSeries) {
    for (const { name, words, scope } of commandsOf(series)) {
      const own = allowed.find((each) => {
        const line = each.words.join(' ');
        return each.series.includes(series) && (line === name || line.startsWith(`${name} `));
      });
      assert.ok(own, `${series} ${name}: no case`);
      const codeOf = (each: Case): string => {
        const judgement = judge(settings, each, series);
        return judgement.kind === 'judged' ? judgement.decision.code : judgement.kind;
      };
      assert.equal(codeOf({ ...own, who: 'eve@visitor' }), 'no-rule', `${series} ${name}`);
      if (scope === 'server') continue;
      const inside = [...words, '-S', '/run/x', ...own.words.slice(words.length)];
      assert.equal(codeOf({ ...own, words: inside }), 'never', `${series} ${name}`);
    }
  }
});

void test('a bare name permits no parameter that a rule must name', () => {
  const { settings, cases } = readCases('catalog.cases');
  const bare = settings.policies.get('plain') ?? assert.fail();
  let tried = 0;
  for (const series of allSeries) {
    for (const { name, words, params } of commandsOf(series)) {
      if (!bare.allowByCommand.has(name)) continue;
      const own =
        cases.find(
          (each) => each.series.includes(series) && `${each.words.join(' ')} `.startsWith(`${name} `),
        ) ?? assert.fail(name);
      for (const { name: option, type } of params.filter(({ caution }) => caution === 'named')) {
        const given = [
          ...words,
          `--${option}${type === 'bool' ? '' : '=1'}`,
          ...own.words.slice(words.length),
        ];
        const judgement = judge(settings, { ...own, who: 'bob@plain', words: given }, series);
        const code = judgement.kind === 'judged' ? judgement.decision.code : judgement.code;
        // Servers die of some combinations, and a query cannot follow another one.
        assert.match(code, /^(?:rule-misses|kills-server|query-invalid)$/, `${series} ${given.join(' ')}`);
        if (code === 'rule-misses') tried += 1;
      }
    }
  }
  assert.ok(tried > 70, `${tried} parameters were denied`);
});

void test('the guide for moving lists whole what observing does not serve', () => {
  const guide = readFileSync(new URL('docs/migrate-from-root.md', projectRoot), 'utf8');
  const list = guide.slice(0, guide.indexOf('**In this step the policy only records.**'));
  const missing = Object.values(beyondObserving).filter((text) => !list.includes(text));
  assert.deepEqual(missing, []);
});

void test('observe mode lets no duplex command through without a rule, whatever its options', () => {
  const { settings } = readCases('observe.cases');
  for (const series of allSeries) {
    for (const { name, input, params } of commandsOf(series)) {
      if (input !== 'duplex') continue;
      for (const option of [undefined, ...params]) {
        const words = [
          name,
          ...(option === undefined ? [] : [`--${option.name}${option.type === 'bool' ? '' : '=1'}`]),
        ];
        const asked = {
          line: 0,
          expected: '',
          who: 'bob@watch',
          series: [series],
          minor: 4,
          user: 'alice@example.com',
          words,
        };
        const judgement = judge(settings, asked, series);
        const isAllowed = judgement.kind === 'judged' && judgement.decision.kind === 'allow';
        assert.equal(isAllowed, false, `${series} ${words.join(' ')}`);
      }
    }
  }
});

// Goal: matching is the whole of its checks. The tables of test/rules/policy/cases try each of them; here is what
// they cannot show.
void test('a rule matches exactly when it misses nothing', () => {
  let compared = 0;
  for (const name of 'query.cases masks.cases dangerous.cases time.cases where-is-closed.cases'.split(' ')) {
    const { settings, cases } = readCases(name);
    for (const each of cases) {
      for (const series of each.series) {
        const judgement = judge(settings, each, series);
        if (judgement.kind === 'unparsable') continue;
        for (const policy of settings.policies.values()) {
          for (const rule of policy.allowByCommand.get(judgement.attempt.command.name) ?? []) {
            const asked = (): Asked => ask(policy, judgement.attempt, casesNowMs);
            assert.equal(matches(rule, asked()), missesOf(rule, asked()).length === 0);
            compared += 1;
          }
        }
      }
    }
  }
  assert.ok(compared > 500);
});

void test('of two rules for a query the one that lacks less of it is the nearest', () => {
  const rule = (mailbox: string, age: string): string =>
    `      - { command: expunge, where: { query: { mailbox: [${mailbox}], savedbefore: { at_least: ${age} } } } }\n`;
  const settings = settingsOf(
    sound.replace('    allow: [quota get]\n', `    allow:\n${rule('Trash', '30d')}${rule('Junk', '7d')}`),
  );
  const policy = settings.policies.get('support') ?? assert.fail();
  const reasonOf = (mailbox: string, age: string): string => {
    const words = ['expunge', 'mailbox', mailbox, 'savedbefore', age];
    const asked = {
      listener: 'support',
      principal: 'carol@support',
      user: 'bob@example.com',
      words,
      clientMinor: 4,
    };
    const judged = judgeLine(policy, asked, '2.4', [], createUserNames(settings.mailUsers), casesNowMs);
    return judged.kind === 'judged' ? judged.decision.reason : assert.fail();
  };
  assert.match(reasonOf('Junk', '6d'), /query must hold savedbefore at least 1w/);
  assert.match(reasonOf('Trash', '8d'), /query must hold savedbefore .*30d/);
});

void test('what is missing names nothing that the client sent', () => {
  const { settings, cases } = readCases('masks.cases');
  const [first] = cases;
  assert.ok(first);
  const hostile = { ...first, words: ['who', '*\u202efoo@example.com'] };
  const judgement = judge(settings, hostile, '2.4');
  assert.ok(judgement.kind === 'judged');
  assert.ok(!JSON.stringify(judgement.decision).includes('foo'));
});
