// `npm run lab -- advisories`: the packages of the bill of materials against records of OSV, and what must not be overlooked.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { readManifest, root } from '../../architecture/project.js';
import { openFolder } from '../../kit/plain/folder.js';

const script = join(root, 'scripts', 'advisories.mjs');

interface Advisories {
  readonly compareVersions: (one: string, other: string) => number;
}

void test('versions are ordered as semver.org does', async () => {
  const { compareVersions }: Advisories = await import(pathToFileURL(script).href);
  const ordered =
    '0.9.9 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.10 1.2.0 10.0.0'.split(
      ' ',
    );
  for (const [at, one] of ordered.entries())
    for (const [other, version] of ordered.entries())
      assert.equal(compareVersions(one, version), Math.sign(at - other), `${one} ${version}`);
  assert.equal(compareVersions('1.0.0+a', '1.0.0+b'), 0);
});

void test('a record that holds our version is told, and no other', (t) => {
  const folder = openFolder(t);
  const koffi = readManifest().dependencies['koffi'] ?? '';
  const affected = (events: readonly object[], more: object = {}) => ({
    affected: [
      { package: { ecosystem: 'npm', name: 'koffi' }, ranges: [{ type: 'SEMVER', events }], ...more },
    ],
  });
  const records = {
    within: affected([{ introduced: '0' }]),
    listed: affected([], { versions: [koffi] }),
    reopened: affected([{ introduced: '0' }, { fixed: '0.1.0' }, { introduced: koffi }]),
    last: affected([{ introduced: '1.0.0' }, { last_affected: koffi }]),
    fixed: affected([{ introduced: '0' }, { fixed: koffi }]),
    later: affected([{ introduced: '99.0.0' }]),
    before: affected([{ introduced: '0' }, { last_affected: '0.0.1' }]),
    withdrawn: { ...affected([{ introduced: '0' }]), withdrawn: '2026-01-01T00:00:00Z' },
    other: { affected: [{ package: { ecosystem: 'PyPI', name: 'koffi' }, versions: [koffi] }] },
  };
  const run = () => spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
  const empty = run();
  assert.equal(empty.status, 64);
  assert.match(empty.stderr, /nothing was checked/);
  const write = (name: keyof typeof records): void =>
    writeFileSync(
      join(folder, `${name}.json`),
      JSON.stringify({ id: name, summary: 'text', ...records[name] }),
    );
  for (const name of ['fixed', 'later', 'before', 'withdrawn', 'other'] as const) write(name);
  const none = run();
  assert.equal(none.status, 0, none.stdout + none.stderr);
  assert.match(none.stdout, /^5 records, \d+ packages: none is concerned$/m);
  for (const name of ['within', 'listed', 'reopened', 'last'] as const) write(name);
  const some = run();
  assert.equal(some.status, 1);
  assert.deepEqual(
    some.stdout
      .split('\n')
      .filter((line) => line.includes(`koffi ${koffi}: text`))
      .map((line) => line.split(':')[0]),
    ['last', 'listed', 'reopened', 'within'],
  );
});
