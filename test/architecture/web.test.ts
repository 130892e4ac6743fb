// The screens of the page (src/page/web, TSX and styles) import nothing that a browser would not find beside them.
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { filesBelow, textOf } from './project.js';

const screens = filesBelow('src/page/web').filter((path) => path.endsWith('.tsx'));

/** What reads records and makes sentences without Node. */
const forBrowsers = new Set(
  [
    'host/words/words host/words/asking host/words/moments host/values/values host/concurrency/back-off',
    'journal/records/stored gate/outcome/class gate/outcome/owner gate/now/operator gate/access/access-words',
    'gate/access/ending-words evidence/story/row evidence/story/leave-out evidence/views/reach',
    'page/answers/history',
  ].flatMap((line) => line.split(' ')),
);
const form = /^(?:import|export)\s+(type\s)?[^;]*?from\s+'([^']+)';|^import\s+'([^']+)';/gm;

/** Imports of values that a browser has not. */
function foreign(path: string, text: string): string[] {
  return [...text.matchAll(form)].flatMap(([, type, from = '', bare]) => {
    if (type !== undefined || /^preact(\/hooks)?$/.test(from)) return [];
    const target = posix.join(posix.dirname(path), from);
    const isOwn = target.startsWith('src/page/web/') || forBrowsers.has(target.slice(4).replace(/\.js$/, ''));
    return bare === undefined && from.startsWith('.') && isOwn ? [] : [`${path}: ${bare ?? from}`];
  });
}

void test('a screen imports values from src/page/web, preact, and what reads records without Node', () => {
  const sources = filesBelow('src/page/web').filter((path) => /\.tsx?$/.test(path));
  assert.ok(sources.length > screens.length && screens.length > 0);
  assert.deepEqual(
    sources.flatMap((path) => foreign(path, textOf(path))),
    [],
  );
  const planted = [
    "import { x } from '../../host/machine/files.js';",
    "import 'node:fs';",
    "export { y } from 'zod';",
  ];
  assert.equal(foreign('src/page/web/x.tsx', planted.join('\n')).length, 3);
});

void test('a screen makes no HTML or code out of text', () => {
  const wrong = screens.filter((path) =>
    /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\bstyle=/.test(
      textOf(path),
    ),
  );
  assert.deepEqual(wrong, []);
});
