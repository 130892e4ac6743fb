// Proofs of a real journal as files: proved, not proved, and what is no proof.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { auditCheckProof, type CheckProofFlags } from '../../../src/evidence/cli/audit-check-proof.js';
import { auditProof } from '../../../src/evidence/cli/audit-proof.js';
import { createExtractDigest, formatExtract } from '../../../src/evidence/views/extract.js';
import { formatExtractHead } from '../../../src/gate/door/extract-head.js';
import { makeSignKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { placesAt, printed, signKey, writeJournal } from './shown.js';
import { keyFile, run } from './verifying.js';

async function proofFile(t: TestContext, whole = false): Promise<{ file: string; directory: string }> {
  const directory = await writeJournal(t, 40);
  const flags = { key: [keyFile(t)], whole };
  const proof = await printed((screen) => auditProof(screen, placesAt(directory), { text: 'E7' }, flags));
  const file = join(temporaryDirectory(t), 'proof.txt');
  writeFileSync(file, `${proof.lines.join('\n')}\n`);
  return { file, directory };
}

const check = (file: string, flags: CheckProofFlags) =>
  printed((screen) => auditCheckProof(screen, file, flags));

void test('proved with the key that was given', async (t) => {
  const { file } = await proofFile(t);
  const { code, lines } = await check(file, { key: [keyFile(t)] });
  assert.equal(code, 0, lines.join('\n'));
  assert.match(lines[0] ?? '', /proof\.txt: 2 records in \d+ lines, seq \d+ to \d+, journal [0-9a-f]{32}$/);
  assert.ok(lines[1]?.startsWith(`  signed by ${signKey.key}, SHA-256 of its DER `), lines[1]);
  assert.match(lines[2] ?? '', /nothing is missing from seq \d+ to \d+$/);
  assert.equal(lines.at(-1), 'proved');
  const json = JSON.parse((await check(file, { key: [keyFile(t)], json: true })).lines.join(''));
  assert.deepEqual([json.proved, json.records, json.runs, json.keys], [true, 2, 1, [signKey.key]]);
});

void test('not proved: no key, another key, a changed byte, an end that is missing', async (t) => {
  const { file } = await proofFile(t, true);
  const text = readFileSync(file, 'utf8');
  const [key, other] = [keyFile(t), keyFile(t, makeSignKey().publicPem)];
  for (const [content, keys, said] of [
    [text, [], /(?:^|\n)NOT proved: the key is the one that the file itself names; give --key.*$/],
    [text, [other], /proof\.txt:\d+: this record is signed by another key\nNOT proved/],
    [text.replace('"time":"2', '"time":"3'), [key], /^.*was changed: its text does not fit its hash/],
    [text.slice(0, -3), [key], /has no end/],
    [
      `* {"seq":1,${'x'.repeat(5 << 20)}\n`,
      [key],
      /^.*proof\.txt:1: the line has no end, or is longer than any record/,
    ],
  ] as const) {
    writeFileSync(file, content);
    const { code, lines } = await check(file, { key: [...keys] });
    assert.equal(code, 1, lines[0]);
    assert.match(lines.join('\n'), said);
  }
  writeFileSync(file, text.slice(0, -3));
  const json = await check(file, { key: [key], json: true });
  assert.match(JSON.parse(json.lines.join('')).fault.text, /has no end/);
});

void test('an extract: who was shown what, and what it does not prove', async (t) => {
  const file = join(temporaryDirectory(t), 'extract.txt');
  const range = { fromSeq: 3, toSeq: 9, isDamaged: true, sha256: createExtractDigest().finish() };
  const filter = ['user=alice@example.org'];
  const asked = { timeMs: 0, by: 'frank', users: ['*@example.org'], filter, rows: 0, key: signKey.key };
  const head = formatExtractHead({ ...range, ...asked });
  const signature = parseSignKey(signKey.secretPem).sign(head);
  writeFileSync(file, `${(formatExtract({ head, signature }, []) ?? []).join('\n')}\n`);
  const { code, lines } = await check(file, { key: [keyFile(t)] });
  assert.equal(code, 0, lines.join('\n'));
  assert.match(lines[0] ?? '', /extract\.txt: an extract of 0 rows in 1 part, seq 3 to 9$/);
  assert.deepEqual(lines.slice(2), [
    '  dovegate showed them to frank, who sees the records of *@example.org only, for: user=alice@example.org',
    '  some lines of the journal could not be read',
    '  that no other record fits is said by dovegate and its signature; the chain does not show it',
    'proved',
  ]);
  const json = JSON.parse((await check(file, { key: [], json: true })).lines.join(''));
  assert.deepEqual([json.proved, json.parts, json.by, json.gaps, json.damaged], [false, 1, 'frank', 0, true]);
});

void test('verify names the command of a proof, and check-proof that of a journal', async (t) => {
  const { file, directory } = await proofFile(t);
  const key = keyFile(t);
  await assert.rejects(run([file], { key: [key] }), {
    exitCode: 64,
    message: `${file} is a proof and no journal: dovegate audit check-proof ${file} --key ${key}`,
  });
  await assert.rejects(run([file], { received: true }), /dovegate audit check-proof .* --key FILE$/);
  const segment = join(directory, '00000001.jsonl');
  await assert.rejects(check(segment, { key: [key] }), {
    exitCode: 64,
    message: `${segment} is a file of a journal: dovegate audit verify ${segment}`,
  });
  writeFileSync(file, '# dovegate audit extract 1: rows\n');
  await assert.rejects(run([file], { key: [key] }), /is an extract and no journal/);
});
