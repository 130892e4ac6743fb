// Goal: the letters before a command are read as the real program reads them, wherever a dash stands.
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtProgram } from '../../kit/gate/daemon.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';

void test('a dash within a group of letters, and a value for --help, are invalid letters', async (t) => {
  const program = join(openFolder(t), 'doveadm');
  symlinkSync(builtProgram, program);
  for (const words of [
    ['-D-', 'kick', 'x'],
    ['--help=1', 'kick', 'x'],
  ]) {
    const { exit, text } = await runProgram(process.execPath, [program, ...words]);
    assert.deepEqual([exit, /invalid option -- '-'/.test(text)], [64, true], text);
  }
});

void test('DOVEGATE_DRY_RUN is 1, 0 or empty: with another value nothing is sent', async (t) => {
  const program = join(openFolder(t), 'doveadm');
  symlinkSync(builtProgram, program);
  const run = (value: string) =>
    runProgram(process.execPath, [program, 'purge', '-u', 'x', '-S', '/nowhere/s'], {
      env: { DOVEGATE_DRY_RUN: value },
    });
  for (const value of ['yes', 'true', '01', ' ']) {
    const { exit, text } = await run(value);
    assert.deepEqual([exit, /must be 1 or 0/.test(text)], [64, true], text);
  }
  for (const value of ['', '0', '1']) assert.equal((await run(value)).exit, 75, value);
});
