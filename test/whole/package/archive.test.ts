// Goal: the release archive, unpacked on a host whose PATH has no Node: install.sh puts everything in place, the program runs on the Node
// that came with it, and the installed copy takes it away again. Two makings give the same bytes.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManifest, root } from '../../architecture/project.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { checked, checkedWith, pack, sizeOf } from './packing.js';

const { version } = readManifest();

const packed = (folder: string): Promise<string> => pack(folder, 'archive', '--compression', '1');

void test('the release archive', { timeout: 600_000 }, async (t) => {
  const folder = openFolder(t);
  const file = await packed(folder);
  const name = `dovegate-${version}-linux-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  assert.ok(file.endsWith(`/${name}.tar.gz`));
  t.diagnostic(sizeOf(file));
  await checked('tar', '-xzf', file, '-C', folder);
  const unpacked = join(folder, name);
  const inside = join(folder, 'root');
  mkdirSync(inside);
  /** The shell finds the tools of a system, and no Node. */
  const tools = join(folder, 'tools');
  mkdirSync(tools);
  for (const tool of ['dirname', 'grep', 'find', 'sed', 'sort', 'systemctl'])
    if (existsSync(`/usr/bin/${tool}`)) symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
  const withoutNode = checkedWith({ env: { PATH: tools } });

  await t.test('install.sh needs no Node of the host', async () => {
    await withoutNode('/bin/sh', join(unpacked, 'install.sh'), '--destdir', inside);
    const program = '/usr/local/lib/dovegate';
    const unit = readFileSync(join(inside, 'usr/local/lib/systemd/system/dovegate.service'), 'utf8');
    assert.match(
      unit,
      new RegExp(
        `^ExecStart=${program}/runtime/node --min-semi-space-size=8 ${program}/dist/main\\.js serve `,
        'm',
      ),
    );
    const main = join(inside, program, 'dist/main.js');
    assert.ok(readFileSync(main, 'utf8').startsWith(`#!${program}/runtime/node\n`));
    const told = await withoutNode(join(inside, program, 'runtime/node'), main, '--version');
    assert.equal(told, `${version}\n`);
  });

  await t.test('once more is an upgrade; uninstall takes all of it', async () => {
    await withoutNode('/bin/sh', join(unpacked, 'install.sh'), 'install', '--destdir', inside);
    await withoutNode('/bin/sh', join(unpacked, 'install.sh'), 'uninstall', '--destdir', inside);
    const left = readdirSync(inside, { recursive: true, encoding: 'utf8' }).filter((path) =>
      statSync(join(inside, path)).isFile(),
    );
    assert.deepEqual(left, ['etc/dovegate/dovegate.yaml']);
  });

  await t.test("there is none that needs the distribution's Node", async () => {
    const words = ['scripts/package.mjs', '--output', folder, '--system-node', '--only', 'archive'];
    const done = await runProgram(process.execPath, words, { cwd: root });
    assert.equal(done.exit, 64);
    assert.match(done.text, /leave out --system-node/);
  });

  await t.test('the same sources make the same bytes', async () => {
    assert.ok(readFileSync(await packed(openFolder(t))).equals(readFileSync(file)));
  });
});
