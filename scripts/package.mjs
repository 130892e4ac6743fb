// `npm run package`: makes what is handed out of this tree, in dist-release/; publishes nothing.
//
//   node scripts/package.mjs [--output DIR] [--version X.Y.Z] [--arch x64|arm64|all] [--system-node] [--sign KEY]
//   [--only NAME]...
//
//   npm       dovegate-VERSION.tgz: the program as an npm package
//   client    dovegate-client-VERSION.tgz: the client library by itself, @dovegate/client
//   mcp       dovegate-mcp-VERSION.tgz: tools for AI agents, @dovegate/mcp
//   vectors   dovegate-doveadm-vectors-VERSION.tgz: recorded sessions and their runner, @dovegate/doveadm-vectors
//   deb       dovegate_VERSION-1_ARCH.deb: the daemon with a Node of its own; needs dpkg-deb
//   rpm       dovegate-VERSION-1.ARCH.rpm: the same; needs rpmbuild
//   archive   dovegate-VERSION-linux-ARCH.tar.gz: the same with install.sh
//
// and SHA256SUMS of all that is in the folder. Without --only: all of them whose tool is there. It builds the program where that is
// missing. A Node is fetched once, as an npm package. --arch: default that of this machine. --system-node: packages that need the
// distribution's Node instead. --sign: SHA256SUMS.asc, and repository/ for apt and dnf, signed by gpg with this key (createrepo_c). For
// tests: --version (default: that of package.json), and --compression (0 to 9, 0 is none, the archive from 1 on; default 6).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { pack, packClient } from './package/client.mjs';
import { architectures } from './package/runtime.mjs';
import { packVectors } from './package/vectors.mjs';
import { makePacked } from './packed.mjs';
import { root, run } from './setup.mjs';

/** Those that use the built program are imported when it is there. */
const makers = {
  npm: (output, folder, { version }) => {
    makePacked(folder, version);
    return pack(output, folder, `dovegate-${version}.tgz`);
  },
  client: packClient,
  mcp: async (...args) => (await import('./package/mcp.mjs')).packMcp(...args),
  vectors: packVectors,
  deb: async (...args) => (await import('./package/debian.mjs')).packDebian(...args),
  rpm: async (...args) => (await import('./package/rpm.mjs')).packRpm(...args),
  archive: async (...args) => (await import('./package/archive.mjs')).packArchive(...args),
};

const tools = { deb: 'dpkg-deb', rpm: 'rpmbuild' };

/** Whether the tool that makes it is there. */
function canMake(name) {
  const tool = tools[name];
  return tool === undefined || spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function end(code, message) {
  console.error(message);
  process.exit(code);
}

function readArgs() {
  const usage = `usage: npm run package -- [--output DIR] [--version X.Y.Z] [--arch ARCH|all] [--system-node] [--compression N] [--sign KEY] [--only ${Object.keys(makers).join('|')}]...`;
  try {
    const { values } = parseArgs({
      options: {
        output: { type: 'string', default: join(root, 'dist-release') },
        version: {
          type: 'string',
          default: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
        },
        arch: { type: 'string', default: process.arch },
        'system-node': { type: 'boolean', default: false },
        compression: { type: 'string', default: '6' },
        sign: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
      },
    });
    const unknown = values.only.find((name) => !Object.hasOwn(makers, name));
    if (unknown !== undefined) end(64, `${usage}\nthere is no package "${unknown}"`);
    if (!/^\d+\.\d+\.\d+$/.test(values.version)) end(64, `${usage}\n${values.version} is no version`);
    if (values.arch !== 'all' && !architectures.includes(values.arch))
      end(
        64,
        `${usage}\nthere is no package for ${values.arch}; there are those for ${architectures.join(', ')}`,
      );
    if (!/^[0-9]$/.test(values.compression))
      end(64, `${usage}\n${values.compression} is no level of compression`);
    return {
      output: resolve(values.output),
      version: values.version,
      archs: values.arch === 'all' ? architectures : [values.arch],
      hasRuntime: !values['system-node'],
      compression: values.compression,
      key: values.sign,
      names: values.only.length > 0 ? values.only : Object.keys(makers),
      asked: values.only.length > 0,
    };
  } catch (error) {
    return end(64, `${usage}\n${error.message}`);
  }
}

const { output, version, archs, hasRuntime, compression, key, names, asked } = readArgs();
if (!existsSync(join(root, 'node_modules'))) end(1, 'nothing is installed here; run npm ci');
if (!existsSync(join(root, 'dist', 'main.js'))) {
  console.error('building the program');
  run(process.execPath, ['scripts/build.mjs']);
}
// Folders of the packages are for everybody, whatever the umask of who makes them.
process.umask(0o022);
mkdirSync(output, { recursive: true });
const work = mkdtempSync(join(tmpdir(), 'dovegate-package-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
for (const name of names) {
  // install.sh has no Node to run on then.
  if (name === 'archive' && !hasRuntime) {
    if (asked) end(64, 'the archive always has a Node of its own: leave out --system-node');
    continue;
  }
  if (!canMake(name)) {
    if (asked) end(1, `there is no ${tools[name]}, which makes it: ${name}`);
    console.error(`left out: ${name}; there is no ${tools[name]}`);
    continue;
  }
  // These are the same for all.
  for (const architecture of ['npm', 'client', 'mcp', 'vectors'].includes(name) ? archs.slice(0, 1) : archs) {
    const build = { version, architecture, hasRuntime, compression };
    console.error(`making ${name} for ${architecture}`);
    const path = await makers[name](output, join(work, `${name}-${architecture}`), build);
    console.log(`${path}  ${(statSync(path).size / 1024).toFixed(0)} KiB`);
  }
}
const { makeRepository, writeSums } = await import('./package/repository.mjs');
const files = writeSums(output);
if (key !== undefined) console.log(makeRepository(output, files, key));
