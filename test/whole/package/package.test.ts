// What is published and what is installed: the package's files, its licence, its pins, and a lockfile that names no place
// and runs nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import * as z from 'zod';
import { parts } from '../../architecture/parts.js';
import { filesBelow, readManifest, root, textOf } from '../../architecture/project.js';
import { makeFolder } from '../../kit/plain/folder.js';
import { licences } from './licences.js';

const bomShape = z.object({
  specVersion: z.string().optional(),
  components: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      'bom-ref': z.string(),
      purl: z.string(),
      hashes: z.array(z.object({ alg: z.string(), content: z.string() })).default([]),
      licenses: z.array(z.unknown()).default([]),
      properties: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
    }),
  ),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

const lockShape = z.object({
  version: z.string(),
  packages: z.record(
    z.string(),
    z.object({
      version: z.string(),
      integrity: z.string().optional(),
      resolved: z.string().optional(),
      dev: z.boolean().optional(),
      optional: z.boolean().optional(),
      os: z.array(z.string()).optional(),
      cpu: z.array(z.string()).optional(),
      libc: z.array(z.string()).optional(),
      license: z.string().optional(),
      hasInstallScript: z.boolean().optional(),
      dependencies: z.record(z.string(), z.string()).optional(),
      devDependencies: z.record(z.string(), z.string()).optional(),
    }),
  ),
});

/** Packages whose install script is not needed: name -> why they work without it. */
const idleInstallScripts: Readonly<Record<string, string>> = {
  'node_modules/esbuild': 'it only checks the binary, which is an optional package of its own',
  'node_modules/koffi': 'it only looks for the binary, which is an optional package of its own',
};

const lock = lockShape.parse(JSON.parse(textOf('package-lock.json')));
const manifest = readManifest();
const installed = Object.entries(lock.packages).filter(([path]) => path !== '');

const folder = makeFolder();
after(() => rmSync(folder, { recursive: true }));
execFileSync(process.execPath, [join(root, 'scripts/packed.mjs'), folder]);

const packing = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
const told = execFileSync('npm', packing, { cwd: folder, encoding: 'utf8' });
const packed = z
  .array(z.object({ files: z.array(z.object({ path: z.string() })) }))
  .parse(JSON.parse(told))
  .flatMap(({ files }) => files.map(({ path }) => path));

const packedManifest = z
  .object({
    scripts: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
    optionalDependencies: z.record(z.string(), z.string()),
    devDependencies: z.never().optional(),
    private: z.never().optional(),
  })
  .parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
/** What an installation puts beside the program. */
const installedBeside = Object.entries(
  lockShape.parse(JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'))).packages,
).filter(([path]) => path !== '');

void test('package.json lists what runs; that of the package only what is not in the bundle, and no tools', () => {
  const bundled = new Set(
    [...textOf('dist/LICENSES.txt').matchAll(/^(\S+) \d+\.\d+\.\d+\S*: /gm)].map(([, name]) => name),
  );
  const listed = Object.keys(manifest.dependencies);
  for (const name of ['pino', 'prom-client', 'yaml', 'zod', 'commander', 'preact', 'lru-cache'])
    assert.ok(bundled.has(name) && listed.includes(name), name);
  assert.deepEqual(
    Object.keys(packedManifest.dependencies),
    listed.filter((name) => !bundled.has(name)),
  );
  assert.deepEqual(packedManifest.optionalDependencies, manifest.optionalDependencies);
  assert.deepEqual(Object.keys(packedManifest.scripts), ['install:system', 'uninstall:system']);
});

void test('the published package holds the program, its configuration and its papers, and nothing else', () => {
  const wanted = 'dist/main.js scripts/names.sh dist/sbom.cdx.json package.json LICENSE CHANGELOG.md'.split(
    ' ',
  );
  const ofPage = ['index.html', 'style.css', 'icon.svg', 'page.js'].map((name) => `dist/web/${name}`);
  for (const path of [...wanted, ...ofPage]) assert.ok(packed.includes(path), path);
  const papers = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'SECURITY.md', 'package.json'];
  const scripts = ['dovecot-files.sh', 'install.mjs', 'names.sh', 'old-systemd.sh'];
  const single = new Set([
    ...papers,
    ...scripts.map((name) => `scripts/${name}`),
    'src/README.md',
    ...parts.map(({ name }) => `src/${name}/README.md`),
  ]);
  const strange = packed.filter(
    (path) => !single.has(path) && !/^(dist|config|docs|examples|systemd)\//.test(path),
  );
  assert.deepEqual(strange, []);
  assert.deepEqual(
    packed.filter((path) => /^dist\/(demo|test|src)\/|\.(test\.js|tsbuildinfo|tgz|pem|key)$/.test(path)),
    [],
  );
});

void test('every relative link of a page in the published package leads to a file or folder in it', () => {
  const pages = packed.filter((path) => path.endsWith('.md'));
  assert.ok(pages.includes('README.md'));
  const links = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g)].map(([, link = '']) => ({
      page,
      target: join(dirname(page), link).replace(/\/$/, ''),
    })),
  );
  assert.ok(links.length > 3);
  const dead = links.filter(
    ({ target }) => !packed.some((path) => path === target || path.startsWith(`${target}/`)),
  );
  assert.deepEqual(
    dead.map(({ page, target }) => `${page}: ${target}`),
    [],
  );
});

void test('the licence is the Apache License 2.0, word by word, and those of dependencies go with it', () => {
  assert.equal(manifest.license, 'Apache-2.0');
  assert.equal(
    createHash('sha256').update(textOf('LICENSE')).digest('hex'),
    'cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30',
  );
  const beside = installedBeside.map(([path, { license }]) => [path, license]);
  const bundled = [...textOf('dist/LICENSES.txt').matchAll(/^(\S+) \d+\.\d+\.\d+: (.+)$/gm)].map(
    ([, name, license]) => [name, license],
  );
  assert.ok(bundled.some(([name]) => name === 'pino') && beside.length > 2);
  const others = [...beside, ...bundled].filter(([, license]) => !licences.has(license ?? 'none'));
  assert.deepEqual(others, []);
});

void test('package.json pins exact versions, and the lockfile says the same', () => {
  for (const pins of [manifest.dependencies, manifest.devDependencies])
    for (const [name, version] of Object.entries(pins)) {
      assert.match(version, /^\d+\.\d+\.\d+$/, name);
      assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name);
    }
  const own = lock.packages[''];
  assert.deepEqual(own?.dependencies, manifest.dependencies);
  assert.deepEqual(own?.devDependencies, manifest.devDependencies);
  assert.deepEqual([lock.version, own?.version], [manifest.version, manifest.version]);
});

void test('the program, its pages and the changelog name the version of package.json', () => {
  const { version } = manifest;
  const main = join(root, 'dist/main.js');
  assert.equal(execFileSync(process.execPath, [main, '--version'], { encoding: 'utf8' }), `${version}\n`);
  const pages = [...filesBelow('docs'), ...filesBelow('config'), 'README.md', 'Dockerfile'];
  const mentions = pages.flatMap((path) =>
    [...textOf(path).matchAll(/(?<=dovegate[ _:-]+)\d+\.\d+\.\d+|^\d+\.\d+\.\d+$/gm)].map(([each]) => each),
  );
  assert.ok(mentions.length > 10);
  assert.deepEqual([...new Set(mentions)], [version]);
  const [first, newest = `## ${version} (2026-01-01)`] = textOf('CHANGELOG.md').match(/^## .*$/gm) ?? [];
  assert.equal(first, '## Unreleased');
  assert.match(newest.replace(`## ${version} `, ''), /^\(\d{4}-\d\d-\d\d\)$/);
});

void test('the lockfile names no registry, and has a digest for every package of the program and of this platform', () => {
  assert.ok(installed.length > 10);
  assert.deepEqual(
    installed.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path),
    [],
  );
  const undigested = installed.filter(([, entry]) => entry.integrity?.startsWith('sha512-') !== true);
  // Compiled parts of development tools for platforms that the registry did not have when the lockfile was made
  // (scripts/lockfile.mjs). Nothing of the program, and nothing for the platform that CI runs on.
  const isForeignTool = (entry: (typeof installed)[number][1]): boolean =>
    entry.dev === true &&
    entry.optional === true &&
    !(entry.os?.includes('linux') && entry.cpu?.includes('x64') && !entry.libc?.includes('musl'));
  assert.deepEqual(
    undigested.filter(([, entry]) => !isForeignTool(entry)).map(([path]) => path),
    [],
  );
  assert.match(textOf('.npmrc'), /^omit-lockfile-registry-resolved=true$/m);
});

void test('installing runs nothing and builds nothing', () => {
  assert.match(textOf('.npmrc'), /^ignore-scripts=true$/m);
  const scripted = installed.filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => path);
  assert.deepEqual(
    scripted.filter((path) => !Object.hasOwn(idleInstallScripts, path)),
    [],
  );
  assert.deepEqual(
    installed.map(([path]) => join(path, 'binding.gyp')).filter((path) => existsSync(join(root, path))),
    [],
  );
});

void test('the bill of materials says what npm says of the same packages, and names all that is in the bundle or beside it', () => {
  const bill = bomShape.parse(JSON.parse(textOf('dist/sbom.cdx.json')));
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
  const output = execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  const theirs = bomShape.parse(JSON.parse(output));
  const byName = new Map(theirs.components.map((one) => [`${one.name}@${one.version}`, one]));
  assert.equal(bill.specVersion, '1.6');
  for (const { name, version, purl, hashes, licenses } of bill.components) {
    const their = byName.get(`${name}@${version}`) ?? assert.fail(`${name} ${version}`);
    assert.deepEqual(
      { purl, hashes, licenses },
      { purl: their.purl, hashes: their.hashes, licenses: their.licenses },
    );
  }
  // Ours have the purl as reference, npm's the name; npm has the packages of tests too.
  const here = new Set(bill.components.map(({ name, version }) => `${name}@${version}`));
  const needs = new Map(
    theirs.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn.filter((one) => here.has(one))]),
  );
  const nameOf = (purl: string): string => decodeURIComponent(purl.replace('pkg:npm/', ''));
  for (const { ref, dependsOn } of bill.dependencies.slice(1))
    assert.deepEqual(dependsOn.map(nameOf).toSorted(), [...(needs.get(nameOf(ref)) ?? [])].toSorted(), ref);
  const inBundle = bill.components.filter(({ properties }) => properties[0]?.value === 'true');
  const licensed = [...textOf('dist/LICENSES.txt').matchAll(/^(\S+) (\d+\.\d+\.\d+\S*): /gm)];
  assert.deepEqual(
    inBundle.map(({ name, version }) => `${name} ${version}`).toSorted(),
    licensed.map(([, name, version]) => `${name} ${version}`).toSorted(),
  );
  const beside = installedBeside.map(
    ([path, { version }]) => `${path.replace(/^.*node_modules\//, '')} ${version}`,
  );
  assert.ok(beside.length > 5 && inBundle.length > 10);
  const named = new Set(bill.components.map(({ name, version }) => `${name} ${version}`));
  assert.deepEqual(
    beside.filter((one) => !named.has(one)),
    [],
  );
});
