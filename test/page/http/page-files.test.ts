// The files of the page: under names that change with any of them, and nothing else is ever handed out.

import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { createPageFiles, type PageFile } from '../../../src/page/http/page-files.js';
import { openFolder } from '../../kit/plain/folder.js';
import { projectRoot } from '../../kit/plain/root.js';

const web = fileURLToPath(new URL('build/src/page/web/', projectRoot));
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
  for (const path of ['/proof', '/trail/01J', '/trail/..%2f..%2fetc', '/no-such'])
    assert.equal(files.find(path), files.find('/'));
  const named = [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path = '']) => path);
  assert.equal(new Set(named).size, named.length);
  for (const path of named) {
    assert.match(path, /^\/assets\/[\w-]{16}\/(page\.js|style\.css|icon\.svg|parts\/chunk-\w+\.js)$/);
    assert.ok(files.find(path) !== undefined, path);
  }
});

/** The scripts that come with this one, those that they import included. */
function withImports(path: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, name = ''] of textOf(files.find(path)).matchAll(/(?:from|import)"(\.[^"]+)"/g))
    withImports(new URL(name, `http://page${path}`).pathname, found);
  return found;
}

const zipped = (paths: Iterable<string>): number =>
  [...paths].reduce((sum, path) => sum + (files.find(path)?.gzip.length ?? 0), 0);

void test('the first screen has at most 45 kB of scripts, all of them named in the document', () => {
  const first = withImports(scriptOf(html));
  const named = [...html.matchAll(/(?:src|href)="([^"]+\.js)"/g)].map(([, path = '']) => path);
  assert.deepEqual([...first].toSorted(), named.toSorted());
  assert.ok(first.size > 3 && zipped(first) > 20_000, 'the imports were read');
  assert.ok(zipped(first) <= 45_000, `${zipped(first)} bytes, compressed`);
});

void test('a script of each other screen, which brings at most 20 kB with it', () => {
  const first = withImports(scriptOf(html));
  const screens = [...first].flatMap((path) =>
    [...textOf(files.find(path)).matchAll(/import\("([^"]+)"\)/g)].map(
      ([, name = '']) => new URL(name, `http://page${path}`).pathname,
    ),
  );
  assert.ok(screens.length >= 9, 'the screens were found');
  for (const screen of screens) {
    assert.ok(!first.has(screen), screen);
    const more = [...withImports(screen)].filter((path) => !first.has(path));
    assert.ok(zipped(more) > 0 && zipped(more) <= 20_000, `${screen}: ${zipped(more)} bytes, compressed`);
    for (const path of more) assert.ok(!textOf(files.find(path)).includes('sourceMappingURL'));
  }
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
  const paths =
    'page-files.js main.js preact.mjs ../page.js ..%2fpage.js index.html main.d.ts page.js/ PAGE.JS ';
  for (const path of paths.split(' ')) assert.equal(files.find(folder + path), undefined, path);
  for (const path of ['/assets', '/assets/', '/assets/page.js', '/api', '/api/now', '', 'x'])
    assert.equal(files.find(path), undefined, path);
});

void test('a change of any file changes the names of all', (t) => {
  const folder = openFolder(t);
  cpSync(web, folder, { recursive: true });
  assert.equal(textOf(createPageFiles(folder).find('/')), html);
  writeFileSync(join(folder, 'style.css'), 'p{margin:0}');
  assert.notEqual(scriptOf(textOf(createPageFiles(folder).find('/'))), scriptOf(html));
});
