// Goal: the independent checker says what is wrong with what it was given, and never calls a proof false because a key cannot be read.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { readPage } from '../cli/docs-page.js';
import { openFolder } from '../kit/folder.js';
import { runProgram } from '../kit/program.js';

const missing = ['python3', 'openssl'].filter((name) => spawnSync(name, ['--help']).error !== undefined);

test('a key or a proof that cannot be read is not a false proof', {
  skip: missing.length > 0 && `there is no ${missing.join(', no ')}`,
}, async (t) => {
  const cwd = openFolder(t);
  const write = (name: string, text: string | Buffer): void => writeFileSync(`${cwd}/${name}`, text);
  write('check-proof.py', readPage('examples/check-proof.py'));
  write('proof.txt', 'x\n');
  write('text.pub', 'no key\n');
  write('key.pub', generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
  const cases: readonly (readonly [args: readonly string[], exit: number, says: RegExp])[] = [
    [[], 2, /^usage: python3 check-proof\.py PROOF KEY\n$/],
    [['proof.txt'], 2, /^usage: /],
    [['proof.txt', 'gone.pub'], 2, /^the key cannot be read: gone\.pub\n$/],
    [['proof.txt', 'text.pub'], 2, /^the key cannot be read: text\.pub\n$/],
    [['gone.txt', 'key.pub'], 2, /^the proof cannot be read: gone\.txt\n$/],
    [['.', 'key.pub'], 2, /^the proof cannot be read: \.\n$/],
    [['proof.txt', 'key.pub'], 1, /^NOT PROVED: line 1: /],
  ];
  for (const [args, exit, says] of cases) {
    const result = await runProgram('python3', ['check-proof.py', ...args], { cwd });
    assert.equal(result.exit, exit, result.text);
    assert.match(result.stderr, says);
  }
});
