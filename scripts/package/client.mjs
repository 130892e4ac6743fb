// Makes the package @dovegate/client: the client library of this tree by itself, for `require` and for `import`, without dependencies.
//
// It is compiled once, to CommonJS; the ES module exports what that has. So there is one class CommandFailed in a process, however it
// was loaded, and `instanceof` holds.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { root, run } from '../setup.mjs';

const entry = 'client/connect';
const page = 'docs/client-node.md';

function write(folder, name, content) {
  const text = typeof content === 'string' ? content : `${JSON.stringify(content, undefined, 2)}\n`;
  writeFileSync(join(folder, name), text);
}

function compile(folder) {
  const compilerOptions = {
    rootDir: join(root, 'src'),
    outDir: join(folder, 'lib'),
    module: 'commonjs',
    moduleResolution: 'bundler',
    verbatimModuleSyntax: false,
    declaration: true,
    noEmit: false,
    incremental: false,
    typeRoots: [join(root, 'node_modules/@types')],
  };
  const project = join(folder, 'tsconfig.json');
  const files = [join(root, 'src', `${entry}.ts`)];
  write(folder, 'tsconfig.json', {
    extends: join(root, 'tsconfig.json'),
    compilerOptions,
    include: [],
    files,
  });
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
  rmSync(project);
}

/** Removes the types that no type of the library leads to. */
function removeInnerTypes(lib) {
  const kept = new Set();
  const keep = (path) => {
    if (kept.has(path)) return;
    kept.add(path);
    for (const [, name] of readFileSync(path, 'utf8').matchAll(/\b(?:from |import\()['"](\.[^'"]+)\.js['"]/g))
      keep(join(dirname(path), `${name}.d.ts`));
  };
  keep(join(lib, `${entry}.d.ts`));
  for (const name of readdirSync(lib, { recursive: true })) {
    const path = join(lib, name);
    if (name.endsWith('.d.ts') && !kept.has(path)) rmSync(path);
  }
}

/** The page of the library, as it stands in the package: other pages are not there. */
function readme(version) {
  return readFileSync(join(root, page), 'utf8')
    .replaceAll('client-VERSION', `client-${version}`)
    .replace(/^It comes in two ways:.*?\n\n/ms, 'TypeScript needs `@types/node`.\n\n')
    .replaceAll(/\[([^\]]+)\]\((?![a-z]+:)[^)]+\)/g, '$1')
    .replaceAll(/(['`])dovegate\/client\1/g, '$1@dovegate/client$1');
}

/** The unpacked package in `folder`; of this tree, which is built already. */
function makeClient(folder, version) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  compile(folder);
  removeInnerTypes(join(folder, 'lib'));
  const values = createRequire(import.meta.url)(join(folder, 'lib', `${entry}.js`));
  const names = Object.keys(values).toSorted();
  write(folder, 'index.mjs', `export { ${names.join(', ')} } from './lib/${entry}.js';\n`);
  write(folder, 'index.d.mts', `export * from './lib/${entry}.js';\n`);
  const { license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  write(folder, 'package.json', {
    name: '@dovegate/client',
    version,
    description:
      "Client of Dovecot's doveadm protocol and its HTTP API, for dovegate and for Dovecot itself.",
    license,
    type: 'commonjs',
    engines,
    main: `./lib/${entry}.js`,
    types: `./lib/${entry}.d.ts`,
    exports: {
      '.': {
        import: { types: './index.d.mts', default: './index.mjs' },
        require: { types: `./lib/${entry}.d.ts`, default: `./lib/${entry}.js` },
      },
      './package.json': './package.json',
    },
    files: ['lib', 'index.mjs', 'index.d.mts'],
    keywords: ['dovecot', 'doveadm', 'client', 'mail'],
  });
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  write(folder, 'README.md', readme(version));
}

/** Makes the package in `folder`, and packs it into `output`; the path of the tarball. */
export function packClient(output, folder, { version }) {
  makeClient(folder, version);
  return pack(output, folder, `dovegate-client-${version}.tgz`);
}

/** Packs the package in `folder` into `output`; the path of the tarball. */
export function pack(output, folder, name) {
  const tarball = join(output, name);
  rmSync(tarball, { force: true });
  run('npm', ['pack', '--pack-destination', output, '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (!existsSync(tarball)) throw new Error(`npm pack made no ${relative(output, tarball)}`);
  return tarball;
}
