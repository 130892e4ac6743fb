// What it takes to decide the statements of all shipped presets, and beside them the most usual ones about each. Prints milliseconds, the
// median of five rounds, and what each preset gets for an answer; asserts nothing.

import { proofOf } from '../../../src/evidence/proof/more.js';
import { readStatement } from '../../../src/rules/answers/statement.js';
import { presetConfiguration, presetNames, presetShape, readWithPresets } from '../../kit/plain/presets.js';

const usual = [
  'nobody may destroy',
  'nobody may change',
  'nobody may administer',
  'nobody may end sessions',
  'nobody may reach content',
  'nobody may read content',
  'nobody may run anything in mailboxes of "*@example.org" by name',
  'nobody may destroy in mailboxes of "ceo@example.com" by name',
];
const clock = { now: () => performance.now(), wallMs: () => Date.now() };

const all = presetNames.map((name) => {
  const { settings } = readWithPresets(presetConfiguration(name));
  if (settings === undefined) throw new Error(`preset ${name}`);
  return { name, settings, statements: [...new Set([...presetShape(name).tests.prove, ...usual])] };
});
const took: number[] = [];
for (let round = 0; round < 5; round += 1) {
  const startMs = performance.now();
  for (const { name, settings, statements } of all)
    for (const text of statements) {
      const statement = readStatement(text, settings);
      if (statement.kind === 'bad') throw new Error(statement.message);
      const proof = proofOf(statement, settings, undefined, clock);
      if (round === 0) console.log(`${name.padEnd(22)} ${(proof?.kind ?? '').padEnd(10)} ${text}`);
    }
  took.push(performance.now() - startMs);
}
const count = all.reduce((sum, { statements }) => sum + statements.length, 0);
const [median = 0] = took.toSorted((one, other) => one - other).slice(2);
console.log(
  `\n${count} statements about ${all.length} presets: ${median.toFixed(0)} ms (the first round ${took[0]?.toFixed(0)} ms)`,
);
