// `npm run build:test`: makes build/, the modules with their tests, one file each. Types are checked once, by `npm run lint`.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { makeWeb } from './copy-web.mjs';
import { root } from './setup.mjs';

rmSync(join(root, 'build'), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ['src', 'test', 'scripts'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.tsx?$/.test(name))
      .map((name) => join(folder, name)),
  ),
  outdir: 'build',
  outbase: '.',
  format: 'esm',
  target: 'node20.19',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
});
await makeWeb('build/src/page/web');
