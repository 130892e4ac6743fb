// `npm run chaos -- [--minutes N] [--seed S] [--kinds KIND,...] [--keep FOLDER]`: everything at once on real servers while faults are injected, then
// the oracle reads what was left behind (test/chaos/EVIDENCE.md). Needs root. Exit code 1: the oracle found something; the folder is kept then.
// The order of faults goes by the seed; what happens within them goes by the machine.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, install, installPackages, ownMemory, root } from './setup.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    kinds: { type: 'string', default: '' },
    keep: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
if (!Number.isSafeInteger(seed) || !(minutes > 0)) {
  console.error('usage: npm run chaos -- [--minutes N] [--seed S] [--kinds KIND,...] [--keep FOLDER]');
  process.exit(64);
}
installPackages(['dovecot', 'fleet']);
install();
build();
// Gigabytes of journal and streams: on a disk.
process.env.TMPDIR ??= '/var/tmp';
ownMemory();
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'dovegate-chaos-'));
console.log(`seed ${seed}, ${minutes} minutes, evidence in ${folder}`);
const node = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
const driver = join('build', 'test', 'chaos', 'run.js');
const ran = node('--enable-source-maps', driver, folder, String(minutes), String(seed), values.kinds);
if (ran !== 0) {
  console.error(`the driver ended with ${ran}; what it wrote is in ${folder}`);
  process.exit(1);
}
const oracle = join('build', 'test', 'chaos', 'oracle', 'main.js');
const found = node('--enable-source-maps', '--max-old-space-size=8192', oracle, folder);
if (found === 0 && values.keep === undefined) rmSync(folder, { recursive: true, force: true });
else console.log(`evidence kept in ${folder}`);
process.exit(found);
