// `npm run soak -- [--minutes N] [--baselines N] [--seed S] [--keep FOLDER]`: a gate, its page and its verifier under light traffic for a long time and
// without a fault; beside it, at the same time, baselines of 25 minutes (5). Then: how their memory grew, and docs/soak.svg. Needs root.
// Exit code 1: something grows more than every baseline, or the oracle found something.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, install, installPackages, ownMemory, root } from './setup.mjs';

const baselineMinutes = 25;
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
  console.error('usage: npm run soak -- [--minutes N] [--baselines N] [--seed S] [--keep FOLDER]');
  process.exit(64);
}
installPackages(['dovecot', 'fleet']);
install();
build();
// Gigabytes of journal and streams: on a disk.
process.env.TMPDIR ??= '/var/tmp';
ownMemory();
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'dovegate-soak-'));
// Some 20 commands a second each.
const env = { ...process.env, DOVEGATE_CLIENTS: '40', DOVEGATE_THINK_MS: '2000' };
const driver = join('build', 'test', 'chaos', 'run.js');
const runs = Array.from({ length: 1 + baselines }, (_, at) => ({
  folder: join(folder, at === 0 ? 'long' : `baseline-${at}`),
  minutes: at === 0 ? minutes : Math.min(baselineMinutes, minutes),
  seed: seed + at,
}));
console.log(`${minutes} minutes and ${baselines} baselines, evidence in ${folder}`);
const exits = await Promise.all(
  runs.map(async (run, at) => {
    mkdirSync(run.folder, { recursive: true });
    // One after the other: each installs and dials at its start.
    await new Promise((resolve) => {
      setTimeout(resolve, at * 20_000);
    });
    const args = ['--enable-source-maps', driver, run.folder, String(run.minutes), String(run.seed), 'none'];
    const stdio = ['ignore', at === 0 ? 'inherit' : 'ignore', 'inherit'];
    const child = spawn(process.execPath, args, { cwd: root, env, stdio });
    return new Promise((resolve) => {
      child.once('close', resolve);
    });
  }),
);
if (exits.some((code) => code !== 0)) {
  console.error(`a run failed; what was written is in ${folder}`);
  process.exit(1);
}
const node = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
const folders = runs.map((run) => run.folder);
const grown = node(join('build', 'test', 'chaos', 'soak.js'), join('docs', 'soak.svg'), ...folders);
const oracle = join('build', 'test', 'chaos', 'oracle', 'main.js');
const found = node('--max-old-space-size=8192', oracle, folders[0]);
if (grown === 0 && found === 0 && values.keep === undefined) rmSync(folder, { recursive: true, force: true });
else console.log(`evidence kept in ${folder}`);
process.exit(grown || found);
