// Paths of the page: which screen one means, and that a name in one stays one part of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchPath, pathOf } from '../../../src/page/web/route.js';

void test('a path is matched part by part', () => {
  assert.deepEqual(matchPath('/', '/'), []);
  assert.deepEqual(matchPath('/trail', '/trail/'), []);
  assert.deepEqual(matchPath('/trail/:id', '/trail/01J'), ['01J']);
  assert.deepEqual(matchPath('/mailbox/:user', '/mailbox/anna%40example.com%2Fx'), ['anna@example.com/x']);
  for (const [pattern, path] of [
    ['/', '/trail'],
    ['/trail', '/trail/01J'],
    ['/trail/:id', '/trail'],
    ['/trail/:id', '/trail//'],
    ['/trail/:id', '/trail/%zz'],
  ] as const)
    assert.equal(matchPath(pattern, path), undefined, path);
});

void test('half a character in a name is no reason to draw nothing', () => {
  assert.equal(pathOf('/mailbox/:user', 'a\ud800b'), '/mailbox/a%EF%BF%BDb');
  assert.equal(pathOf('/mailbox/:user', '\u{1f600}'), '/mailbox/%F0%9F%98%80');
});

void test('a name in a path cannot become another path, and comes back as it was', () => {
  for (const name of ['anna@example.com', 'a/b', '?x=#y', '%2f', 'ü 日', '\u202e']) {
    const path = pathOf('/mailbox/:user', name);
    assert.equal(new URL(path, 'http://host').pathname, path);
    assert.deepEqual(matchPath('/mailbox/:user', path), [name]);
  }
  for (const name of ['.', '..', '%2e%2e'])
    assert.ok(new URL(pathOf('/api/kill/:id', name), 'http://host').pathname.startsWith('/api/kill/'), name);
});
