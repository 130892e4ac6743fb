import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import {
  genesisHash,
  isSignedBy,
  makeSignKey,
  parsePublicKey,
  parseSignKey,
  sealLine,
  unsignedLine,
} from '../../../src/domain/audit/ledger.js';

const pair = makeSignKey();
const signer = parseSignKey(pair.secretPem);

void test('a key has one name, in whatever form it comes', () => {
  assert.equal(signer.key, pair.key);
  assert.equal(Buffer.from(pair.key, 'base64').length, 32);
  for (const text of [pair.key, `${pair.key}\n`, pair.publicPem, pair.secretPem]) {
    assert.equal(parsePublicKey(text), pair.key);
  }
  for (const text of [
    '',
    'x',
    pair.key.slice(0, -4),
    '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n',
  ]) {
    assert.equal(parsePublicKey(text), undefined, text);
  }
});

void test('only an Ed25519 key signs, and the error holds nothing of what was given', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  assert.throws(() => parseSignKey(other), /^TypeError: not an Ed25519 key$/);
  assert.throws(() => parseSignKey('hunter2'), /^TypeError: not a private key in PEM \(PKCS#8\)$/);
});

void test('a signature is over the line without itself and without the hash', () => {
  const record = {
    time: 0,
    event: 'checkpoint',
    head: 'ab',
    key: signer.key,
    text: ',"signature":"x"',
  } as const;
  const text = `{"seq":5,${encodeBody(record)},"prev":"${genesisHash}"}`;
  const { line } = sealLine(5, encodeBody({ ...record, signature: signer.sign(text) }), genesisHash);
  const unsigned = unsignedLine(line.trimEnd());
  assert.equal(unsigned?.text, text);
  assert.ok(isSignedBy(pair.key, text, unsigned.signature));
  assert.ok(!isSignedBy(makeSignKey().key, text, unsigned.signature));
  assert.ok(!isSignedBy(pair.key, `${text} `, unsigned.signature));
});

void test('what is no key and no signature is not right, and not an error', () => {
  for (const key of ['', 'AAAA', 'x'.repeat(44)]) assert.ok(!isSignedBy(key, '', ''));
  assert.ok(!isSignedBy(pair.key, 'text', 'AAAA'));
  assert.equal(unsignedLine('{"seq":1}'), undefined);
  assert.equal(
    unsignedLine(sealLine(1, encodeBody({ time: 0, event: 'stop' }), genesisHash).line.trimEnd()),
    undefined,
  );
});
