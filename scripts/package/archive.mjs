// Makes the release archive: the program with its Node and install.sh, for hosts whose distribution has neither apt nor dnf. The same
// sources and SOURCE_DATE_EPOCH make the same bytes.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from '../setup.mjs';
import { setTimes, sourceDate } from './stage.mjs';
import { installTree, makeTree } from './tree.mjs';

const architectures = { x64: 'amd64', arm64: 'arm64' };

/** Packs it into `output`; its path. `stage` is a folder that does not exist yet. */
export function packArchive(output, stage, build) {
  const name = `dovegate-${build.version}-linux-${architectures[build.architecture]}`;
  const tree = join(stage, 'tree');
  makeTree(tree, build);
  const installed = join(stage, 'installed');
  installTree(tree, installed, build);
  mkdirSync(join(stage, 'archive'));
  const folder = join(stage, 'archive', name);
  // As it is installed: without what a program does not need of its packages.
  cpSync(join(installed, 'usr/lib/dovegate'), folder, {
    recursive: true,
    verbatimSymlinks: true,
  });
  rmSync(installed, { recursive: true });
  cpSync(join(root, 'scripts/package/install.sh'), join(folder, 'install.sh'));
  setTimes(join(stage, 'archive'), sourceDate());
  const file = join(output, `${name}.tar.gz`);
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name', '--format=ustar'];
  run('tar', [
    '-C',
    join(stage, 'archive'),
    ...owner,
    '-I',
    `gzip -n -${build.compression}`,
    '-cf',
    file,
    name,
  ]);
  return file;
}
