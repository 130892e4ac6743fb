import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import {
  genesisHash,
  readClaim,
  readLink,
  sealBytesMax,
  sealInto,
  sealLine,
} from '../../../src/domain/audit/ledger.js';

const body = encodeBody({ time: 0, event: 'admission', text: 'größe ","prev":"' });
const sealed = sealLine(17, body, genesisHash);
const line = Buffer.from(sealed.line.slice(0, -1));

void test('hash is over the exact text of the line without the hash and without LF', () => {
  const without = sealed.line.replace(/,"hash":"[0-9a-f]{64}"/, '').slice(0, -1);
  assert.equal(sealed.hash, createHash('sha256').update(without).digest('hex'));
  assert.equal(JSON.parse(sealed.line).hash, sealed.hash);
  assert.ok(sealed.line.startsWith(`{"seq":17,${body},"prev":"${genesisHash}","hash":"`));
});

void test('a line tells its place and that it is intact, and is left as it was', () => {
  const copy = Buffer.from(line);
  assert.deepEqual(readLink(copy), { seq: 17, prev: genesisHash, hash: sealed.hash, isIntact: true });
  assert.deepEqual(copy, line);
  assert.deepEqual(readClaim(copy), { seq: 17, prev: genesisHash, hash: sealed.hash });
});

void test('no byte can be changed unseen', () => {
  for (let at = 0; at < line.length; at += 1) {
    for (const flip of [1, 0x20, 0x80]) {
      const changed = Buffer.from(line);
      changed[at] = (changed[at] ?? 0) ^ flip;
      const link = readLink(changed);
      assert.notEqual(link?.isIntact, true, `byte ${at}`);
    }
  }
});

void test('no start of a line is a line', () => {
  for (let end = 0; end < line.length; end += 1) {
    assert.notEqual(readLink(Buffer.from(line.subarray(0, end)))?.isIntact, true, `${end} bytes`);
  }
});

void test('other text has no place', () => {
  for (const text of [
    '',
    '{}',
    '{"seq":}',
    'x'.repeat(400),
    `{"seq":x${' '.repeat(400)}`,
    '\0'.repeat(500),
  ]) {
    assert.equal(readLink(Buffer.from(text)), undefined, text);
  }
});

void test('a seq of more digits than a number holds exactly is none', () => {
  const long = Buffer.from(sealed.line.slice(0, -1).replace('"seq":17', '"seq":17000000000000000000'));
  assert.equal(readClaim(long), undefined);
});

void test('a line made of bytes is the line made of text', () => {
  let prev = genesisHash;
  const into = Buffer.alloc(3 * 7168);
  let at = 0;
  let lines = '';
  for (const [seq, text] of [
    [1, body],
    [99, '"time":"2026-11-20T08:22:34.123Z","event":"log","text":"Grüße \u{1f600}"'],
    [Number.MAX_SAFE_INTEGER, body],
  ] as const) {
    const bytes = Buffer.from(text);
    const made = sealInto(into, at, seq, bytes, prev);
    const expected = sealLine(seq, text, prev);
    assert.equal(made.hash, expected.hash);
    assert.ok(made.end - at <= bytes.length + sealBytesMax);
    lines += expected.line;
    prev = expected.hash;
    at = made.end;
  }
  assert.equal(into.toString('utf8', 0, at), lines);
});
