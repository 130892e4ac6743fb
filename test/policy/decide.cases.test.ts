// Goal: every table of test/policy/cases comes out as it says. The tables are the specification that operators can read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandsOf } from '../../src/catalog/catalog.js';
import { allSeries } from '../../src/catalog/series.js';
import { caseFiles, readCases, testCases } from './cases.js';

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
