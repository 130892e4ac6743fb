// The files of the page: under names that change with any of them, and nothing else is ever handed out.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { createPageFiles, type PageFile } from '../../../src/adapters/page/page-files.js';

const web = fileURLToPath(new URL('../../../src/web/', import.meta.url));
const files = createPageFiles();
const html = textOf(files.find('/'));

function textOf(file: PageFile | undefined): string {
  assert.ok(file !== undefined);
  return file.body.toString();
}

/** Where the document says that its main script is. */
function mainOf(document: string): string {
  const path = /src="([^"]+\/main\.js)"/.exec(document)?.[1];
  assert.ok(path !== undefined);
  return path;
}

void test('every screen gets the one document, and what it names is there', () => {
  for (const path of ['/backends', '/trail/01J', '/trail/..%2f..%2fetc', '/no-such'])
    assert.equal(files.find(path), files.find('/'));
  const named = [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path = '']) => path);
  assert.ok(named.length > 10);
  for (const path of named) {
    assert.match(path, /^\/assets\/[\w-]{16}\/[a-z-]+\.(js|mjs|css|svg)$/);
    assert.ok(files.find(path) !== undefined, path);
  }
});

void test('all modules that a script imports are files beside it, or in the import map', () => {
  const folder = mainOf(html).replace(/main\.js$/, '');
  const mapped = new Set(
    [...html.matchAll(/"(preact[a-z/-]*)": "(\/assets\/[^"]+)"/g)].map(([, name = '']) => name),
  );
  assert.deepEqual([...mapped], ['preact', 'preact/hooks', 'preact/jsx-runtime']);
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = textOf(files.find(path));
    for (const [, from = ''] of text.matchAll(
      /(?:^|;|\})\s*(?:import|export)[^;'"]*?from\s*["']([^"']+)["']/gm,
    ))
      if (from.startsWith('./')) visit(folder + from.slice(2));
      else assert.ok(mapped.has(from), `${path} imports ${from}`);
  };
  visit(mainOf(html));
  assert.ok(seen.has(`${folder}now-screen.js`));
});

void test('the policy allows the import map by its hash, and no other script in the document', () => {
  const scripts = [...html.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)].map(([, text = '']) => text);
  const inline = scripts.filter((text) => text !== '');
  assert.equal(inline.length, 1);
  const hash = createHash('sha256')
    .update(inline[0] ?? '')
    .digest('base64');
  assert.equal(
    files.find('/')?.headers['Content-Security-Policy'],
    `default-src 'none'; script-src 'self' 'sha256-${hash}'; style-src 'self'; img-src 'self' data:; ` +
      "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
      "require-trusted-types-for 'script'",
  );
  assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=|https?:/);
});

void test('code is kept for ever, the document never', () => {
  const main = files.find(mainOf(html));
  assert.equal(main?.headers['Cache-Control'], 'public, max-age=31536000, immutable');
  assert.equal(main?.headers['Content-Type'], 'text/javascript; charset=utf-8');
  assert.equal(files.find('/')?.headers['Cache-Control'], 'no-store');
  for (const file of [main, files.find('/')]) {
    assert.deepEqual(file && gunzipSync(file.gzip), file?.body);
  }
});

void test('no path leads outside of the files that were read', () => {
  const folder = mainOf(html).replace(/main\.js$/, '');
  const paths = [
    'page-files.js',
    '../main.js',
    '..%2fmain.js',
    'index.html',
    'main.d.ts',
    'main.js/',
    'MAIN.JS',
    '',
  ];
  for (const path of paths) assert.equal(files.find(folder + path), undefined, path);
  for (const path of ['/assets', '/assets/', '/assets/main.js', '/api', '/api/now', '', 'x', '//assets/../x'])
    if (!path.startsWith('//')) assert.equal(files.find(path), undefined, path);
});

void test('a change of any file changes the names of all', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dovegate-web-'));
  try {
    cpSync(web, folder, { recursive: true });
    const same = textOf(createPageFiles(folder).find('/'));
    assert.equal(same, html);
    writeFileSync(join(folder, 'route.js'), 'export {};\n');
    assert.notEqual(mainOf(textOf(createPageFiles(folder).find('/'))), mainOf(html));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
