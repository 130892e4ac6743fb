// `npm run lab -- chaos [--minutes N] [--seed S] [--kinds KIND,...] [--keep FOLDER] [--planted ID]`: everything at once on real servers
// while faults are injected, then the oracle reads what was left behind (test/whole/chaos/EVIDENCE.md). Needs root. Exit code 1: the oracle
// found something; the folder is kept then. The order of faults goes by the seed; what happens within them goes by the machine.
// --planted: with one line of src/ broken (test/whole/chaos/planted.json), in a copy of the tree: the oracle should find it.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, install, installPackages, root } from './setup.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    kinds: { type: 'string', default: '' },
    keep: { type: 'string' },
    planted: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
const faults = JSON.parse(readFileSync(join(root, 'test', 'whole', 'chaos', 'planted.json'), 'utf8'));
const planted = faults.find(({ id }) => id === values.planted);
if (
  !Number.isSafeInteger(seed) ||
  !(minutes > 0) ||
  (values.planted !== undefined && planted === undefined)
) {
  console.error(
    'usage: npm run lab -- chaos [--minutes N] [--seed S] [--kinds KIND,...] [--keep FOLDER] [--planted f01...]',
  );
  process.exit(64);
}

/** A copy of this tree in which one line is broken; built. */
function plant({ id, file, from, to }) {
  const copy = mkdtempSync(join(tmpdir(), `dovegate-${id}-`));
  const left = ['.git', '.matrix', '.runtime', 'dist'].map((name) => join(root, name));
  cpSync(root, copy, { recursive: true, filter: (path) => !left.includes(path) });
  const text = readFileSync(join(copy, file), 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${id}: its line is not once in ${file} any more`);
  writeFileSync(
    join(copy, file),
    text.replace(from, () => to),
  );
  const done = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: copy, stdio: 'inherit' });
  if (done.status !== 0) throw new Error(`${id}: it cannot be built`);
  return copy;
}

installPackages(['dovecot', 'fleet']);
install();
build();
// Gigabytes of journal and streams: on a disk.
process.env.TMPDIR = process.env.DOVEGATE_DISK ?? tmpdir();
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'dovegate-chaos-'));
const tree = planted === undefined ? root : plant(planted);
process.on('exit', () => {
  if (tree !== root) rmSync(tree, { recursive: true, force: true });
});
console.log(`seed ${seed}, ${minutes} minutes, evidence in ${folder}`);
const node = (cwd, ...args) => spawnSync(process.execPath, args, { cwd, stdio: 'inherit' }).status ?? 1;
const driver = join('build', 'test', 'whole', 'chaos', 'run.js');
const ran = node(tree, '--enable-source-maps', driver, folder, String(minutes), String(seed), values.kinds);
if (ran !== 0) {
  console.error(`the driver ended with ${ran}; what it wrote is in ${folder}`);
  process.exit(1);
}
const oracle = join('build', 'test', 'whole', 'chaos', 'oracle', 'main.js');
const found = node(root, '--enable-source-maps', '--max-old-space-size=8192', oracle, folder);
if (found === 0 && values.keep === undefined) rmSync(folder, { recursive: true, force: true });
else console.log(`evidence kept in ${folder}`);
process.exit(found);
