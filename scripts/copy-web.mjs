// Makes what browsers get of src/web: its scripts and Preact as one file, page.js, and beside it the HTML, the style sheet and the
// pictures:
//   node scripts/copy-web.mjs FOLDER...
// A script that is bundled is there after one request, and nothing of it has to be named in the document.
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const from = join(root, 'src/web');

/** Returns what esbuild says of it; `metafile` names the packages whose code is in it. */
export async function makeWeb(folder) {
  const to = resolve(root, folder);
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from))
    if (/\.(html|svg)$/.test(name)) copyFileSync(join(from, name), join(to, name));
  return build({
    absWorkingDir: root,
    entryPoints: { page: 'src/web/main.tsx', style: 'src/web/style.css' },
    outdir: to,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    // Their licences are in LICENSES.txt.
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const folder of process.argv.slice(2)) await makeWeb(folder);
