// Goal: each key that is unknown, misspelt, mistyped, missing or not done yet is told at its place, in words that help.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { projectRoot } from '../../kit/plain/root.js';

void test('the JSON Schema for editors is the one that the code gives (else: npm run build:test, node scripts/make-schema.mjs)', async () => {
  const script: { formatJsonSchema(): string } = await import(
    new URL('scripts/json-schema.mjs', projectRoot).href
  );
  const path = new URL('config/dovegate.schema.json', projectRoot);
  assert.equal(readFileSync(path, 'utf8'), script.formatJsonSchema());
});

void test('docs/settings.md is what the code gives (else: npm run build:test, node scripts/make-settings.mjs)', async () => {
  const root = projectRoot;
  const script: { formatSettingsPage(): string } = await import(
    new URL('scripts/settings-page.mjs', root).href
  );
  const page = readFileSync(new URL('docs/settings.md', root), 'utf8');
  assert.equal(page, script.formatSettingsPage());
});
