// Goal: the independent checker says what is wrong with what it was given, and never calls a proof false because a key cannot be read.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeBody } from '../../src/domain/audit/encode.js';
import { Ledger, makeSignKey, sealLine } from '../../src/domain/audit/ledger.js';
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

/** A proof of one run: an admission, and the checkpoint behind it. */
function prove(secretPem: string, journal: string, after = 0): readonly string[] {
  const ledger = new Ledger('p', secretPem, journal);
  const admission = encodeBody({ time: 0, event: 'admission', session: 'S', id: 'A' });
  for (let seq = 1; seq <= after; seq += 1) ledger.seal(admission);
  const record = ledger.seal(admission);
  return [`* ${record}`, `= ${ledger.sealSigned(ledger.checkpoint(0))}`];
}

test('a signed line counts only as it was written, and a proof is of one journal', {
  skip: missing.length > 0 && `there is no ${missing.join(', no ')}`,
}, async (t) => {
  const cwd = openFolder(t);
  const { secretPem, publicPem } = makeSignKey();
  const write = (name: string, text: string | Buffer): void => writeFileSync(`${cwd}/${name}`, text);
  write('check-proof.py', readPage('examples/check-proof.py'));
  write('key.pub', publicPem);
  const [record = '', signed = ''] = prove(secretPem, 'ab'.repeat(16));
  const [, body = '', prev = ''] = /^= \{"seq":2,(.*),"prev":"(\w{64})"/.exec(signed) ?? [];
  // With the right hash.
  const changed = (how: (text: string) => string): string[] => [
    record,
    `= ${sealLine(2, how(body), prev).line}`,
  ];
  const [signature = ''] = /,"signature":"[^"]*"/.exec(body) ?? [];
  const cases: readonly (readonly [what: string, lines: readonly string[], says: RegExp])[] = [
    ['as it was written', [record, signed], /^proved: 1 records, 1 runs\n$/],
    ['moved', changed((text) => text.replace(signature, '').replace(/(?=,"key":)/, signature)), /not right/],
    ['without its padding', changed((text) => text.replace(/==(?="$)/, '')), /not right/],
    [
      'with other bits behind its bytes',
      changed((text) => text.replace(/.(?===")/, (last) => String.fromCharCode(last.charCodeAt(0) + 1))),
      /not right/,
    ],
    ['two journals', [record, signed, ...prove(secretPem, 'cd'.repeat(16), 2)], /several journals/],
    ['no record', [], /there is no record/],
  ];
  for (const [what, lines, says] of cases) {
    const count = (mark: string): number => lines.filter((line) => line.startsWith(mark)).length;
    write(
      'proof.txt',
      `${lines.join('')}% ${count('*')} records, ${lines.length} lines, ${count('=')} runs\n`,
    );
    const result = await runProgram('python3', ['check-proof.py', 'proof.txt', 'key.pub'], { cwd });
    assert.equal(result.exit, what === 'as it was written' ? 0 : 1, `${what}: ${result.text}`);
    assert.match(result.text, says, what);
  }
});
