// Makes what browsers get of src/page/web: its scripts and Preact, and beside them the HTML, the style sheet and the pictures:
//   node scripts/copy-web.mjs FOLDER...
// page.js has the frame and the first screen; each other screen is a file that it loads. What several of them use is in files too, and
// the document names those that page.js needs: they come at the same time as page.js, not after it.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const from = join(root, 'src/page/web');

/** Returns what esbuild says of it; `metafile` names the packages whose code is in it. */
export async function makeWeb(folder) {
  const to = resolve(root, folder);
  // Names of parts change with what is in them.
  rmSync(join(to, 'parts'), { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from))
    if (name.endsWith('.svg')) copyFileSync(join(from, name), join(to, name));
  const built = await build({
    absWorkingDir: root,
    entryPoints: { page: 'src/page/web/main.tsx', style: 'src/page/web/style.css' },
    outdir: to,
    bundle: true,
    splitting: true,
    chunkNames: 'parts/[name]-[hash]',
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
  const outputs = Object.entries(built.metafile.outputs);
  const [, page] = outputs.find(([path]) => basename(path) === 'page.js');
  const parts = page.imports.filter(({ kind }) => kind === 'import-statement');
  const preloads = parts.map(
    ({ path }) => `<link rel="modulepreload" href="/assets/parts/${basename(path)}" />\n    `,
  );
  const html = readFileSync(join(from, 'index.html'), 'utf8');
  writeFileSync(join(to, 'index.html'), html.replace('<script', `${preloads.join('')}<script`));
  return built;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const folder of process.argv.slice(2)) await makeWeb(folder);
