// Goal: no bound is dead, undocumented or untested. Each value is used by the code, and docs/limits.md has a row for it with that value, the
// source that enforces it and a test that reaches it. What a test reaches is shown by that test, beside its mention.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { asWritten, bounds } from '../../src/bounds/bounds.js';

// From build/test/bounds to the project.
const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

interface Row {
  readonly value: string;
  readonly cells: readonly string[];
  readonly key: string;
  readonly source: string;
  readonly isBuiltIn: boolean;
  readonly test: string;
}

/** Of the tables of docs/limits.md: what, at most, for each, bounds, and name, source and test in one cell. */
const rows: readonly Row[] = read('docs/limits.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line.includes('`: `'))
  .map((line) => {
    const cells = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    const last = /^`(\w+)`: `([^`]+)`( by its form)?, `([^`]+)`$/.exec(cells[4] ?? '');
    assert.ok(last !== null && cells.length === 5, line);
    const [, key = '', source = '', form, name = ''] = last;
    return { value: cells[1] ?? '', cells, key, source, isBuiltIn: form !== undefined, test: name };
  });

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

void test('docs/limits.md has one row for each bound, with its value', () => {
  const written = (value: string): string =>
    value.replace(/^([\d.]+)([A-Za-z]+)$/, (_, number, unit) => `${number} ${unit === 'm' ? 'min' : unit}`);
  const shown = rows.map(({ key, value }) => [key, value.replace(/ \(`[^`]+`\)$/, '')]);
  assert.equal(new Set(rows.map(({ key }) => key)).size, rows.length);
  assert.deepEqual(
    Object.fromEntries(shown),
    Object.fromEntries(Object.entries(asWritten).map(([key, value]) => [key, written(value)])),
  );
  for (const { cells, key } of rows)
    assert.ok(
      cells.every((cell) => cell !== ''),
      key,
    );
});

void test('the code uses each value, and the source that enforces it is there', () => {
  const used = new Set(sourcesIn('src/').flatMap((path) => keysIn(read(path))));
  for (const { key, source, isBuiltIn } of rows) {
    assert.ok(used.has(key) || isBuiltIn, `nothing in src/ uses bounds.${key}`);
    assert.ok(existsSync(new URL(`src/${source}.ts`, root)), `${key}: there is no src/${source}.ts`);
  }
});

void test('each row names a test, and that test names the row', () => {
  const wrong = rows.flatMap(({ key, test: name }) => {
    const path = `test/${name}.test.ts`;
    const isNamed = existsSync(new URL(path, root)) && keysIn(read(path)).includes(key);
    return isNamed ? [] : [`${key}: ${path} does not mention bounds.${key}`];
  });
  assert.deepEqual(wrong, []);
});
