// Makes the Debian package: what install.mjs puts below /usr, with manual pages, papers of Debian and maintainer scripts (debian/ beside
// this file), packed by dpkg-deb. For the architecture of this machine, because of the compiled part of the foreign-function package.
//
// The same sources, packages and SOURCE_DATE_EPOCH make the same bytes. DEBFULLNAME and DEBEMAIL are the maintainer of the package.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
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
import { root, run } from '../setup.mjs';
import { manPages } from './man-pages.mjs';

const debianScripts = join(root, 'scripts/package/debian');
const architectures = { x64: 'amd64', arm64: 'arm64' };
const addon = `usr/lib/dovegate/node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;

/** Seconds: SOURCE_DATE_EPOCH, else when what is checked out was committed, else 2026. */
function sourceDate() {
  const { SOURCE_DATE_EPOCH: given } = process.env;
  if (given !== undefined && /^\d+$/.test(given)) return Number(given);
  const done = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return done.status === 0 ? Number(done.stdout) : 1_767_225_600;
}

function write(path, content, mode = 0o644) {
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

const filesBelow = (folder) => below(folder).filter((path) => lstatSync(join(folder, path)).isFile());

/** The licences of what is packed: each package has its text beside it. */
function copyright(stage) {
  const modules = join(stage, 'usr/lib/dovegate');
  const packages = filesBelow(modules)
    .filter((path) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path))
    .map((path) => ({ path: dirname(path), ...JSON.parse(readFileSync(join(modules, path), 'utf8')) }));
  const lines = packages.map(
    ({ path, name, version, license }) => `  ${name} ${version}: ${license}; /usr/lib/dovegate/${path}`,
  );
  return `dovegate: Copyright the authors of dovegate.

License: Apache-2.0
  On Debian systems the text of the license is in /usr/share/common-licenses/Apache-2.0.

Packages of others that are part of it, with their license and where its text is:

${lines.join('\n')}
`;
}

/** Of the compiled part: the C library that it was linked with. */
function libraries(stage) {
  const text = readFileSync(join(stage, addon), 'latin1');
  const versions = [...text.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [+major, +minor]);
  const [newest] = versions.toSorted((one, other) => other[0] - one[0] || other[1] - one[1]);
  if (newest === undefined) throw new Error(`${addon} names no version of the C library`);
  return `libc6 (>= ${newest.join('.')})${text.includes('libstdc++.so.6') ? ', libstdc++6' : ''}`;
}

/** The files of the package below `stage`; `/etc` has what is a conffile, and the empty place of secrets. */
async function fill(stage, { version, upstream, date, maintainer }) {
  const prefix = ['--prefix', '/usr', '--destdir', stage, '--node', '/usr/bin/node'];
  run(process.execPath, [join(root, 'scripts/install.mjs'), 'install', ...prefix], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // `dovegate init`, or an administrator, writes it: a package would ask about it at each upgrade.
  rmSync(join(stage, 'etc/dovegate/dovegate.yaml'));
  rmSync(join(stage, 'usr/lib/dovegate/scripts'), { recursive: true });
  write(join(stage, 'etc/dovegate/environment'), readFileSync(join(debianScripts, 'environment')));
  const manifest = join(stage, 'usr/lib/dovegate/package.json');
  write(manifest, readFileSync(manifest, 'utf8').replace(/"version": "[^"]+"/, `"version": "${upstream}"`));
  const main = join(stage, 'usr/lib/dovegate/dist/main.js');
  // The Node of the package, whatever comes first in somebody's PATH.
  write(main, readFileSync(main, 'utf8').replace(/^#!.*/, '#!/usr/bin/node'), 0o755);
  const papers = join(stage, 'usr/share/doc/dovegate');
  const packed = (text) => gzipSync(text, { level: 9 });
  for (const [name, text] of await manPages(upstream, date.toISOString().slice(0, 10)))
    write(join(stage, 'usr/share/man', `man${name.at(-1)}`, `${name}.gz`), packed(text));
  write(join(papers, 'copyright'), copyright(stage));
  write(join(papers, 'changelog.gz'), packed(readFileSync(join(root, 'CHANGELOG.md'))));
  const entry = `dovegate (${version}) unstable; urgency=medium\n\n  * Release ${upstream}; changelog.gz says what changed.\n\n -- ${maintainer}  ${rfc2822(date)}\n`;
  write(join(papers, 'changelog.Debian.gz'), packed(entry));
  for (const name of ['README.md', 'docs', 'examples', 'config'])
    symlinkSync(`../../../lib/dovegate/${name}`, join(papers, name));
  write(
    join(stage, 'usr/share/lintian/overrides/dovegate'),
    readFileSync(join(debianScripts, 'lintian-overrides')),
  );
}

const rfc2822 = (date) => date.toUTCString().replace('GMT', '+0000');

function control(stage, { version, architecture, maintainer }) {
  const bytes = filesBelow(stage).reduce((sum, path) => sum + lstatSync(join(stage, path)).size, 0);
  return `Package: dovegate
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: nodejs (>= 20.19), ${libraries(stage)}, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles
Suggests: dovecot-core
Section: mail
Priority: optional
Description: policy and audit in front of Dovecot's doveadm
 dovegate is a daemon between the people and programs of a mail site and the
 doveadm service of its Dovecot servers. Each team has a socket and a policy,
 each command is recorded before it is sent, and a few connections to each
 server serve them all. The real doveadm works in front of it unchanged.
`;
}

/** Times of files are those of the sources, so that they do not depend on when this runs. */
function setTimes(folder, seconds) {
  for (const path of below(folder).toReversed()) lutimesSync(join(folder, path), seconds, seconds);
  lutimesSync(folder, seconds, seconds);
}

/** Packs it into `output`; the path of the package. `stage` is a folder that does not exist yet. */
export async function packDebian(output, stage, upstream) {
  const architecture = architectures[process.arch];
  if (process.platform !== 'linux' || architecture === undefined)
    throw new Error(`there is no Debian package for ${process.platform} ${process.arch}`);
  const seconds = sourceDate();
  const { DEBFULLNAME = 'dovegate', DEBEMAIL = 'dovegate@dovegate.invalid' } = process.env;
  const facts = {
    upstream,
    version: `${upstream}-1`,
    architecture,
    date: new Date(seconds * 1000),
    maintainer: `${DEBFULLNAME} <${DEBEMAIL}>`,
  };
  mkdirSync(stage, { recursive: true, mode: 0o755 });
  chmodSync(stage, 0o755);
  await fill(stage, facts);
  const sums = filesBelow(stage)
    .filter((path) => !path.startsWith('etc/'))
    .map(
      (path) =>
        `${createHash('md5')
          .update(readFileSync(join(stage, path)))
          .digest('hex')}  ${path}\n`,
    );
  const text = control(stage, facts);
  write(join(stage, 'DEBIAN/control'), text);
  write(join(stage, 'DEBIAN/md5sums'), sums.join(''));
  write(join(stage, 'DEBIAN/conffiles'), '/etc/dovegate/environment\n');
  for (const name of ['postinst', 'prerm', 'postrm']) {
    cpSync(join(debianScripts, name), join(stage, 'DEBIAN', name));
    chmodSync(join(stage, 'DEBIAN', name), 0o755);
  }
  chmodSync(join(stage, 'DEBIAN'), 0o755);
  setTimes(stage, seconds);
  const file = join(output, `dovegate_${facts.version}_${architecture}.deb`);
  run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds), DPKG_DEB_THREADS_MAX: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return file;
}
