// The files of the page: under names that change with any of them, and nothing else is ever handed out.
import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { createPageFiles, type PageFile } from '../../../src/adapters/page/page-files.js';
import { openFolder } from '../../kit/folder.js';

const web = fileURLToPath(new URL('../../../src/web/', import.meta.url));
const files = createPageFiles();
const html = textOf(files.find('/'));

function textOf(file: PageFile | undefined): string {
  assert.ok(file !== undefined);
  return file.body.toString();
}

/** Where the document says that its script is. */
function scriptOf(document: string): string {
  const path = /src="([^"]+\/page\.js)"/.exec(document)?.[1];
  assert.ok(path !== undefined);
  return path;
}

void test('every screen gets the one document, and what it names is there', () => {
  for (const path of ['/backends', '/trail/01J', '/trail/..%2f..%2fetc', '/no-such'])
    assert.equal(files.find(path), files.find('/'));
  const named = [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path = '']) => path);
  assert.equal(named.length, 3);
  for (const path of named) {
    assert.match(path, /^\/assets\/[\w-]{16}\/(page\.js|style\.css|icon\.svg)$/);
    assert.ok(files.find(path) !== undefined, path);
  }
});

void test('one script has all of it, in at most 60 kB', () => {
  const script = files.find(scriptOf(html));
  assert.ok(!/(^|[;}])(import|export)[\s"'{*]|sourceMappingURL/.test(textOf(script)));
  assert.ok(script !== undefined && script.gzip.length <= 60_000, `${script?.gzip.length} bytes, compressed`);
});

void test('the policy allows what the own host serves, and the document has no script or style in it', () => {
  assert.doesNotMatch(html, /<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|https?:/);
  assert.equal(
    files.find('/')?.headers['Content-Security-Policy'],
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
      "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
      "require-trusted-types-for 'script'",
  );
});

void test('code is kept for ever, the document never', () => {
  const script = files.find(scriptOf(html));
  assert.equal(script?.headers['Cache-Control'], 'public, max-age=31536000, immutable');
  assert.equal(script?.headers['Content-Type'], 'text/javascript; charset=utf-8');
  assert.equal(files.find('/')?.headers['Cache-Control'], 'no-store');
  for (const file of [script, files.find('/')]) {
    assert.deepEqual(file && gunzipSync(file.gzip), file?.body);
  }
});

void test('no path leads outside of the files that were read', () => {
  const folder = scriptOf(html).replace(/page\.js$/, '');
  const paths = [
    'page-files.js',
    'main.js',
    'preact.mjs',
    '../page.js',
    '..%2fpage.js',
    'index.html',
    'main.d.ts',
    'page.js/',
    'PAGE.JS',
    '',
  ];
  for (const path of paths) assert.equal(files.find(folder + path), undefined, path);
  for (const path of ['/assets', '/assets/', '/assets/page.js', '/api', '/api/now', '', 'x', '//assets/../x'])
    if (!path.startsWith('//')) assert.equal(files.find(path), undefined, path);
});

void test('a change of any file changes the names of all', (t) => {
  const folder = openFolder(t);
  cpSync(web, folder, { recursive: true });
  assert.equal(textOf(createPageFiles(folder).find('/')), html);
  writeFileSync(join(folder, 'style.css'), 'p{margin:0}');
  assert.notEqual(scriptOf(textOf(createPageFiles(folder).find('/'))), scriptOf(html));
});
