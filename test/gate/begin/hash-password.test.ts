// Goal: a hash for a configuration, from a pipe and from a terminal. What must not happen: the password on the screen, in an argument, or
// with the newline of `echo` in it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parsePasswordHash, verifyPassword } from '../../../src/rules/identity/credentials.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';

const programFile = fileURLToPath(new URL('build/src/main.js', projectRoot));

async function assertIsHashOf(text: string, password: string): Promise<void> {
  const hash = parsePasswordHash(text.trimEnd());
  if (typeof hash === 'string') assert.fail(`${hash}: ${text}`);
  assert.ok(await verifyPassword(hash, Buffer.from(password)), `not of ${password}`);
}

void test('from a pipe: all of it but one newline', async () => {
  for (const [stdin, password] of [
    ['secret', 'secret'],
    ['secret\r\n', 'secret'],
    [' secret\n\n', ' secret\n'],
  ] as const) {
    const { stdout, stderr, exit } = await runProgram(
      process.execPath,
      [programFile, 'hash-password', '--cost', '14'],
      { stdin },
    );
    assert.deepEqual([exit, stderr], [0, '']);
    assert.match(stdout.toString(), /^scrypt\$16384\$8\$1\$\S+\n$/);
    await assertIsHashOf(stdout.toString(), password);
  }
});

void test('what is no password, and costs that are none', async () => {
  for (const [args, stdin] of [
    [[], '\n'],
    [[], 'a\0b'],
    [['--cost', '13'], 'secret'],
    [['secret'], 'secret'],
  ] as const) {
    const { stdout, exit } = await runProgram(process.execPath, [programFile, 'hash-password', ...args], {
      stdin,
    });
    assert.deepEqual([exit, stdout.toString()], [64, ''], JSON.stringify(args));
  }
});

/** On a terminal of its own: types each answer when its question stands there. */
async function onTerminal(
  answers: readonly string[],
): Promise<{ readonly screen: string; readonly exit: number | null }> {
  const command = `'${process.execPath}' '${programFile}' hash-password --cost 14`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    stdio: 'pipe',
  });
  let screen = '';
  const left = [...answers];
  const questions = ['Password: ', 'Again: '];
  child.stdout.on('data', (chunk: Buffer) => {
    screen += chunk.toString();
    const question = questions[answers.length - left.length];
    const answer = question !== undefined && screen.endsWith(question) ? left.shift() : undefined;
    if (answer !== undefined) child.stdin.write(answer);
  });
  const exit = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { screen, exit };
}

void test('from a terminal: asked twice, never shown', async () => {
  const { screen, exit } = await onTerminal(['correct horse\r', 'correct horsf\x7fe\r']);
  assert.equal(exit, 0);
  assert.ok(!screen.includes('horse'), screen);
  await assertIsHashOf(/scrypt\S+/.exec(screen)?.[0] ?? '', 'correct horse');
  assert.equal((await onTerminal(['one\r', 'two\r'])).exit, 1);
});
