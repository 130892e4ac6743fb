// Goal: the Debian package as dpkg-deb shows it: what is in it, whose it is, what it depends on, its manual pages; lintian finds no error.
// What must not happen: development tools, a configuration that dpkg asks about, two builds that differ, a package that is too large. The
// size of the file is checked with DOVEGATE_ROUNDS=5 or more only, since xz takes a minute; lintian looks at the package that has a Node
// of its own then, else at the other one.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readManifest } from '../../architecture/project.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { checked, pack, sizeOf } from './packing.js';

const { version } = readManifest();
/** Why there is no package on this machine. */
const why = existsSync('/usr/bin/dpkg-deb') ? undefined : 'there is no dpkg-deb';
const lintian = existsSync('/usr/bin/lintian');

const isWhole = Number(process.env['DOVEGATE_ROUNDS'] ?? 1) >= 5;

const packed = (folder: string, ...flags: readonly string[]): Promise<string> =>
  pack(folder, 'deb', '--compression', isWhole ? '6' : '0', ...flags);

void test('the Debian package', { skip: why ?? false, timeout: 600_000 }, async (t) => {
  const folder = openFolder(t);
  const deb = await packed(folder);
  const field = async (name: string): Promise<string> =>
    (await checked('dpkg-deb', '--field', deb, name)).trim();
  const contents = (await checked('dpkg-deb', '--contents', deb))
    .trim()
    .split('\n')
    .map((line) => /^(\S+) (\S+) +\d+ \S+ \S+ \.(\/.*?)(?: -> (.*))?$/.exec(line)?.slice(1) ?? [line]);
  const paths = contents.map(([, , path = '']) => path);
  const out = join(folder, 'unpacked');
  await checked('dpkg-deb', '--raw-extract', deb, out);
  const architecture = (await checked('dpkg', '--print-architecture')).trim();
  t.diagnostic(sizeOf(deb));

  await t.test('names, dependencies, conffiles, owners and modes', async () => {
    assert.ok(deb.endsWith(`/dovegate_${version}-1_${architecture}.deb`));
    assert.deepEqual([await field('Version'), await field('Architecture')], [`${version}-1`, architecture]);
    assert.match(await field('Depends'), /^libc6 \(>= 2\.28\), libstdc\+\+6, systemd /);
    assert.ok(Number(await field('Installed-Size')) < 120_000_000 / 1024);
    if (isWhole) assert.ok(statSync(deb).size <= 32_000_000, String(statSync(deb).size));
    assert.equal(readFileSync(join(out, 'DEBIAN/conffiles'), 'utf8'), '/etc/dovegate/environment\n');
    assert.deepEqual(
      contents.filter(([, owner]) => owner !== 'root/root'),
      [],
    );
    const closed = contents.filter(([mode = '']) => !/^([d-]rw[x-]r-[x-]r-[x-]|l.*)$/.test(mode));
    assert.deepEqual(
      closed.map(([mode, , path]) => `${mode} ${path}`),
      ['drwx------ /etc/dovegate/credentials/'],
    );
  });

  await t.test('what is in it, and what is not', () => {
    const wanted = `bin/dovegate lib/dovegate/config/presets/support-desk.yaml lib/dovegate/runtime/LICENSE
lib/systemd/system/dovegate.service lib/systemd/system/dovegate@.socket lib/systemd/system/dovegate-fleet.service
lib/systemd/system/dovegate-page.service lib/systemd/system/dovegate-page.socket lib/systemd/system-preset/90-dovegate.preset
lib/sysusers.d/dovegate.conf lib/tmpfiles.d/dovegate.conf share/bash-completion/completions/dovegate
share/doc/dovegate/copyright share/doc/dovegate/docs share/man/man1/dovegate.1.gz share/man/man1/doveadm-dovegate.1.gz
share/man/man5/dovegate.yaml.5.gz`;
    for (const path of wanted.split(/\s/)) assert.ok(paths.includes(`/usr/${path}`), path);
    const places = paths.filter(
      (path) => !/^\/(usr\/(bin|lib|share)\/|usr\/$|etc\/(dovegate\/)?$|$)/.test(path),
    );
    assert.deepEqual(places, ['/etc/dovegate/credentials/', '/etc/dovegate/environment']);
    assert.deepEqual(
      paths.filter((path) =>
        /\/(typescript|oxlint|@biomejs|@types|fast-check)\/|\.(d\.ts|map|cc|h)$|\/scripts\/(?!names\.sh$)./.test(
          path,
        ),
      ),
      [],
    );
    const compiled = paths.filter((path) => /\.(node|so|dll|dylib)$/.test(path));
    assert.equal(compiled.length, 1);
    assert.match(compiled[0] ?? '', new RegExp(`/linux_${process.arch}/`));
    // Every link of the package leads into it.
    for (const [, , path = '', target] of contents)
      if (target !== undefined) assert.ok(existsSync(join(out, path, '..', target)), path);
    const unit = readFileSync(join(out, 'usr/lib/systemd/system/dovegate.service'), 'utf8');
    assert.match(
      unit,
      /^ExecStart=\/usr\/lib\/dovegate\/runtime\/node --min-semi-space-size=8 \/usr\/lib\/dovegate\/dist\/main\.js serve /m,
    );
    assert.doesNotMatch(readFileSync(join(out, 'DEBIAN/postinst'), 'utf8'), /usr\/bin\/node/);
    assert.doesNotMatch(unit, /usr\/local/);
  });

  await t.test('the program runs from it, with its foreign functions', async () => {
    const main = join(out, 'usr/bin/dovegate');
    const node = join(out, 'usr/lib/dovegate/runtime/node');
    assert.equal(await checked(node, main, '--version'), `${version}\n`);
    assert.match(await checked(node, '--version'), /^v24\./);
    const socket = `unix:${join(folder, 'none')}`;
    const daemon = await startDaemon(t, {
      program: join(out, 'usr/lib/dovegate/dist/main.js'),
      config: `
version: 1
listeners: { team: { unix: team.sock, policy: reads } }
backends: { mail1: { address: "${socket}" } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { reads: { users: ["*@example.org"], allow: [quota get] } }
audit: { directory: audit, memory: "off", reserve: 4KiB }
`,
    });
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    for (const path of ['scripts/names.sh', 'dist/web/index.html', 'dist/web/page.js', 'dist/LICENSES.txt'])
      assert.ok(existsSync(join(out, 'usr/lib/dovegate', path)), path);
    const started = readFileSync(join(out, 'usr/lib/dovegate/dist/main.js'), 'utf8');
    assert.match(started, /^#!\/usr\/lib\/dovegate\/runtime\/node\n/);
  });

  await t.test('manual pages have what --help and the page of settings have', async () => {
    const page = (path: string): string =>
      gunzipSync(readFileSync(join(out, 'usr/share/man', path)))
        .toString()
        .replaceAll('\\-', '-');
    const dovegate = page('man1/dovegate.1.gz');
    for (const words of ['serve', 'audit export', 'key new', 'send', 'completion'])
      assert.ok(dovegate.includes(`\n.SS dovegate ${words}`), words);
    assert.match(dovegate, /\.SS dovegate kill [^]*?\.TP\n\\fB--socket <path>\\fR\n[^]*?Exit codes: 0 ended/);
    const settings = page('man5/dovegate.yaml.5.gz');
    for (const [, path = ''] of readFileSync('docs/settings.md', 'utf8').matchAll(/^- `([^`]+)`/gm))
      assert.ok(settings.includes(`\\fB${path}\\fR`), path);
    assert.match(page('man1/doveadm-dovegate.1.gz'), /\\fBmailbox create\\fR\n\[-u <user>\|-A\]/);
    // No control character, and nothing of a terminal.
    for (const text of [dovegate, settings]) assert.doesNotMatch(text, /[^\n\x20-\x7e]/);
    if (!existsSync('/usr/bin/man') || !existsSync('/usr/bin/groff')) return;
    for (const path of ['man1/dovegate.1', 'man1/doveadm-dovegate.1', 'man5/dovegate.yaml.5']) {
      const file = join(out, 'usr/share/man', `${path}.gz`);
      const words = ['--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', file];
      const { exit, stderr } = await runProgram('man', words, { env: { LC_ALL: 'C.UTF-8' } });
      assert.deepEqual([exit, stderr], [0, ''], path);
    }
  });

  const small = await packed(join(folder, 'small'), '--system-node');

  await t.test("the one that needs the distribution's Node", async () => {
    const depends = await checked('dpkg-deb', '--field', small, 'Depends');
    assert.match(depends, /^nodejs \(>= 20\.19\.2\), libc6 \(>= 2\.\d+\), /);
    const inside = join(folder, 'small/unpacked');
    await checked('dpkg-deb', '--raw-extract', small, inside);
    assert.ok(!existsSync(join(inside, 'usr/lib/dovegate/runtime')));
    const unit = readFileSync(join(inside, 'usr/lib/systemd/system/dovegate.service'), 'utf8');
    assert.match(unit, /^ExecStart=\/usr\/bin\/node --min-semi-space-size=8 \/usr\/lib\/dovegate\//m);
    const main = readFileSync(join(inside, 'usr/lib/dovegate/dist/main.js'), 'utf8');
    assert.match(main, /^#!\/usr\/bin\/node\n/);
  });

  await t.test(
    'lintian finds no error',
    { skip: lintian ? false : 'there is no lintian' },
    async (nested) => {
      const suppressed = ['data', 'control'].map((part) => `uses-no-compression-for-${part}-tarball`).join();
      const words = ['--fail-on', 'error', '--no-tag-display-limit', '--suppress-tags', suppressed];
      // The Node of the other one takes most of the time, and is not ours.
      const found = await runProgram('lintian', [...words, isWhole ? deb : small], { timeoutMs: 300_000 });
      nested.diagnostic(`warnings: ${found.text.match(/^W: /gm)?.length ?? 0}`);
      assert.equal(found.exit, 0, found.text);
    },
  );

  await t.test('the same sources make the same bytes', async () => {
    assert.ok(readFileSync(await packed(openFolder(t))).equals(readFileSync(deb)));
  });
});
