// Makes the package @dovegate/mcp: tools for AI agents as one program, `dovegate-mcp`. It is one file with all that it needs, the SDK too, so
// that it is installed without a network and runs the versions that were tested.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import { licences, packagesOf } from '../licences.mjs';
import { root, run } from '../setup.mjs';

const page = 'docs/agents.md';

/** The page, as it stands in the package: other pages are not there. */
function readme(version) {
  return readFileSync(join(root, page), 'utf8')
    .replaceAll('mcp-VERSION', `mcp-${version}`)
    .replaceAll(/<!--.*?-->\n+/gs, '')
    .replaceAll(/\[([^\]]+)\]\((?![a-z]+:)[^)]+\)/g, '$1');
}

/** The unpacked package in `folder`. */
export async function makeMcp(folder, version) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, 'lib', 'mcp.js');
  const built = await build({
    absWorkingDir: root,
    entryPoints: [join('src', 'mcp/mcp.ts')],
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

/** Packs it into `output`; the path of the tarball. */
export async function packMcp(output, folder, { version }) {
  await makeMcp(folder, version);
  const tarball = join(output, `dovegate-mcp-${version}.tgz`);
  rmSync(tarball, { force: true });
  run('npm', ['pack', '--pack-destination', output, '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (!existsSync(tarball)) throw new Error(`npm pack made no ${relative(output, tarball)}`);
  return tarball;
}
