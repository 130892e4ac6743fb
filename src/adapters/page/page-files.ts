// The files of the page, read once at start: scripts and styles below a name that changes with any of them, so that browsers keep them
// for ever, and one HTML document for every screen. What is not among them does not exist: no path of a request reaches the disk.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

export interface PageFile {
  readonly body: Buffer;
  /** The same, for a request whose `Accept-Encoding` has gzip. */
  readonly gzip: Buffer;
  /** Those of this file; the server adds those of every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface PageFiles {
  /** The file of a request's path, without its query; undefined: 404. Every path outside of /api and /assets is a screen. */
  find(path: string): PageFile | undefined;
}

const types: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Seen from the bundle in dist/, and from build/src/adapters/page/page-files.js in a test build. */
const [inBundle, inTests] = [new URL('web/', import.meta.url), new URL('../../web/', import.meta.url)];

/** `folder` is src/web as it was compiled. Throws if it is not there: the program was not built whole. */
export function createPageFiles(
  folder: string = fileURLToPath(existsSync(inBundle) ? inBundle : inTests),
): PageFiles {
  const read = [
    ...readdirSync(folder)
      .filter((name) => /^[a-z0-9-]+\.(js|css|svg)$/.test(name))
      .map((name) => ({ name, body: readFileSync(`${folder}/${name}`) })),
    { name: 'preact.mjs', body: ofPackage(import.meta.resolve('preact')) },
    { name: 'preact-hooks.mjs', body: ofPackage(import.meta.resolve('preact/hooks')) },
    { name: 'preact-jsx-runtime.mjs', body: ofPackage(import.meta.resolve('preact/jsx-runtime')) },
  ].toSorted((one, other) => (one.name < other.name ? -1 : 1));
  const template = readFileSync(`${folder}/index.html`, 'utf8');
  // Modules import each other by relative names, so all of them change their address together.
  const hash = createHash('sha256').update(template);
  for (const { name, body } of read) hash.update(`\0${name}\0${body.length}\0`).update(body);
  const assets = `/assets/${hash.digest('base64url').slice(0, 16)}`;
  const kept = new Map(
    read.map(({ name, body }) => [
      `${assets}/${name}`,
      pageFile(body, {
        'Content-Type': types[name.slice(name.lastIndexOf('.') + 1)] ?? '',
        'Cache-Control': 'public, max-age=31536000, immutable',
      }),
    ]),
  );
  const scripts = read.map(({ name }) => name).filter((name) => name.endsWith('js'));
  const screen = screenFile(template, assets, scripts);
  return {
    find(path) {
      if (/^\/(assets|api)(\/|$)/.test(path) || !path.startsWith('/')) return kept.get(path);
      return screen;
    },
  };
}

/** Without the reference to its map, which is not handed out. */
function ofPackage(address: string): Buffer {
  const text = readFileSync(fileURLToPath(address), 'utf8');
  return Buffer.from(text.replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, '\n'));
}

/** The document. Its scripts are named in its head, so that a browser asks for all of them at once. */
function screenFile(template: string, assets: string, scripts: readonly string[]): PageFile {
  const preloads = scripts.map((name) => `<link rel="modulepreload" href="${assets}/${name}" />`);
  const html = template
    .replaceAll('/assets/', `${assets}/`)
    .replace('<!-- scripts -->', preloads.join('\n    '));
  const importMap = /<script type="importmap">([^<]*)<\/script>/.exec(html)?.[1];
  if (importMap === undefined) throw new Error('index.html has no import map');
  const allowed = createHash('sha256').update(importMap).digest('base64');
  return pageFile(Buffer.from(html), {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Security-Policy': [
      "default-src 'none'",
      `script-src 'self' 'sha256-${allowed}'`,
      "style-src 'self'",
      "img-src 'self' data:",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ].join('; '),
  });
}

function pageFile(body: Buffer, headers: Readonly<Record<string, string>>): PageFile {
  return { body, gzip: gzipSync(body, { level: 9 }), headers };
}
