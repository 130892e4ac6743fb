// The files of the daemon's packages, Debian's and the rpm: what install.mjs puts below /usr, manual pages and licences, below a folder.
// Maintainer scripts, the conffile and the preset of systemd are in maintainer/ beside this file.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../setup.mjs';
import { manPages } from './man-pages.mjs';
import { installTree, makeTree } from './tree.mjs';

const maintainer = join(root, 'scripts/package/maintainer');

/** Text of a maintainer script, or of the conffile. `@FILE@` stands for a file of scripts/. */
export function maintainerFile(name, { hasRuntime }) {
  const text = readFileSync(join(maintainer, name), 'utf8').replace(/^@(.+)@\n/gm, (_, file) =>
    readFileSync(join(root, 'scripts', file), 'utf8'),
  );
  return hasRuntime ? text.replaceAll('/usr/bin/node', '/usr/lib/dovegate/runtime/node') : text;
}

/** What the packages say of themselves, in lines of at most 80 characters. */
export const summary = "policy and audit in front of Dovecot's doveadm";
export const description = `dovegate is a daemon between the people and programs of a mail site and the
doveadm service of its Dovecot servers. Each team has a socket and a policy,
each command is recorded before it is sent, and a few connections to each
server serve them all. The real doveadm works in front of it unchanged.`;

/** Seconds: SOURCE_DATE_EPOCH, else when what is checked out was committed, else 2026. */
export function sourceDate() {
  const { SOURCE_DATE_EPOCH: given } = process.env;
  if (given !== undefined && /^\d+$/.test(given)) return Number(given);
  const done = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return done.status === 0 ? Number(done.stdout) : 1_767_225_600;
}

export function write(path, content, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

/** Everything below, folders before what is in them. */
function below(folder, path = '') {
  return readdirSync(join(folder, path), { withFileTypes: true })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const inner = join(path, entry.name);
      return [inner, ...(entry.isDirectory() ? below(folder, inner) : [])];
    });
}

export const filesBelow = (folder) => below(folder).filter((path) => lstatSync(join(folder, path)).isFile());

/** The licences of what is packed: each package has its text beside it. */
function copyright(stage, { hasRuntime }) {
  const modules = join(stage, 'usr/lib/dovegate');
  const packages = filesBelow(modules)
    .filter((path) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path))
    .map((path) => ({ path: dirname(path), ...JSON.parse(readFileSync(join(modules, path), 'utf8')) }));
  const lines = packages.map(
    ({ path, name, version, license }) => `  ${name} ${version}: ${license}; /usr/lib/dovegate/${path}`,
  );
  return `dovegate: Copyright the authors of dovegate.

License: Apache-2.0
  Its text is in /usr/lib/dovegate/LICENSE, on Debian systems in /usr/share/common-licenses/Apache-2.0 too.

Packages of others that are part of it, with their license and where its text is:

${lines.join('\n')}
${hasRuntime ? '\nNode.js, below /usr/lib/dovegate/runtime: MIT, with parts under other licences; /usr/lib/dovegate/runtime/LICENSE\n' : ''}`;
}

/** The newest version of the C library that compiled files ask for, and whether they need the library of C++. */
export function librariesOf(stage) {
  const compiled = filesBelow(join(stage, 'usr/lib/dovegate')).filter((path) =>
    /\.node$|^runtime\/node$/.test(path),
  );
  const texts = compiled.map((path) => readFileSync(join(stage, 'usr/lib/dovegate', path), 'latin1'));
  const versions = texts
    .flatMap((text) => [...text.matchAll(/GLIBC_(\d+)\.(\d+)/g)])
    .map(([, major, minor]) => [Number(major), Number(minor)]);
  const [newest] = versions.toSorted((one, other) => other[0] - one[0] || other[1] - one[1]);
  if (newest === undefined) throw new Error(`${compiled.join(', ')}: no version of the C library is named`);
  return { glibc: newest.join('.'), hasCxx: texts.some((text) => text.includes('libstdc++.so.6')) };
}

export const packed = (text) => gzipSync(text, { level: 9 });

/** Below `stage`, a folder that does not exist yet. `/etc` has the conffile, and the empty place of secrets. */
export async function fillStage(stage, build, seconds) {
  mkdirSync(stage, { recursive: true });
  chmodSync(stage, 0o755);
  const tree = `${stage}.tree`;
  makeTree(tree, build);
  installTree(tree, stage, build);
  // `dovegate init`, or an administrator, writes it: a package would ask about it at each upgrade.
  rmSync(join(stage, 'etc/dovegate/dovegate.yaml'));
  // What installs stays out; the daemon runs the other one.
  const scripts = join(stage, 'usr/lib/dovegate/scripts');
  for (const name of readdirSync(scripts)) if (name !== 'names.sh') rmSync(join(scripts, name));
  write(join(stage, 'etc/dovegate/environment'), maintainerFile('environment', build));
  write(join(stage, 'usr/lib/systemd/system-preset/90-dovegate.preset'), maintainerFile('preset', build));
  const day = new Date(seconds * 1000).toISOString().slice(0, 10);
  for (const [name, text] of await manPages(build.version, day))
    write(join(stage, 'usr/share/man', `man${name.at(-1)}`, `${name}.gz`), packed(text));
  const papers = join(stage, 'usr/share/doc/dovegate');
  write(join(papers, 'copyright'), copyright(stage, build));
  write(join(papers, 'changelog.gz'), packed(readFileSync(join(root, 'CHANGELOG.md'))));
  for (const name of ['README.md', 'docs', 'examples', 'config'])
    symlinkSync(`../../../lib/dovegate/${name}`, join(papers, name));
}

/** Times of files are those of the sources, so that they do not depend on when this runs. */
export function setTimes(folder, seconds) {
  for (const path of below(folder).toReversed()) lutimesSync(join(folder, path), seconds, seconds);
  lutimesSync(folder, seconds, seconds);
}
