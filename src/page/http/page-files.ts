// The files of the page, read once at start: scripts and style sheet below a name that changes with any of them, so that browsers keep them
// for ever, and one HTML document for every screen. Any other path does not exist: no path of a request reaches the disk.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { programFolder } from '../../host/machine/process.js';

export interface PageFile {
  readonly body: Buffer;
  /** The same, for a request whose `Accept-Encoding` has gzip. */
  readonly gzip: Buffer;
  /** Headers of this file; the server adds those of every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface PageFiles {
  /** The file of a request's path, without its query; undefined: 404. Every path outside of /api and /assets is a screen. */
  find(path: string): PageFile | undefined;
}

const types: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

const [inBundle, inTests] = [new URL('web/', programFolder), new URL('page/web/', programFolder)];

/** `folder` is src/page/web as scripts/copy-web.mjs makes it. Throws if it is not there: the program was not built whole. */
export function createPageFiles(
  folder: string = fileURLToPath(existsSync(inBundle) ? inBundle : inTests),
): PageFiles {
  const parts = readdirSync(`${folder}/parts`).toSorted();
  const read = ['icon.svg', 'page.js', 'style.css', ...parts.map((name) => `parts/${name}`)].map((name) => ({
    name,
    body: readFileSync(`${folder}/${name}`),
  }));
  const template = readFileSync(`${folder}/index.html`, 'utf8');
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
  const screen = screenFile(template.replaceAll('/assets/', `${assets}/`));
  return {
    find(path) {
      if (/^\/(assets|api|dovegate)(\/|$)/.test(path) || !path.startsWith('/')) return kept.get(path);
      return screen;
    },
  };
}

function screenFile(html: string): PageFile {
  return pageFile(Buffer.from(html), {
    'Content-Type': 'text/html; charset=utf-8',
    'Cache-Control': 'no-store',
    'Content-Security-Policy': [
      "default-src 'none'",
      "script-src 'self'",
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
