// Makes the package @dovegate/mcp: tools for AI agents as one program, `dovegate-mcp`. It is one file with all that it needs, the SDK too,
// so that it is installed without a network and runs the versions that were tested.
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { licences, packagesOf } from '../licences.mjs';
import { root } from '../setup.mjs';
import { pack } from './client.mjs';

const page = 'docs/agents.md';

/** The page, as it stands in the package: other pages are not there. */
function readme(version) {
  return readFileSync(join(root, page), 'utf8')
    .replaceAll('mcp-VERSION', `mcp-${version}`)
    .replaceAll(/<!--.*?-->\n+/gs, '')
    .replaceAll(/\[([^\]]+)\]\((?![a-z]+:)[^)]+\)/g, '$1');
}

/** The unpacked package in `folder`. */
async function makeMcp(folder, version) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, 'lib', 'mcp.js');
  const built = await build({
    absWorkingDir: root,
    entryPoints: [join('src', 'client/mcp/mcp.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    minifyWhitespace: true,
    minifySyntax: true,
    metafile: true,
    logLevel: 'warning',
  });
  chmodSync(outfile, 0o755);
  const { license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const manifest = {
    name: '@dovegate/mcp',
    version,
    description: 'What the policy of a dovegate socket or HTTP key permits, as tools for AI agents (MCP).',
    license,
    type: 'module',
    engines,
    bin: { 'dovegate-mcp': 'lib/mcp.js' },
    files: ['lib', 'LICENSES.txt'],
    keywords: ['dovecot', 'doveadm', 'mcp', 'agent', 'mail'],
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'LICENSES.txt'), licences(packagesOf([built])));
  writeFileSync(join(folder, 'README.md'), readme(version));
}

/** Makes the package in `folder`, and packs it into `output`; the path of the tarball. */
export async function packMcp(output, folder, { version }) {
  await makeMcp(folder, version);
  return pack(output, folder, `dovegate-mcp-${version}.tgz`);
}
