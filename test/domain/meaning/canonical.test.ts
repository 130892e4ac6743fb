import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf } from '../../../src/domain/commands/catalog.js';
import { parseArguments } from '../../../src/domain/commands/parse.js';
import { canonicalArguments } from '../../../src/domain/meaning/canonical.js';
import { randomValues, seededRandom, spell } from '../commands/spelling.js';

const rounds = 60 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

for (const series of allSeries) {
  test(`${series}: however a command is spelled, its values are read, and its canonical form reads back to itself`, () => {
    const random = seededRandom(series === '2.3' ? 23 : 24);
    for (const command of commandsOf(series)) {
      for (let round = 0; round < rounds; round += 1) {
        const values = randomValues(random, command);
        const args = spell(random, command, values);
        const shown = `${command.name} ${JSON.stringify(args)}`;
        const parsed = parseArguments(series, command, args);
        if (parsed.kind === 'unparsable') assert.fail(`${shown}: ${parsed.message}`);
        assert.deepEqual(Object.fromEntries(parsed.values), Object.fromEntries(values), shown);
        const canonical = canonicalArguments(parsed);
        const again = parseArguments(series, command, canonical);
        if (again.kind === 'unparsable') assert.fail(`${shown}: ${again.message}`);
        assert.deepEqual([...again.values], [...parsed.values], shown);
        assert.deepEqual(canonicalArguments(again), canonical, shown);
      }
    }
  });
}

test('the canonical form always ends its options', () => {
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      const parsed = parseArguments(
        series,
        command,
        spell(
          () => 0,
          command,
          randomValues(() => 0.9, command),
        ),
      );
      if (parsed.kind === 'parsed') assert.ok(canonicalArguments(parsed).includes('--'), command.name);
    }
  }
});
