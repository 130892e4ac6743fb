// `npm run lab -- model [MODEL...] [--depth N] [--length N] [--seed S] [--minutes M]`: the models of test/whole/model with large figures.
// --depth: all traces of a model up to so many steps. --length: all sequences of so many decisions with the real code. --minutes: each
// model's real code in long sequences by chance, for so long in all; they go up from the seed, which is printed. Exit code 1: an invariant
// does not hold, or the code does something else than its model; the message has the trace.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { install, root, run } from './setup.mjs';

const all = ['ring', 'journal', 'pool', 'access'];
const number = { type: 'string' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { depth: number, length: number, seed: number, minutes: { ...number, default: '1' } },
});
const models = positionals.length === 0 ? all : positionals;
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
const minutes = Number(values.minutes);
const counts = [values.depth, values.length].filter((count) => count !== undefined).map(Number);
const areCounts = counts.every((count) => Number.isSafeInteger(count) && count > 0);
if (
  !models.every((model) => all.includes(model)) ||
  !areCounts ||
  !Number.isSafeInteger(seed) ||
  !(minutes >= 0)
) {
  console.error(
    `usage: npm run lab -- model [${all.join('|')}]... [--depth N] [--length N] [--seed S] [--minutes M]`,
  );
  process.exit(64);
}

install();
run(process.execPath, ['scripts/build-test.mjs']);
console.log(`seed ${seed}, ${minutes} minutes: ${models.join(', ')}`);
const env = { ...process.env, DOVEGATE_SEED: String(seed) };
if (values.depth !== undefined) env.DOVEGATE_DEPTH = values.depth;
if (values.length !== undefined) env.DOVEGATE_LENGTH = values.length;
let isFound = false;
for (const model of models) {
  env.DOVEGATE_MINUTES = String(minutes / models.length);
  const path = join('build', 'test', 'whole', 'model', `${model}.test.js`);
  const args = ['--enable-source-maps', '--test', '--test-reporter=spec', path];
  isFound = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status !== 0 || isFound;
}
process.exit(isFound ? 1 : 0);
