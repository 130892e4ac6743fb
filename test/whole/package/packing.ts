// Makes packages and puts them into folders, for the tests of packages. A program that fails fails the test.
import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../architecture/project.js';
import { type ProgramOptions, runProgram } from '../../kit/plain/program.js';

/** Runs a program to its end, in the checkout if nothing else is said; what it printed. */
export const checkedWith =
  (options: ProgramOptions) =>
  async (file: string, ...args: readonly string[]): Promise<string> => {
    const own = { cwd: root, timeoutMs: 300_000, env: { LC_ALL: 'C.UTF-8' }, ...options };
    const done = await runProgram(file, args, own);
    assert.equal(done.exit, 0, `${file} ${args.join(' ')}\n${done.text}`);
    return done.stdout.toString();
  };
export const checked = checkedWith({});

/** Makes one package in a folder; its path. */
export async function pack(folder: string, name: string, ...flags: readonly string[]): Promise<string> {
  const words = ['scripts/package.mjs', '--output', folder, ...flags, '--only', name];
  return (await checked(process.execPath, ...words)).split(' ')[0] ?? '';
}

/** Makes packages of npm and installs them into a project of this folder, without a network. */
export async function install(folder: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) await pack(folder, name);
  writeFileSync(join(folder, 'package.json'), '{ "name": "host", "version": "1.0.0", "private": true }');
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  assert.equal(tarballs.length, names.length);
  const words = ['install', '--offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await checkedWith({ cwd: folder })('npm', ...words, ...tarballs.map((name) => `./${name}`));
}

/** What a test tells of a package. */
export function sizeOf(path: string): string {
  return `${path.split('/').at(-1)}: ${Math.round(statSync(path).size / 1024)} KiB`;
}

/** Checks files of a folder against strict options of the compiler, and compiles them. */
export async function compile(folder: string, module: string, files: readonly string[]): Promise<void> {
  const compilerOptions = {
    target: 'es2022',
    module,
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    rootDir: '.',
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  await checkedWith({ cwd: folder })(process.execPath, compiler, '-p', 'tsconfig.json');
}
