// The sources of this project obey the table; and the table itself goes down only.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { check, formatViolation } from './checker.js';
import { findCycles } from './cycles.js';
import { parts } from './parts.js';
import { readManifest, readSources, root } from './project.js';
import { referencesOf } from './references.js';
import { modules } from './table.js';

const sources = readSources();

const violations = check(sources);

void test('src/ obeys the import table, the rules about globals, and the limits', () => {
  assert.ok(sources.has('src/main.ts'), 'the sources were found');
  assert.deepEqual(violations.map(formatViolation), []);
});

/** Those that package.json lists as what runs. */
function programPackages(): ReadonlySet<string> {
  const { dependencies, optionalDependencies } = readManifest();
  return new Set(Object.keys({ ...dependencies, ...optionalDependencies }));
}

void test('every package that src/ imports is part of the program, and not only a tool of development', () => {
  const ours = programPackages();
  // @dovegate/mcp is a program of its own, with a bundle of its own (test/whole/package/mcp.test.ts).
  const imported = [...sources]
    .flatMap(([path, source]) => (path.startsWith('src/client/mcp/') ? [] : referencesOf(source).references))
    .flatMap(({ kind, specifier }) => (kind === 'url' ? [] : [specifier]))
    .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    .map((specifier) => specifier.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? specifier);
  const tools = imported.filter((name) => !ours.has(name));
  assert.deepEqual(tools, []);
});

void test('the bundle has each file that a thread is started from (else: scripts/build.mjs)', () => {
  const threads = [...sources.values()]
    .flatMap((source) => referencesOf(source).references)
    .flatMap(({ kind, specifier }) =>
      kind === 'url' && /^\.\/[^/]+\.js$/.test(specifier) ? [specifier] : [],
    );
  assert.ok(threads.length >= 3, String(threads));
  const missing = threads.filter((path) => !existsSync(join(root, 'dist', path)));
  assert.deepEqual(missing, []);
});

void test('every dependency has a part that may import it', () => {
  const { dependencies } = readManifest();
  const allowed = new Set([...parts, ...Object.values(modules)].flatMap(({ packages }) => packages));
  const unused = Object.keys(dependencies).filter((name) => !allowed.has(name));
  assert.deepEqual(unused, []);
});

void test('no file hands on names of another one, but for the face of the client library', () => {
  const handsOn = [...sources].filter(([, text]) => /^export (?:type )?(?:\{|\*)/m.test(text));
  assert.equal(handsOn.map(([path]) => path).join(' '), 'src/client/connect.ts');
});

/** A number from 1 on beside what is called a minor, or a union of minors. */
const namedMinor =
  /minor\w*(?: (?:[!=]==|[<>]=?|=|\?\?)|:) [1-9]|minor\w*\?: \d|\b[1-9] (?:[!=]==|[<>]=?) [\w.]*minor/i;

void test('no file but the tables of minors and of releases names a minor: what it means is asked of them', () => {
  for (const line of 'serverMinor !== 3, minor ?? 3, minor >= 4, 3 < a.minor, minor?: 0 | 1, aMinor = 3'.split(
    ', ',
  ))
    assert.match(line, namedMinor);
  for (const line of 'minor === 0; serverMinor ?? 0; minor > newestMinor; minor: 0; of(a, minor) ?? 2'.split(
    '; ',
  ))
    assert.doesNotMatch(line, namedMinor);
  const naming = [...sources].filter(([, text]) =>
    namedMinor.test(text.replaceAll(/^ *(?:\/?\*|\/\/).*/gm, '')),
  );
  const tables = ['src/doveadm/protocol/minors.ts', 'src/doveadm/protocol/releases.ts'];
  assert.deepEqual(naming.map(([path]) => path).toSorted(), tables);
});

void test('the table names no module that it does not describe, and has no circle', () => {
  const arrows = new Map<string, string[]>();
  for (const [name, rule] of Object.entries(modules)) {
    const targets = rule.imports.flatMap((target) => modulesOf(target));
    arrows.set(name, targets);
    for (const file of rule.public ?? []) assert.ok(sources.has(`src/${name}/${file}.ts`), `${name}/${file}`);
  }
  assert.deepEqual(findCycles(arrows), []);
});

/** The modules that an entry of `imports` names. */
function modulesOf(entry: string): string[] {
  if (Object.hasOwn(modules, entry)) return [entry];
  if (entry.endsWith('/*')) return Object.keys(modules).filter((name) => name.startsWith(entry.slice(0, -1)));
  const module = entry.split('/').slice(0, -1).join('/');
  assert.ok(Object.hasOwn(modules, module), `the table does not describe ${entry}`);
  assert.ok(sources.has(`src/${entry}.ts`), `there is no ${entry}`);
  return [module];
}
