// test/ mirrors src/; and the check that says so catches what it should.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMirror, type MirrorExceptions } from './mirror.js';
import * as exceptions from './mirror-exceptions.js';
import { filesBelow, readSources } from './project.js';

void test('every test file has its source, and every pure source its test file', () => {
  assert.deepEqual(checkMirror(readSources(), filesBelow('test'), exceptions), []);
});

const none: MirrorExceptions = {
  otherTestFolders: ['kit'],
  fullyTestedModules: ['protocol'],
  needsNoTest: (path) => path === 'src/protocol/data.ts',
  testsWithoutSource: {},
  sourcesWithoutTest: {},
};
const code = '// Owns x.\nexport const x = 1;\n';
const sources = new Map([
  ['src/protocol/lines.ts', code],
  ['src/adapters/net/dial.ts', code],
]);

void test('a source without a test is found, unless it holds types only', () => {
  assert.deepEqual(checkMirror(sources, [], none), [
    'src/protocol/lines.ts: there is no test/protocol/lines.test.ts',
  ]);
  assert.deepEqual(checkMirror(sources, ['test/protocol/lines.test.ts'], none), []);
  assert.deepEqual(checkMirror(sources, ['test/protocol/lines.cuts.test.ts'], none), []);
  assert.deepEqual(checkMirror(new Map([['src/protocol/data.ts', code]]), [], none), []);
  const types =
    "// Owns T.\nimport type { U } from './u.js';\n/** A pair. */\nexport type T = { a: U }[];\nexport interface V { b(): T }\n";
  assert.deepEqual(checkMirror(new Map([['src/protocol/t.ts', types]]), [], none), []);
  for (const more of [
    'export const y = 2;',
    "import './x.js';",
    "import { z } from './z.js';",
    'export class C {}',
  ])
    assert.equal(
      checkMirror(new Map([['src/protocol/t.ts', `${types}${more}\n`]]), [], none).length,
      1,
      more,
    );
});

void test('a test without a source is found, and so is a folder that mirrors nothing', () => {
  const tests = ['test/protocol/lines.test.ts', 'test/kit/any.test.ts', 'test/adapters/net/cases.json'];
  assert.deepEqual(checkMirror(sources, tests, none), []);
  assert.deepEqual(
    checkMirror(sources, [...tests, 'test/adapters/net/lines.test.ts', 'test/wires/lines.test.ts'], none),
    [
      'test/adapters/net/lines.test.ts: there is no source of this name',
      'test/wires/lines.test.ts: src/ has no module for it',
    ],
  );
});

void test('an exception works as long as it is needed', () => {
  const sourcesWithoutTest = { 'src/protocol/lines.ts': 'tested by the stories' };
  assert.deepEqual(checkMirror(sources, [], { ...none, sourcesWithoutTest }), []);
  assert.deepEqual(checkMirror(sources, ['test/protocol/lines.test.ts'], { ...none, sourcesWithoutTest }), [
    'src/protocol/lines.ts: the exception is not needed',
  ]);
});
