// The program for an architecture, as the installer takes it: the files of the npm package, the locked packages that it needs on that
// architecture, and a Node unless `--system-node` is given. The Debian package, the rpm and the release archive are made of it.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makePacked } from '../packed.mjs';
import { root, run } from '../setup.mjs';
import { putRuntime } from './runtime.mjs';

/** `build`: what is asked for, see package.mjs. `folder` does not exist yet. */
export function makeTree(folder, { architecture, version, hasRuntime }) {
  makePacked(folder, version);
  cpSync(join(root, '.npmrc'), join(folder, '.npmrc'));
  // Not those of this checkout: packages with compiled parts have one for each architecture.
  run('npm', ['ci', `--cpu=${architecture}`, '--os=linux', '--libc=glibc', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (hasRuntime) putRuntime(join(folder, 'runtime'), architecture);
}

/** Installs a tree below `destination`, with the prefix /usr. Its scripts run on the Node of this process. */
export function installTree(tree, destination, { hasRuntime }) {
  const node = hasRuntime ? [] : ['--node', '/usr/bin/node'];
  const install = ['install', '--prefix', '/usr', '--destdir', destination, ...node];
  run(process.execPath, [join(tree, 'scripts/install.mjs'), ...install], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(tree, { recursive: true, force: true });
}
