// The line of the nine parts: each imports only those before it, and of another one only the files of its face (parts.ts).
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { parts } from './parts.js';
import { filesBelow, textOf } from './project.js';
import { referencesOf } from './references.js';

interface Arrow {
  readonly from: string;
  readonly to: string;
}

/** What stands on top of all parts comes after them. */
function partOf(path: string): number {
  const at = parts.findIndex(({ name }) => path.startsWith(`src/${name}/`));
  return at === -1 ? parts.length : at;
}

/** Imports of other parts, by path without extension. */
function arrowsOf(path: string, text: string): Arrow[] {
  return referencesOf(text)
    .references.filter(({ kind, specifier }) => kind === 'import' && specifier.startsWith('.'))
    .map(({ specifier }) => ({
      from: path.replace(/\.tsx?$/, ''),
      to: posix.join(posix.dirname(path), specifier).replace(/\.js$/, ''),
    }))
    .filter(({ from, to }) => partOf(from) !== partOf(to));
}

const isUp = ({ from, to }: Arrow): boolean => partOf(to) > partOf(from);
const faceOf = (path: string) => parts[partOf(path)]?.face ?? ['program', 'help'];
const inPart = (path: string): string => posix.relative(`src/${parts[partOf(path)]?.name ?? ''}`, path);
const isPrivate = ({ to }: Arrow): boolean => faceOf(to) !== 'all' && !faceOf(to).includes(inPart(to));
const shown = ({ from, to }: Arrow): string => `${from.slice(4)} -> ${to.slice(4)}`;

const sources = filesBelow('src').filter((path) => /\.tsx?$/.test(path));
const arrows = sources.flatMap((path) => arrowsOf(path, textOf(path)));

void test('a part imports only those before it', () => {
  assert.equal(parts.length, 9);
  assert.deepEqual(arrows.filter(isUp).map(shown), []);
  const planted = arrowsOf('src/rules/policy/x.ts', "import type { X } from '../../journal/x.js';\n");
  assert.equal(planted.filter(isUp).length, 1);
});

void test('of another part only its face is imported, and all of a face is', () => {
  assert.deepEqual(arrows.filter(isPrivate).map(shown), []);
  const met = new Set(arrows.map(({ to }) => to.slice(4)));
  const faces = parts.flatMap(({ name, face }) =>
    face === 'all' ? [] : face.map((file) => `${name}/${file}`),
  );
  assert.deepEqual(
    faces.filter((file) => !met.has(file)),
    [],
  );
  const planted = arrowsOf('src/page/x.ts', "const x = await import('../gate/pool/dials.js');\n");
  assert.equal(planted.filter(isPrivate).length, 1);
});
