// Goal: what `--sign` makes of a folder of packages: checksums that sha256sum and gpg accept, and a source from which apt takes the
// package. What must not happen: apt accepts a changed list, or one signed by another key.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManifest, textOf } from '../../architecture/project.js';
import { openFolder } from '../../kit/plain/folder.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { checkedWith } from './packing.js';

const { version } = readManifest();
const tools = ['dpkg-deb', 'rpmbuild', 'gpg', 'createrepo_c', 'apt-get'];
const missing = tools.filter((name) => !existsSync(`/usr/bin/${name}`));

void test('a folder of packages is signed, and is a source for apt and dnf', {
  skip: missing.length > 0 ? `there is no ${missing.join(', ')}` : false,
  timeout: 600_000,
}, async (t) => {
  const folder = openFolder(t);
  const output = join(folder, 'release');
  const home = join(folder, 'gpg');
  mkdirSync(home, { mode: 0o700 });
  const env = { GNUPGHOME: home, LC_ALL: 'C.UTF-8' };
  const checked = checkedWith({ env });
  t.after(() => runProgram('gpgconf', ['--kill', 'all'], { env }));
  const unprotected = ['--batch', '--pinentry-mode', 'loopback', '--passphrase', '', '--quick-gen-key'];
  for (const name of ['operator', 'stranger'])
    await checked('gpg', ...unprotected, `${name}@example.org`, 'ed25519', 'sign', 'never');
  const made = ['--system-node', '--compression', '0', '--output', output, '--sign', 'operator@example.org'];
  const only = ['npm', 'deb', 'rpm'].flatMap((name) => ['--only', name]);
  await checked(process.execPath, 'scripts/package.mjs', ...made, ...only);

  await t.test('checksums', async () => {
    await checked('gpg', '--verify', join(output, 'SHA256SUMS.asc'), join(output, 'SHA256SUMS'));
    const listed = await checked('sh', '-c', 'cd "$0" && sha256sum --check SHA256SUMS', output);
    assert.equal(listed.match(/: OK$/gm)?.length, 3, listed);
  });

  const host = 'https://packages.example.com/repository';
  const install = textOf('docs/install.md');
  const line = /"(deb \[.*)"/.exec(install)?.[1] ?? '';

  await t.test('what docs/install.md takes from the web server is in the folder', () => {
    const paths = install
      .split(`${host}/`)
      .slice(1)
      .map((text) => /^[\w.]+/.exec(text)?.[0] ?? '');
    assert.deepEqual(paths, ['key.asc', 'apt', 'dnf', 'key.asc']);
    for (const path of paths) assert.ok(existsSync(join(output, 'repository', path)), path);
  });

  const apt = (key: string, ...words: readonly string[]): Promise<ProgramResult> => {
    const own = join(folder, 'apt');
    for (const path of ['lists/partial', 'cache/archives/partial'])
      mkdirSync(join(own, path), { recursive: true });
    writeFileSync(
      join(own, 'sources.list'),
      line.replace('/etc/apt/keyrings/dovegate.asc', key).replace(host, `file:${output}/repository`),
    );
    const options = {
      'Dir::Etc::SourceList': join(own, 'sources.list'),
      'Dir::Etc::SourceParts': '/dev/null',
      'Dir::State::Lists': join(own, 'lists'),
      'Dir::Cache': join(own, 'cache'),
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
    };
    const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    return runProgram('apt-get', [...flags, ...words], { timeoutMs: 300_000, env });
  };
  const trusted = join(output, 'repository/key.asc');

  await t.test('apt takes the package from it', async () => {
    const updated = await apt(trusted, 'update', '--error-on=any');
    assert.equal(updated.exit, 0, updated.text);
    const flags = ['--print-uris', '--no-install-recommends', '-y', '--reinstall'];
    const offered = await apt(trusted, 'install', ...flags, 'dovegate');
    assert.match(offered.text, new RegExp(`file:.*dovegate_${version}-1_|nodejs`));
  });

  await t.test('another key, or a changed list, is refused', async () => {
    const strange = join(folder, 'strange.asc');
    await checked('gpg', '--armor', '--output', strange, '--export', 'stranger@example.org');
    assert.notEqual((await apt(strange, 'update', '--error-on=any')).exit, 0);
    const list = readFileSync(join(output, 'repository/apt/dists/stable/InRelease'), 'utf8');
    const path = /^ [0-9a-f]{64} \d+ (main\/\S+\/Packages)$/m.exec(list)?.[1] ?? '';
    for (const name of [path, `${path}.gz`])
      appendFileSync(join(output, 'repository/apt/dists/stable', name), ' ');
    // What it has read of this source before counts no more.
    rmSync(join(folder, 'apt'), { recursive: true });
    const refused = await apt(trusted, 'update', '--error-on=any');
    assert.notEqual(refused.exit, 0, refused.text);
  });

  await t.test('the list for dnf is signed, and names the rpm with its digest', async () => {
    const list = join(output, 'repository/dnf/repodata/repomd.xml');
    await checked('gpg', '--verify', `${list}.asc`, list);
    const primary = /href="(repodata\/[^"]*primary\.xml\.gz)"/.exec(readFileSync(list, 'utf8'))?.[1];
    const text = await checked('zcat', join(output, 'repository/dnf', String(primary)));
    const sums = readFileSync(join(output, 'SHA256SUMS'), 'utf8');
    const digest = /^([0-9a-f]{64}) {2}dovegate-.*\.rpm$/m.exec(sums)?.[1] ?? 'none';
    assert.ok(text.includes(digest) && text.includes('<name>dovegate</name>'), text.slice(0, 500));
  });
});
