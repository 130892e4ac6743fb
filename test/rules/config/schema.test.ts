// Goal: each key that is unknown, misspelt, mistyped, missing or not done yet is told at its place, in words that help.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { parseYaml } from '../../../src/rules/config/parse-yaml.js';
import { ProblemList } from '../../../src/rules/config/problem.js';
import { as, file, listOf, section, size, timer, word } from '../../../src/rules/config/schema-parts.js';
import { validate } from '../../../src/rules/config/validate.js';
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

// Goal: a section gives names, words and paths as the rest of the program takes them.

void test('names, words and paths of a section', () => {
  const schema = section('a section', {
    max_size: size('1KiB'),
    idle_time: timer('5s').describe('a line of documentation'),
    ca: as('caFile', file('a file').optional()).describe('another one'),
    key: file('a file'),
    above: file('a file'),
    off: file('a file, or off', /^off$/),
    users: listOf(word, 'users').default([]),
    either: z.union([word, listOf(section('an item', { own_name: word }), 'items')]),
    absent_key: word.optional(),
  });
  const problems = new ProblemList();
  const text =
    'ca: a/ca.pem\nkey: /abs\nabove: ../z\noff: off\nusers: [007, 1.50, yes, "x"]\neither: [{ own_name: 0x10 }]\n';
  const root = parseYaml('/etc/dovegate/d.yaml', text, problems);
  assert.ok(root);
  const read = { ...validate(schema, root, problems)?.value };
  assert.deepEqual(read, {
    maxSize: 1024,
    idleTimeMs: 5000,
    caFile: '/etc/dovegate/a/ca.pem',
    key: '/abs',
    above: '/etc/z',
    off: 'off',
    users: ['007', '1.50', 'yes', 'x'],
    either: [{ ownName: '0x10' }],
  });
  assert.deepEqual(problems.sorted(), []);
});

void test('a number is no path, and an empty one is not the directory', () => {
  for (const [written, expected] of [
    ['7', 'must be a file'],
    ['""', 'must be a file, not empty'],
  ] as const) {
    const problems = new ProblemList();
    const root = parseYaml('/etc/dovegate/d.yaml', `ca: ${written}\n`, problems);
    assert.ok(root);
    assert.equal(validate(section('a section', { ca: file('a file') }), root, problems), undefined);
    assert.equal(problems.sorted()[0]?.message, expected);
  }
});
