// The screens of the page (src/web, TSX and styles) import nothing that a browser would not find beside them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesBelow, textOf } from './project.js';

const screens = filesBelow('src/web').filter((path) => path.endsWith('.tsx'));

void test('a screen imports from src/web and preact, what reads records without Node, and only types from domain/admin/page', () => {
  assert.ok(screens.length > 0);
  const wrong = screens.flatMap((path) =>
    [...textOf(path).matchAll(/^(import|export)\s+(type\s)?[^;]*?from\s+'([^']+)';|^import\s+'([^']+)';/gm)]
      .filter(([, , type, from = '', bare]) => {
        if (from.startsWith('./') && !from.includes('..')) return false;
        if (from === '../domain/language/words/words.js') return false;
        if (type !== undefined && /^(\.\.\/)+domain\/admin\/page\/[a-z-]+\.js$/.test(from)) return false;
        if (/^\.\.\/domain\/records\/(audit\/stored|story\/(?:class|operator|owner|row))\.js$/.test(from))
          return false;
        if (/^(\.\.\/)[a-z-]+\.js$/.test(from) && path.split('/').length > 3) return false;
        return bare !== undefined || !/^preact(\/hooks)?$/.test(from);
      })
      .map(([line]) => `${path}: ${line}`),
  );
  assert.deepEqual(wrong, []);
});

void test('a screen makes no HTML or code out of text', () => {
  const wrong = screens.filter((path) =>
    /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\bstyle=/.test(
      textOf(path),
    ),
  );
  assert.deepEqual(wrong, []);
});
