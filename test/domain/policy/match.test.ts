// Goal: matching is the whole of its checks. The tables of test/domain/policy/cases try each of them; here is what they cannot show.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Asked, ask, matches, missesOf } from '../../../src/domain/policy/match.js';
import { type Case, casesNowMs, judge, readCases } from './cases.js';

void test('a rule matches exactly when it misses nothing', () => {
  let compared = 0;
  for (const name of [
    'query.cases',
    'masks.cases',
    'dangerous.cases',
    'time.cases',
    'where-is-closed.cases',
  ]) {
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

function until(name: string, command: string): number | undefined {
  const { settings, cases } = readCases(name);
  const found: Case | undefined = cases.find((each) => each.words.join(' ') === command);
  assert.ok(found, command);
  const judgement = judge(settings, found, '2.4');
  assert.ok(judgement.kind === 'judged');
  return judgement.decision.holdsUntilMs;
}

void test('an answer that depends on the time says how long it holds', () => {
  assert.equal(until('time.cases', 'mailbox list'), casesNowMs + 1000);
  assert.equal(until('time.cases', 'quota get'), undefined, 'what is over stays over');
  assert.equal(until('query.cases', 'expunge mailbox Trash savedbefore 30d'), undefined);
  assert.equal(until('query.cases', 'expunge mailbox Trash savedbefore 2026-10-01'), casesNowMs + 1000);
  assert.equal(until('query.cases', 'expunge mailbox Trash savedbefore 2026-11-19'), casesNowMs + 1000);
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
