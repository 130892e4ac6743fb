// `npm run lab -- forge [KIND...] [--minutes N] [--seed S]`: the search for forgeries that a verifier does not notice
// (test/whole/fuzz/forge-*). All kinds, or the named ones, share the minutes (1); with 0 minutes one round of each. Exit code 1: something
// was found, and the line behind FINDING repeats it. Rounds go up from the seed, which is printed; without one it is taken from the clock.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { install, root, run } from './setup.mjs';

const all = ['journal', 'proof', 'extract', 'ring', 'fleet'];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } },
});
const kinds = positionals.length === 0 ? all : positionals;
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
const minutes = Number(values.minutes);
if (!kinds.every((kind) => all.includes(kind)) || !Number.isSafeInteger(seed) || !(minutes >= 0)) {
  console.error(`usage: npm run lab -- forge [${all.join('|')}]... [--minutes N] [--seed S]`);
  process.exit(64);
}

install();
run(process.execPath, ['scripts/build-test.mjs']);
console.log(`seed ${seed}, ${minutes} minutes: ${kinds.join(', ')}`);
const env = {
  ...process.env,
  DOVEGATE_ROUNDS: '0',
  DOVEGATE_SEED: String(seed),
  DOVEGATE_MINUTES: String(minutes / kinds.length),
};
let isFound = false;
for (const kind of kinds) {
  const path = join('build', 'test', 'whole', 'fuzz', `forge-${kind}.test.js`);
  const args = ['--enable-source-maps', '--max-semi-space-size=64', '--test-reporter=spec', path];
  isFound = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status !== 0 || isFound;
}
process.exit(isFound ? 1 : 0);
