// Goal: every table of test/domain/policy/cases comes out as it says. The tables are the specification that operators can read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf } from '../../../src/domain/commands/catalog.js';
import { caseFiles, judge, readCases, testCases } from './cases.js';

for (const name of caseFiles) testCases(name);

void test('the tables of the catalog allow and deny every command of each series at least once', () => {
  for (const series of allSeries) {
    const { cases } = readCases(`catalog-${series}.cases`);
    for (const command of commandsOf(series)) {
      const own = cases.filter(({ words }) => {
        const text = words.join(' ');
        return text === command.name || text.startsWith(`${command.name} `);
      });
      for (const expected of ['allow', 'deny']) {
        assert.ok(
          own.some((each) => each.expected.startsWith(expected)),
          `${series} ${command.name}: no case with ${expected}`,
        );
      }
    }
  }
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
