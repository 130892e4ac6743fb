// Goal: docs/preset-effects.md says what the search found on real servers, and nothing else; and what it found is what a preset may do.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readKept } from './preset-effects.js';
import { presetNames } from './preset-policies.js';

// From build/test/dovecot to the project.
const root = new URL('../../../', import.meta.url);

void test('the page is made of what the search keeps (else: node scripts/preset-effects.mjs)', () => {
  const script = fileURLToPath(new URL('scripts/preset-effects.mjs', root));
  const printed = execFileSync(process.execPath, [script, '--print'], { encoding: 'utf8' });
  assert.equal(readFileSync(new URL('docs/preset-effects.md', root), 'utf8'), printed);
});

void test('every preset has effects, on a series that was tried', () => {
  const kept = readKept();
  assert.deepEqual([...new Set(kept.map(({ preset }) => preset))].toSorted(), presetNames);
  for (const { series } of kept)
    assert.ok(series.length > 0 && series.every((each) => /^2\.[34]$/.test(each)));
});

void test('no preset ends a process, and none reaches users for whom its policy does not hold', () => {
  const grave = readKept().filter(
    ({ kind, what }) =>
      kind === 'kills' || /outside of the policy|secret|hidden|environment|file of the server/.test(what),
  );
  assert.deepEqual(grave, []);
});
