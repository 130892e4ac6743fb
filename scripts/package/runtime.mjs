// The Node of the packages, so that they need none of the distribution: one version, the same for each architecture. It comes as an npm
// package with one program; that program must have the digest below. Its symbols are left out.
//
// For a newer one take node-vVERSION-linux-ARCH.tar.xz, SHASUMS256.txt and its signature from Node's project, whose keys are in its README,
// and compare; the second command prints the digest to write here:
//
//   gpg --verify SHASUMS256.txt.sig SHASUMS256.txt && sha256sum --check --ignore-missing SHASUMS256.txt
//   tar -xOf node-vVERSION-linux-x64.tar.xz node-vVERSION-linux-x64/bin/node | sha256sum
//
// When support for a line of Node begins or ends: `engines`, `@types/node`, the versions in scripts/matrix.mjs, and CONTRIBUTING.md.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from '../setup.mjs';
import { strip } from './elf.mjs';

const version = '24.21.0';
/** Architecture as Node names it -> SHA-256 of the program as Node's project released it. */
const digests = {
  x64: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
  arm64: '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
};

export const architectures = Object.keys(digests);

/**
 * Puts `node` and its `LICENSE` into `folder`. What was fetched once is kept in .runtime/. Throws where something else came than is
 * expected.
 */
export function putRuntime(folder, architecture) {
  const kept = join(root, '.runtime', `${version}-${architecture}`);
  if (!existsSync(join(kept, 'node'))) fetchRuntime(kept, architecture);
  mkdirSync(folder, { recursive: true });
  for (const name of ['LICENSE', 'node']) cpSync(join(kept, name), join(folder, name));
  chmodSync(join(folder, 'node'), 0o755);
}

function fetchRuntime(kept, architecture) {
  const work = mkdtempSync(join(tmpdir(), 'dovegate-runtime-'));
  try {
    const name = `node-linux-${architecture}`;
    const pack = ['pack', `${name}@${version}`, '--pack-destination', work, '--loglevel=error'];
    run('npm', pack, { stdio: ['ignore', 'ignore', 'inherit'] });
    run('tar', ['-xzf', join(work, `${name}-${version}.tgz`), '-C', work]);
    const program = readFileSync(join(work, 'package/bin/node'));
    const digest = createHash('sha256').update(program).digest('hex');
    if (digest !== digests[architecture])
      throw new Error(`${name} ${version}: the program has the digest ${digest}, not the expected one`);
    mkdirSync(kept, { recursive: true });
    cpSync(join(work, 'package/LICENSE'), join(kept, 'LICENSE'));
    // Packages may be made at the same time: what has the name is complete.
    const fresh = join(kept, `node.${process.pid}`);
    writeFileSync(fresh, strip(program));
    renameSync(fresh, join(kept, 'node'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
