import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { encodeBody } from '../../../src/journal/records/encode.js';
import {
  genesisHash,
  isSignedBy,
  Ledger,
  readLink,
  sealBytesMax,
  sealInto,
  sealLine,
  unsignedLine,
} from '../../../src/journal/records/ledger.js';
import { makeSignKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';

const journal = 'ab'.repeat(16);

const body = (event: 'admission' | 'completion', id: string): string =>
  encodeBody({ time: 0, event, session: 'S', id });

void test('bytes are booked as text is', () => {
  const [text, bytes] = [new Ledger('p', undefined, journal), new Ledger('p', undefined, journal)];
  const into = Buffer.alloc(4096);
  let at = 0;
  let lines = '';
  const clock = encodeBody({ time: 1000, event: 'clock', step_ms: 5000 });
  for (const each of [body('admission', 'A'), clock, body('admission', 'zoë'), body('completion', 'A')]) {
    lines += text.seal(each);
    at = bytes.sealInto(into, at, Buffer.from(each));
  }
  assert.equal(into.toString('utf8', 0, at), lines);
  assert.deepEqual(
    [bytes.seq, bytes.hash, bytes.stepsMs, bytes.timeMs, bytes.openSeq, [...bytes.open]],
    [text.seq, text.hash, text.stepsMs, text.timeMs, text.openSeq, [...text.open]],
  );
});

const bodyOfChain = encodeBody({ time: 0, event: 'admission', text: 'größe ","prev":"' });
const sealed = sealLine(17, bodyOfChain, genesisHash);
const lineOfChain = Buffer.from(sealed.line.slice(0, -1));

void test('hash is over the exact text of the line without the hash and without LF', () => {
  const without = sealed.line.replace(/,"hash":"[0-9a-f]{64}"/, '').slice(0, -1);
  assert.equal(sealed.hash, createHash('sha256').update(without).digest('hex'));
  assert.equal(JSON.parse(sealed.line).hash, sealed.hash);
  assert.ok(sealed.line.startsWith(`{"seq":17,${bodyOfChain},"prev":"${genesisHash}","hash":"`));
});

void test('no byte can be changed unseen, and no start of a line is a line', () => {
  for (let at = 0; at < lineOfChain.length; at += 1) {
    for (const flip of [1, 0x20, 0x80]) {
      const changed = Buffer.from(lineOfChain);
      changed[at] = (changed[at] ?? 0) ^ flip;
      assert.notEqual(readLink(changed)?.isIntact, true, `byte ${at}`);
    }
    assert.notEqual(readLink(Buffer.from(lineOfChain.subarray(0, at)))?.isIntact, true, `${at} bytes`);
  }
});

void test('the longest number adds no more to a body than is reckoned with', () => {
  const bytes = Buffer.from(bodyOfChain);
  const into = Buffer.alloc(7168);
  const { end, hash } = sealInto(into, 0, Number.MAX_SAFE_INTEGER, bytes, genesisHash);
  const expected = sealLine(Number.MAX_SAFE_INTEGER, bodyOfChain, genesisHash);
  assert.deepEqual({ hash, line: into.toString('utf8', 0, end) }, expected);
  assert.ok(end <= bytes.length + sealBytesMax);
});

const pair = makeSignKey();
const signer = parseSignKey(pair.secretPem);

void test('only an Ed25519 key signs, and the error holds nothing of what was given', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  assert.throws(() => parseSignKey(other), /^TypeError: not an Ed25519 key$/);
  assert.throws(() => parseSignKey('hunter2'), /^TypeError: not a private key in PEM \(PKCS#8\)$/);
});

void test('a signature is over the line without itself and without the hash', () => {
  const hostile = { key: signer.key, text: ',"signature":"x"' };
  const record = { time: 0, event: 'checkpoint', head: 'ab', ...hostile } as const;
  const text = `{"seq":5,${encodeBody(record)},"prev":"${genesisHash}"}`;
  const { line } = sealLine(5, encodeBody({ ...record, signature: signer.sign(text) }), genesisHash);
  const unsigned = unsignedLine(line.trimEnd());
  assert.equal(unsigned?.text, text);
  assert.ok(isSignedBy(pair.key, text, unsigned.signature));
  assert.ok(!isSignedBy(makeSignKey().key, text, unsigned.signature));
  assert.ok(!isSignedBy(pair.key, `${text} `, unsigned.signature));
});

void test('a signature counts at one place and in one spelling, or a line could be changed without the key', () => {
  const ledger = new Ledger('p', pair.secretPem, journal);
  const line = ledger.sealSigned({ ...ledger.checkpoint(0), next_key: makeSignKey().key }).trimEnd();
  assert.notEqual(unsignedLine(line), undefined);
  const [signature = '', value = ''] = /,"signature":"([^"]*)"/.exec(line) ?? [];
  const moved = (place: RegExp) => line.replace(signature, '').replace(place, `$&${signature}`);
  const spelled = (text: string) => line.replace(value, text);
  const nextBit = String.fromCharCode(value.charCodeAt(85) + 1);
  for (const changed of [
    moved(/"seq":1/),
    moved(/,"format":1/),
    moved(/,"next_key":"[^"]*"/),
    moved(/,"prev":"[^"]*"/),
    spelled(value.slice(0, -1)),
    spelled(`${value}=`),
    spelled(`=${value}`),
    spelled(`${value.slice(0, 85)}${nextBit}==`),
  ])
    assert.equal(unsignedLine(changed), undefined, changed);
});

void test('what is no key and no signature is not right, and not an error', () => {
  for (const key of ['', 'AAAA', 'x'.repeat(44)]) assert.ok(!isSignedBy(key, '', ''));
  assert.ok(!isSignedBy(pair.key, 'text', 'AAAA'));
});
