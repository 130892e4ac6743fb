// Goal: the letters before a command are read as the real program reads them, wherever a dash stands.
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtProgram } from '../../kit/daemon.js';
import { openFolder } from '../../kit/folder.js';
import { runProgram } from '../../kit/program.js';

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
