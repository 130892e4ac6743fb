// That shape checks are counted where they are, and nothing else.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { countByFile, shapeChecks } from './shape-checks.js';

void test('checks of what is unknown count; type queries, unions of our own and schemas do not', () => {
  const base = mkdtempSync(join(tmpdir(), 'dovegate-shapes-'));
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), text);
  };
  try {
    put(
      'tsconfig.json',
      '{ "compilerOptions": { "strict": true, "module": "nodenext" }, "include": ["src"] }',
    );
    put(
      'src/cli/read.ts',
      `export type Fields = Readonly<Record<string, unknown>>;
export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const nameOf = (value: unknown): string =>
  isObject(value) && typeof value['name'] === 'string' ? value['name'] : '';
export const parsed = (text: string): boolean => typeof JSON.parse(text).name === 'string';
`,
    );
    put(
      'src/cli/own.ts',
      `const list = ['a', 'b'] as const;
export type One = (typeof list)[number];
export const isText = (value: string | { readonly name: string }): boolean => typeof value === 'string';
export const isList = (value: One | readonly One[]): boolean => Array.isArray(value);
`,
    );
    put(
      'src/domain/language/seams/shape.ts',
      'export const isText = (value: unknown) => typeof value === "string";',
    );
    const checks = shapeChecks(base, ['tsconfig.json']);
    assert.deepEqual(checks, [
      'src/cli/read.ts:3: typeof value',
      'src/cli/read.ts:3: Array.isArray(value)',
      'src/cli/read.ts:5: isObject(value)',
      "src/cli/read.ts:5: typeof value['name']",
      'src/cli/read.ts:6: typeof JSON.parse(text).name',
    ]);
    assert.deepEqual(countByFile(checks), [['src/cli/read.ts', 5]]);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
});
