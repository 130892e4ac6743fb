// `npm run build`: makes the program in dist/.
//
// It is a bundle: to load 500 modules costs more than to run them. All files that Node runs are in one folder, because a thread is found
// by `new URL('./journal-thread.js', import.meta.url)`. What scripts call often, the list of subcommands, and each thread are one file
// each, which Node loads in less time than many; two threads share one. The other subcommands share files, so that the package stays small.
// Packages with compiled parts and optional packages stay in node_modules.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { build } from 'esbuild';
import { makeWeb } from './copy-web.mjs';
import { licences, packagesOf } from './licences.mjs';
import { makeSbom } from './sbom.mjs';
import { root, run } from './setup.mjs';

/** Below src/: what is started or imported by its name. */
const entries = [
  'main',
  'program',
  'client/doveadm/send-command',
  // Few calls of `send` and of the drop-in read a file of settings, and the parser is the largest part of what they would load.
  'rules/config/parse-client',
];
/** Below src/: one file too, without what it would import when it is called, since it calls none of that. */
const list = ['help'];
const uncalled = {
  name: 'uncalled',
  setup(bundler) {
    bundler.onResolve({ filter: /^\./ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
};
/** Below src/: what is one file each. */
const whole = ['client/doveadm/doveadm', 'gate/cli/serve-command', 'journal/files/journal-thread'];
/** Below src/: threads that read configurations; what both load is one more file. */
const readers = ['page/look-thread', 'rules/setup/configuration-thread'];
/** The same of the daemon, but for what it loads later: a start reads no part that others of the program need. */
const daemon = ['gate/daemon/serve'];
/** What imports any of these when it is called loads that file, and has no copy of it. */
const apart = {
  name: 'apart',
  setup(bundler) {
    bundler.onResolve({ filter: /^\./ }, ({ path, kind, resolveDir }) => {
      const name = relative(join(root, 'src'), join(resolveDir, path)).replace(/\.js$/, '');
      return kind === 'dynamic-import' && [...entries, ...whole, ...daemon, ...list].includes(name)
        ? { path: `./${basename(path)}`, external: true }
        : undefined;
    });
  },
};
const outside = ['koffi', 'aws4fetch', 'nodemailer', 'openid-client'];

const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
const common = {
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  sourcemap: 'linked',
  sourcesContent: false,
  metafile: true,
  logLevel: 'warning',
};
const named = (paths) => paths.map((path) => [path.split('/').at(-1), join('src', `${path}.ts`)]);
const program = {
  ...common,
  outdir: dist,
  external: outside,
  plugins: [apart],
  // For packages in the older format, which ask for modules of Node by it.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
  },
  // Smaller in the package and in memory. Names stay, for what is printed of an error.
  minifyWhitespace: true,
  minifySyntax: true,
};
const built = await Promise.all([
  build({
    ...program,
    entryPoints: Object.fromEntries(named(entries)),
  }),
  build({ ...program, entryPoints: Object.fromEntries(named(daemon)), chunkNames: 'serve-[name]-[hash]' }),
  build({
    ...program,
    splitting: false,
    entryPoints: Object.fromEntries(named(whole)),
  }),
  build({ ...program, entryPoints: Object.fromEntries(named(readers)), chunkNames: 'thread-[name]-[hash]' }),
  build({
    ...program,
    splitting: false,
    plugins: [uncalled],
    entryPoints: Object.fromEntries(named(list)),
  }),
]);
// By itself: a program that uses the library loads nothing of the daemon.
const client = { 'client/connect': join('src', 'client/connect.ts') };
await build({ ...common, entryPoints: client, outdir: dist, chunkNames: 'client/[name]-[hash]' });
const web = await makeWeb('dist/web');
const bundled = packagesOf([...built, web]);
writeFileSync(join(dist, 'LICENSES.txt'), licences(bundled));
const lockfile = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
writeFileSync(
  join(dist, 'sbom.cdx.json'),
  makeSbom(
    lockfile,
    bundled.map(([, folder]) => folder),
  ),
);
const tsc = join(root, 'node_modules/typescript/bin/tsc');
// The types of the library, and those that they name.
run(process.execPath, [tsc, '-p', 'tsconfig.build.json']);
