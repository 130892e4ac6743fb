// What makes a folder of packages installable and believable: SHA256SUMS with a signature, and repository/, which apt and dnf accept as a
// source. gpg signs with the key of the operator; who trusts that key needs to trust no server. The same packages make the same lists.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { run } from '../setup.mjs';
import { sourceDate, summary } from './stage.mjs';

const quiet = { stdio: ['ignore', 'ignore', 'inherit'] };
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function sign(key, ...args) {
  run('gpg', ['--batch', '--yes', '--armor', '--local-user', key, ...args], quiet);
}

function makeAptSource(folder, packages, key) {
  const index = new Map();
  mkdirSync(join(folder, 'pool'), { recursive: true });
  for (const path of packages) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    copyFileSync(path, join(folder, 'pool', name));
    const done = spawnSync('dpkg-deb', ['--field', path], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${path}: ${done.stderr}`);
    const architecture = /^Architecture: (.+)$/m.exec(done.stdout)?.[1];
    const bytes = readFileSync(path);
    const entry = `${done.stdout.trim()}\nFilename: pool/${name}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`;
    index.set(architecture, [...(index.get(architecture) ?? []), entry]);
  }
  const lists = [];
  const dist = join(folder, 'dists/stable');
  for (const [architecture, entries] of index) {
    const place = `main/binary-${architecture}`;
    mkdirSync(join(dist, place), { recursive: true });
    const text = Buffer.from(entries.join('\n'));
    for (const [name, bytes] of [
      [`${place}/Packages`, text],
      [`${place}/Packages.gz`, gzipSync(text, { level: 9 })],
    ]) {
      writeFileSync(join(dist, name), bytes);
      lists.push(` ${sha256(bytes)} ${bytes.length} ${name}`);
    }
  }
  const date = new Date(sourceDate() * 1000).toUTCString().replace('GMT', 'UTC');
  const release = `Origin: dovegate
Label: dovegate
Suite: stable
Codename: stable
Date: ${date}
Architectures: ${[...index.keys()].join(' ')}
Components: main
Description: ${summary}
SHA256:
${lists.join('\n')}
`;
  writeFileSync(join(dist, 'Release'), release);
  sign(key, '--clearsign', '--output', join(dist, 'InRelease'), join(dist, 'Release'));
}

function makeDnfSource(folder, packages, key) {
  mkdirSync(folder, { recursive: true });
  for (const path of packages) copyFileSync(path, join(folder, path.slice(path.lastIndexOf('/') + 1)));
  const stamp = ['--revision', String(sourceDate()), '--set-timestamp-to-revision'];
  run('createrepo_c', ['--quiet', '--no-database', ...stamp, folder], quiet);
  sign(key, '--detach-sign', join(folder, 'repodata/repomd.xml'));
}

/** Writes SHA256SUMS of the packages in `output`; their names. */
export function writeSums(output) {
  const files = readdirSync(output)
    .filter(
      (name) => /^dovegate.*\.(deb|rpm|tgz|tar\.gz)$/.test(name) && statSync(join(output, name)).isFile(),
    )
    .toSorted();
  const sums = files.map((name) => `${sha256(readFileSync(join(output, name)))}  ${name}\n`);
  writeFileSync(join(output, 'SHA256SUMS'), sums.join(''));
  return files;
}

/** For these packages in `output`, and SHA256SUMS there. `key`: as gpg takes it. Throws where gpg or createrepo_c is missing. */
export function makeRepository(output, files, key) {
  const repository = join(output, 'repository');
  rmSync(repository, { recursive: true, force: true });
  const of = (end) => files.filter((name) => name.endsWith(end)).map((name) => join(output, name));
  if (of('.deb').length > 0) makeAptSource(join(repository, 'apt'), of('.deb'), key);
  if (of('.rpm').length > 0) makeDnfSource(join(repository, 'dnf'), of('.rpm'), key);
  sign(key, '--detach-sign', join(output, 'SHA256SUMS'));
  run(
    'gpg',
    ['--batch', '--yes', '--armor', '--output', join(repository, 'key.asc'), '--export', key],
    quiet,
  );
  return join(output, 'SHA256SUMS.asc');
}
