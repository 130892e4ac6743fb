// Goal: somebody else's project can use the published package. The tarball is made and installed into an empty folder; a program
// in strict TypeScript is checked against its types, and runs. What must not happen: the library loading policies, foreign
// functions, or any other package.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import * as z from 'zod';
import { readManifest, root } from '../../architecture/project.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { makeFolder, openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { compile } from './packing.js';

const consumer = `
import { CommandFailed, connect, type Command, type LogLine, type Row, SessionFault, type Session } from 'dovegate/client';

const lines: LogLine[] = [];
const quota: Command = { user: 'alice@example.org', name: 'quota get', columns: 5 };
async function ask(session: Session): Promise<Row[]> {
  return session.run(quota);
}
await using session = await connect({ socket: process.argv[2] ?? '', onLog: (line) => lines.push(line) });
const rows = await ask(session);
for await (const [root = '', type = ''] of session.stream(quota)) console.log(root, type);
try {
  await session.run({ name: 'save', user: 'alice@example.org', input: ['a'], signal: AbortSignal.abort(new Error('no')) });
} catch (fault) {
  if (fault instanceof CommandFailed) console.log(fault.code.toLowerCase());
  else if (fault instanceof SessionFault) console.log(fault.code === 'closed', fault.mayHaveRun);
  else console.log(String(fault));
}
console.log(rows.length, session.minor);
// @ts-expect-error a place is one thing or the other
void (() => connect({ host: 'mail.example.com' }));
// @ts-expect-error it is no word of the protocol
void (() => connect({ socket: '/s', minor: 5 }));
`;

function run(cwd: string, program: string, ...args: string[]): string {
  const done = spawnSync(program, args, { cwd, encoding: 'utf8' });
  assert.equal(done.status, 0, `${program} ${args.join(' ')}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
let packed: string | undefined;
after(() => {
  if (packed !== undefined) rmSync(dirname(packed), { recursive: true, force: true });
});

/** The tarball, made once for all tests. */
function pack(): string {
  if (packed !== undefined) return packed;
  assert.ok(existsSync(join(root, 'dist/client/connect.js')), 'npm run build comes first');
  const folder = makeFolder();
  run(root, process.execPath, 'scripts/packed.mjs', join(folder, 'package'));
  run(join(folder, 'package'), 'npm', 'pack', ...quiet, '--pack-destination', folder);
  packed = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');
  return packed;
}

/** Runs `install:system` of an unpacked package into an empty folder, and the installed program. */
function installSystem(unpacked: string, destination: string): void {
  const node = ['--node', '/usr/bin/node'];
  run(unpacked, 'npm', 'run', 'install:system', '--', '--prefix', '/usr', '--destdir', destination, ...node);
  const program = join(destination, 'usr/bin/dovegate');
  const { version } = readManifest();
  assert.equal(run(destination, process.execPath, program, '--version'), `${version}\n`);
  // Reading YAML and checking it needs the packages. The groups that the file names are not there: exit code 78.
  const file = join(destination, 'usr/lib/dovegate/config/dovegate.example.yaml');
  const checked = spawnSync(process.execPath, [program, 'check', '--config', file], { encoding: 'utf8' });
  assert.match(checked.stdout + checked.stderr, /dovegate\.example\.yaml: \d+ errors/);
  assert.ok(existsSync(join(destination, 'usr/lib/systemd/system/dovegate.service')));
  const page = readFileSync(join(destination, 'usr/lib/dovegate/README.md'), 'utf8');
  for (const [, link = ''] of page.matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g))
    assert.ok(existsSync(join(destination, 'usr/lib/dovegate', link)), link);
  const installed = join(destination, 'usr/lib/dovegate/scripts/install.mjs');
  run(destination, process.execPath, installed, 'uninstall', '--prefix', '/usr', '--destdir', destination);
  assert.deepEqual(
    readdirSync(destination, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => name),
    ['dovegate.yaml'],
  );
}

/** Puts the locked packages of the program where npm would put them; nothing is downloaded. */
function putPackages(folder: string): void {
  const { packages } = z
    .object({ packages: z.record(z.string(), z.unknown()) })
    .parse(JSON.parse(readFileSync(join(dirname(pack()), 'package/package-lock.json'), 'utf8')));
  for (const path of Object.keys(packages)) {
    if (path === '' || !existsSync(join(root, path))) continue;
    cpSync(join(root, path), join(folder, path), { recursive: true });
  }
}

void test('an unpacked package installs the service: by itself, and as a dependency of a project', (t) => {
  const folder = openFolder(t);
  run(folder, 'tar', '-xzf', pack());
  const dependency = join(folder, 'project/node_modules/dovegate');
  cpSync(join(folder, 'package'), dependency, { recursive: true });
  putPackages(join(folder, 'package'));
  installSystem(join(folder, 'package'), join(folder, 'destination'));
  putPackages(join(folder, 'project'));
  installSystem(dependency, join(folder, 'second'));
});

void test('a project that installs the tarball has the types, and the program runs', async (t) => {
  const folder = openFolder(t);
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "type": "module", "private": true }');
  run(folder, 'npm', 'install', ...quiet, pack());

  writeFileSync(join(folder, 'consumer.ts'), consumer);
  await compile(folder, 'nodenext', ['consumer.ts']);

  const socket = join(folder, 's');
  const server = await openScriptedDovecot({ unix: socket, minor: 3 });
  try {
    const { text, exit } = await runProgram(process.execPath, ['consumer.js', socket], { cwd: folder });
    assert.equal(exit, 0, text);
    assert.equal(text, 'User quota STORAGE\nUser quota MESSAGE\nError: no\n2 3\n');
  } finally {
    await server.close();
  }
});

void test('without optional packages nothing is compiled: one package beside the program, which runs', (t) => {
  const folder = openFolder(t);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  run(folder, 'npm', 'install', '--omit=optional', ...quiet, pack());
  const names = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'));
  assert.deepEqual(names, ['dovegate', 'koffi']);
  const told = run(folder, process.execPath, 'node_modules/dovegate/dist/main.js', '--version');
  assert.equal(told, `${readManifest().version}\n`);
});
