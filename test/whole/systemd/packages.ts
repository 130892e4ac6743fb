// Packages of this tree for all tests of a process: to make one takes longer than to install it. Gone when the process ends.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../architecture/project.js';
import { makeFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';

const made = new Map<string, Promise<string>>();
let folder: string | undefined;

/** Makes the package of a version, not compressed; its path. Nobody changes the file. */
export function packageOf(
  kind: 'deb' | 'rpm',
  version: string,
  ...flags: readonly string[]
): Promise<string> {
  const key = [kind, version, ...flags].join(' ');
  const found = made.get(key) ?? pack(key.replaceAll(' ', '_'), kind, version, flags);
  made.set(key, found);
  return found;
}

async function pack(name: string, kind: string, version: string, flags: readonly string[]): Promise<string> {
  if (folder === undefined) {
    const whole = makeFolder();
    process.once('exit', () => rmSync(whole, { recursive: true, force: true }));
    folder = whole;
  }
  const place = ['scripts/package.mjs', '--output', join(folder, name), '--version', version];
  const words = [...place, '--compression', '0', ...flags, '--only', kind];
  const done = await runProgram(process.execPath, words, { cwd: root, timeoutMs: 900_000 });
  assert.equal(done.exit, 0, done.text);
  return done.stdout.toString().split(' ')[0] ?? '';
}
