// Makes the package @dovegate/doveadm-vectors: the recorded sessions of test/vectors, the description of the protocol, and the runner.
// Its sources in packages/doveadm-vectors are what is packed: plain files without dependencies, and without code of this project.
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup.mjs';
import { pack } from './client.mjs';

const sources = join(root, 'packages', 'doveadm-vectors');
const sessions = join(root, 'test', 'vectors');

/** Makes the package in `folder`, and packs it into `output`; the path of the tarball. */
export function packVectors(output, folder, { version }) {
  rmSync(folder, { recursive: true, force: true });
  cpSync(sources, folder, { recursive: true });
  mkdirSync(join(folder, 'vectors'));
  // Sessions of HTTP and of the auth service, in folders of their own, are of other protocols.
  for (const name of readdirSync(sessions).filter((each) => each.endsWith('.json')))
    cpSync(join(sessions, name), join(folder, 'vectors', name));
  // Without the part about the tests of this project, which are not there.
  const about = readFileSync(join(sessions, 'README.md'), 'utf8').replace(/\n## Who reads them[\s\S]*$/, '');
  writeFileSync(join(folder, 'vectors', 'README.md'), about);
  chmodSync(join(folder, 'doveadm-vectors.mjs'), 0o755);
  const { license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const manifest = {
    name: '@dovegate/doveadm-vectors',
    version,
    description:
      'Recorded sessions of the doveadm protocol 1.0 to 1.4, its description, and a runner for any client or server.',
    license,
    type: 'module',
    engines,
    bin: { 'doveadm-vectors': 'doveadm-vectors.mjs' },
    exports: { './vectors/*': './vectors/*', './package.json': './package.json' },
    keywords: ['dovecot', 'doveadm', 'protocol', 'conformance', 'test'],
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  writeFileSync(join(folder, 'README.md'), readme.replaceAll('vectors-VERSION', `vectors-${version}`));
  return pack(output, folder, `dovegate-doveadm-vectors-${version}.tgz`);
}
