// Goal: a section gives names, words and paths as the rest of the program takes them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { parseYaml } from '../../../src/rules/config/parse-yaml.js';
import { ProblemList } from '../../../src/rules/config/problem.js';
import { as, file, listOf, section, size, timer, word } from '../../../src/rules/config/schema-parts.js';
import { validate } from '../../../src/rules/config/validate.js';

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
  assert.deepEqual(
    { ...validate(schema, root, problems)?.value },
    {
      maxSize: 1024,
      idleTimeMs: 5000,
      caFile: '/etc/dovegate/a/ca.pem',
      key: '/abs',
      above: '/etc/z',
      off: 'off',
      users: ['007', '1.50', 'yes', 'x'],
      either: [{ ownName: '0x10' }],
    },
  );
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
