// Goal: no row of the table of bounds is dead or untested. Each value is used by the code, each row names the source that enforces it and a
// test that reaches it, and docs/limits.md is what the table gives. What a test reaches is shown by that test, beside its mention.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Bound } from '../../src/bounds/bound.js';
import { asWritten, bounds, table } from '../../src/bounds/bounds.js';

// From build/test/bounds to the project.
const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const rows = Object.entries(table).flatMap(([who, of]) =>
  Object.entries<Bound>(of).map(([key, row]) => ({ who, key, row })),
);

function sourcesIn(folder: string): readonly string[] {
  return readdirSync(new URL(folder, root), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory()) return path === 'src/bounds' ? [] : sourcesIn(`${path}/`);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

/** The keys that a text names, as `bounds.KEY` or `asWritten.KEY`. */
function keysIn(text: string): readonly string[] {
  return [...text.matchAll(/\b(?:bounds|asWritten)\.([A-Za-z]+)\b/g)].map(([, key = '']) => key);
}

void test('values are bytes, milliseconds or numbers of things', () => {
  assert.equal(bounds.commandLineBytes, 65_536);
  assert.equal(bounds.clientStallMs, 45_000);
  assert.equal(bounds.pageSessionMs, 8 * 3_600_000);
  assert.equal(bounds.logLines, 10_000);
  assert.equal(asWritten.inputMs, '240s');
  for (const [key, value] of Object.entries(bounds)) assert.ok(Number.isSafeInteger(value) && value > 0, key);
});

void test('no key has two rows', () => {
  assert.equal(rows.length, Object.keys(bounds).length);
});

void test('the code uses each value, and the source that enforces it is there', () => {
  const used = new Set(sourcesIn('src/').flatMap((path) => keysIn(read(path))));
  for (const { key, row } of rows) {
    assert.ok(used.has(key) || row.isBuiltIn, `nothing in src/ uses bounds.${key}`);
    assert.ok(existsSync(new URL(`src/${row.at}.ts`, root)), `${key}: there is no src/${row.at}.ts`);
  }
});

void test('each row names a test, and that test names the row', () => {
  const wrong = rows.flatMap(({ who, key, row }) => {
    const path = `test/${row.test}.test.ts`;
    const isNamed = existsSync(new URL(path, root)) && keysIn(read(path)).includes(key);
    return isNamed ? [] : [`${who} ${key}: ${path} does not mention bounds.${key}`];
  });
  assert.deepEqual(wrong, []);
});

void test('docs/limits.md is what the table gives (else: npm run build, node scripts/make-limits.mjs)', async () => {
  const script: { formatLimitsPage(): string } = await import(new URL('scripts/limits-page.mjs', root).href);
  // The widths of columns are the formatter's.
  const plain = (page: string): string => page.replace(/ +\|/g, ' |').replace(/-{3,}/g, '---');
  assert.equal(plain(read('docs/limits.md')), plain(script.formatLimitsPage()));
});
