// `npm run lab -- soak [--minutes N] [--baselines N] [--seed S] [--keep FOLDER]`: a gate, its page and its verifier under light traffic for
// a long time and without a fault; beside it, one after the other, baselines (5 of 19 minutes). Then: how their memory grew, and
// docs/soak.svg. Needs root. Exit code 1: something grows more than every baseline, or the oracle found something.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, install, installPackages, root } from './setup.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '120' },
    baselines: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'string' },
  },
});
const [minutes, baselines, seed] = [values.minutes, values.baselines, values.seed].map(Number);
if (!(minutes > 0) || !Number.isSafeInteger(baselines) || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run lab -- soak [--minutes N] [--baselines N] [--seed S] [--keep FOLDER]');
  process.exit(64);
}
installPackages(['dovecot', 'fleet']);
install();
build();
// Gigabytes of journal and streams: on a disk.
process.env.TMPDIR = process.env.DOVEGATE_DISK ?? tmpdir();
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'dovegate-soak-'));
// Some 20 commands a second each.
const env = { ...process.env, DOVEGATE_CLIENTS: '40', DOVEGATE_THINK_MS: '2000' };
const driver = join('build', 'test', 'whole', 'chaos', 'run.js');
function run(name, minutesOfRun, seedOfRun) {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  const args = ['--enable-source-maps', driver, place, String(minutesOfRun), String(seedOfRun), 'none'];
  const stdio = ['ignore', name === 'long' ? 'inherit' : 'ignore', 'inherit'];
  const child = spawn(process.execPath, args, { cwd: root, env, stdio });
  return new Promise((resolve) => {
    child.once('close', resolve);
  });
}
console.log(`${minutes} minutes and ${baselines} baselines, evidence in ${folder}`);
const names = Array.from({ length: baselines }, (_, at) => `baseline-${at + 1}`);
const long = run('long', minutes, seed);
const exits = [];
// Each takes 4 minutes more at its begin and end.
for (const [at, name] of names.entries())
  exits.push(await run(name, Math.max(1, minutes / baselines - 5), seed + 1 + at));
exits.push(await long);
if (exits.some((code) => code !== 0)) {
  console.error(`a run failed; what was written is in ${folder}`);
  process.exit(1);
}
const node = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
const folders = ['long', ...names].map((name) => join(folder, name));
const grown = node(join('build', 'test', 'whole', 'chaos', 'soak.js'), join('docs', 'soak.svg'), ...folders);
const oracle = join('build', 'test', 'whole', 'chaos', 'oracle', 'main.js');
const found = node('--max-old-space-size=8192', oracle, folders[0]);
if (grown === 0 && found === 0 && values.keep === undefined) rmSync(folder, { recursive: true, force: true });
else console.log(`evidence kept in ${folder}`);
process.exit(grown || found);
