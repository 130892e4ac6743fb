// Goal: the project stays below the caps on its size. They stand in ../shared/budget.json, beside the project, which nothing in it writes;
// a checkout without that file has no caps.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { filesBelow, root, textOf } from './project.js';

const caps = z.object({ src: z.number(), test: z.number(), docs: z.number() });
type Sizes = z.infer<typeof caps>;

/** Lines of TypeScript below `folder`, comments and blank lines included. */
const linesBelow = (folder: string): number =>
  filesBelow(folder)
    .filter((file) => /\.tsx?$/.test(file))
    .reduce((sum, file) => sum + textOf(file).split('\n').length - 1, 0);

const wordsOf = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;

function above(sizes: Sizes, most: Sizes): string[] {
  return (['src', 'test', 'docs'] as const).flatMap((name) =>
    sizes[name] > most[name] ? [`${name}: ${sizes[name]}, above its cap of ${most[name]}`] : [],
  );
}

void test('source, tests and documents are below their caps', () => {
  const path = join(root, '..', 'shared', 'budget.json');
  const most = existsSync(path) ? caps.parse(JSON.parse(readFileSync(path, 'utf8'))) : undefined;
  const pages = filesBelow('docs').filter((file) => /^docs\/[^/]+\.md$/.test(file));
  const docs = pages.reduce((sum, file) => sum + wordsOf(textOf(file)), 0);
  const sizes = { src: linesBelow('src'), test: linesBelow('test'), docs };
  assert.ok(Object.values(sizes).every((size) => size > 1_000));
  assert.deepEqual(above(sizes, most ?? sizes), []);
});

void test('a size above its cap is named', () => {
  assert.deepEqual(above({ src: 2, test: 3, docs: 1 }, { src: 2, test: 2, docs: 2 }), [
    'test: 3, above its cap of 2',
  ]);
});
