// The sources of this project obey the table; and the table itself goes down only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, formatViolation, type Violation } from './checker.js';
import { findCycles } from './cycles.js';
import { readManifest, readSources } from './project.js';
import { factsOf } from './references.js';
import { floors, folders } from './table.js';

const sources = readSources();

const violations = check(sources);
const isAboutComments = ({ rule }: Violation) => rule === 'opening-comment' || rule === 'undocumented-export';

void test('src/ obeys the import table, the rules about globals, and the limits', () => {
  assert.ok(sources.has('src/main.ts'), 'the sources were found');
  assert.deepEqual(violations.filter((violation) => !isAboutComments(violation)).map(formatViolation), []);
});

void test('every source opens with what it owns, and every export has a doc comment', () => {
  assert.deepEqual(violations.filter(isAboutComments).map(formatViolation), []);
});

void test('every package that src/ imports is a dependency, and not one of development', () => {
  const { dependencies } = readManifest();
  const imported = [...sources.values()]
    .flatMap((source) => factsOf(source).references)
    .flatMap(({ kind, specifier }) => (kind === 'url' || specifier === undefined ? [] : [specifier]))
    .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    .map((specifier) => specifier.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? specifier);
  assert.deepEqual(
    imported.filter((name) => !Object.hasOwn(dependencies, name)),
    [],
  );
});

void test('every dependency has a folder that may import it', () => {
  const { dependencies } = readManifest();
  const allowed = new Set(Object.values(folders).flatMap(({ packages }) => packages));
  assert.deepEqual(
    Object.keys(dependencies).filter((name) => !allowed.has(name)),
    [],
  );
});

void test('the table names no folder that it does not describe, goes down only, and has no circle', () => {
  const arrows = new Map<string, string[]>();
  for (const [name, rule] of Object.entries(folders)) {
    const targets = rule.imports
      .filter((target) => target !== 'test/kit')
      .map((target) => target.split('/')[0] ?? '');
    for (const target of targets) {
      const floor = folders[target]?.floor;
      assert.ok(floor !== undefined, `${name} may import ${target}, which the table does not describe`);
      assert.ok(floors[floor] <= floors[rule.floor], `${name} may import ${target}, which lies above it`);
    }
    arrows.set(name, targets);
  }
  assert.deepEqual(findCycles(arrows), []);
});
