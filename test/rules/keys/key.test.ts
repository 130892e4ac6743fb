// Goal: the form of a key, its hash, and which key of a listener a text is. What must not happen: a secret that is not uniform; a key that
// holds after its end, or from elsewhere; a stamp that outlives a change of the key.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { readAuthorization } from '../../../src/rules/keys/authorization.js';
import {
  hashKey,
  isKey,
  type Key,
  type KeyAnswer,
  KeyRing,
  keyBytes,
  makeKey,
  parseKeyHash,
  shownPartOf,
} from '../../../src/rules/keys/key.js';

const bytes = (fill: number): Buffer => Buffer.alloc(keyBytes, fill);

/** CRC-32 of ISO 3309, bit by bit. */
function crcOf(text: string): number {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function valueOf(text: string): bigint {
  let value = 0n;
  for (const digit of text) value = value * 62n + BigInt(digits.indexOf(digit));
  return value;
}

void test('a key has its four parts, and each says what it was made of', () => {
  for (const random of [bytes(0), bytes(0xff), randomBytes(keyBytes)]) {
    const [prefix, shown = '', secret = '', check = ''] = makeKey(random).split('_');
    assert.deepEqual([prefix, shown.length, secret.length, check.length], ['dvg', 8, 43, 6]);
    // The whole number comes back: no bit of the secret is lost, and no other secret has the same text.
    assert.equal(valueOf(secret), BigInt(`0x${random.subarray(8).toString('hex')}`));
    assert.equal(valueOf(shown), random.readBigUInt64BE() % 62n ** 8n);
    assert.equal(valueOf(check), BigInt(crcOf(`dvg_${shown}_${secret}_`)));
  }
  assert.throws(() => makeKey(Buffer.alloc(keyBytes - 1)), RangeError);
});

void test('one wrong character anywhere is no key, and neither is anything around one', () => {
  const key = makeKey(randomBytes(keyBytes));
  assert.ok(isKey(key));
  assert.equal(shownPartOf(key), key.slice(0, 12));
  for (let at = 0; at < key.length; at += 1) {
    const other = key[at] === 'x' ? 'y' : 'x';
    assert.equal(isKey(key.slice(0, at) + other + key.slice(at + 1)), false, `character ${at}`);
    assert.equal(isKey(key.slice(0, at) + key.slice(at + 1)), false, `without character ${at}`);
  }
  for (const text of ['', ` ${key}`, `${key}\n`, `${key}${key}`, key.toUpperCase()]) assert.ok(!isKey(text));
});

function faultOf(hash: string): string {
  const parsed = parseKeyHash(hash);
  return typeof parsed === 'string' ? parsed : '';
}

void test('the hash is of the whole text; what is no hash says what is wrong with it', () => {
  const key = makeKey(randomBytes(keyBytes));
  const sha256 = createHash('sha256').update(key).digest('hex');
  assert.equal(hashKey(key), `sha256$${sha256}`);
  assert.deepEqual(parseKeyHash(hashKey(key)), { sha256 });
  const others = [`sha256$${sha256.toUpperCase()}`, `sha256$${sha256}0`, `sha256:${sha256}`];
  for (const text of ['', sha256, ...others])
    assert.match(faultOf(text), /^must be sha256\$ and 64 lower-case hex digits/, text);
  assert.match(faultOf(key), /^is a key itself/);
  assert.ok(!faultOf(key).includes(key.slice(4)));
});

const nowMs = Date.UTC(2026, 5, 1);
const dayMs = 86_400_000;
const old = makeKey(bytes(1));
const next = makeKey(bytes(2));
const other = makeKey(bytes(3));

function keyOf(name: string, texts: readonly (readonly [string, number?])[], more: Partial<Key> = {}): Key {
  const hashes = texts.map(([text, untilMs]) => ({ sha256: hashKey(text).slice(7), untilMs }));
  return { name, policy: 'panel', hashes, expiresMs: undefined, from: [], ...more };
}

function said(answer: KeyAnswer): string {
  if (answer.kind === 'unknown') return 'unknown';
  return answer.kind === 'right' ? answer.key.name : `${answer.key.name}: ${answer.why}`;
}

void test('which key a text is, by time, place and name', () => {
  const ring = new KeyRing([
    keyOf('modoboa', [[old, nowMs + dayMs], [next]], { expiresMs: nowMs + 2 * dayMs }),
    keyOf('graph', [[other]], { from: ['192.0.2.0/24', '2001:db8::/32'] }),
  ]);
  type Case = readonly [text: string, atMs: number, address: string, name: string, expected: string];
  const cases: readonly Case[] = [
    [old, nowMs, '198.51.100.1', '', 'modoboa'],
    [next, nowMs, '198.51.100.1', '', 'modoboa'],
    [old, nowMs + dayMs - 1, '198.51.100.1', '', 'modoboa'],
    [old, nowMs + dayMs, '198.51.100.1', '', 'modoboa: replaced'],
    [next, nowMs + dayMs, '198.51.100.1', '', 'modoboa'],
    [next, nowMs + 2 * dayMs - 1, '198.51.100.1', '', 'modoboa'],
    [next, nowMs + 2 * dayMs, '198.51.100.1', '', 'modoboa: expired'],
    [old, nowMs + 2 * dayMs, '198.51.100.1', '', 'modoboa: expired'],
    [old, nowMs, '', 'modoboa', 'modoboa'],
    [old, nowMs, '', 'graph', 'modoboa: name'],
    [old, nowMs, '', 'Modoboa', 'modoboa: name'],
    [other, nowMs, '192.0.2.7', '', 'graph'],
    [other, nowMs, '::ffff:192.0.2.7', '', 'graph'],
    [other, nowMs, '2001:db8::1', 'graph', 'graph'],
    [other, nowMs, '198.51.100.1', '', 'graph: address'],
    [other, nowMs, '', '', 'graph: address'],
    [makeKey(bytes(4)), nowMs, '192.0.2.7', '', 'unknown'],
    ['', nowMs, '192.0.2.7', '', 'unknown'],
  ];
  for (const [text, atMs, address, name, expected] of cases) {
    const use = { address: address || undefined, name: name || undefined, nowMs: atMs };
    assert.equal(said(ring.find(text, use)), expected, JSON.stringify([atMs, address, name, expected]));
  }
  assert.equal(said(new KeyRing([]).find(old, { address: undefined, name: undefined, nowMs })), 'unknown');
});

void test('a login by a key holds until the key goes, changes or ends', () => {
  const before = keyOf('modoboa', [[old], [next]]);
  const answer = new KeyRing([before]).find(old, { address: '192.0.2.1', name: undefined, nowMs });
  assert.ok(answer.kind === 'right');
  const cases: readonly (readonly [string, Key, string | undefined])[] = [
    ['as it was', before, 'panel'],
    ['one hash left, and it is this one', keyOf('modoboa', [[old]]), 'panel'],
    ['the other hash left', keyOf('modoboa', [[next]]), undefined],
    ['another name', keyOf('panel', [[old]]), undefined],
    ['another policy', { ...before, policy: 'other' }, undefined],
    ['expires later', { ...before, expiresMs: nowMs + 1 }, 'panel'],
    ['expires now', { ...before, expiresMs: nowMs }, undefined],
    ['this hash ends now', keyOf('modoboa', [[old, nowMs], [next]]), undefined],
    ['from there', { ...before, from: ['192.0.2.0/24'] }, 'panel'],
    ['from elsewhere', { ...before, from: ['198.51.100.0/24'] }, undefined],
  ];
  for (const [what, after, expected] of cases) {
    const found = new KeyRing([after]).stillRight('modoboa', answer.stamp, '192.0.2.1', nowMs);
    assert.equal(found?.policy, expected, what);
  }
});

// Goal: every form in which clients send a key or a password is read, in any case of the scheme. What must not happen: a mistyped key that
// is taken for a password, or a header that throws.
const keyOfAuthorization = makeKey(Buffer.alloc(keyBytes, 7));
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const unpadded = (text: string): string => base64(text).replaceAll('=', '');

function told(header: string | undefined): string {
  const read = readAuthorization(header);
  if (read.kind === 'key') {
    const text = read.text === keyOfAuthorization ? 'KEY' : read.text;
    return read.name === undefined ? `key ${text}` : `key ${text} of ${read.name}`;
  }
  if (read.kind === 'password') return `password ${read.user} ${read.password.toString('utf8')}`;
  return read.kind;
}

void test('the table of forms', () => {
  const mistyped = `${keyOfAuthorization.slice(0, -1)}!`;
  const cases: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'none'],
    ['', 'none'],
    ['  ', 'none'],
    [`X-Dovecot-API ${base64(keyOfAuthorization)}`, 'key KEY'],
    [`x-dovecot-api ${base64(keyOfAuthorization)}`, 'key KEY'],
    [`X-DOVECOT-API   ${unpadded(keyOfAuthorization)}  `, 'key KEY'],
    [`X-Dovecot-API ${keyOfAuthorization}`, 'key KEY'],
    [`X-Dovecot-API ${base64('secret')}`, `key ${base64('secret')}`],
    ['X-Dovecot-API secret', 'key secret'],
    ['X-Dovecot-API', 'malformed'],
    [`Basic ${base64(`doveadm:${keyOfAuthorization}`)}`, 'key KEY'],
    [`basic ${base64(`modoboa:${keyOfAuthorization}`)}`, 'key KEY of modoboa'],
    [`Basic ${base64(`Doveadm:${keyOfAuthorization}`)}`, 'key KEY of Doveadm'],
    [`Basic ${base64(`:${keyOfAuthorization}`)}`, 'key KEY of '],
    [`Basic ${base64(`doveadm:${mistyped}`)}`, `key ${mistyped}`],
    [`BASIC ${base64('migrator:pass:word')}`, 'password migrator pass:word'],
    [`Basic ${base64('migrätor:päss')}`, 'password migrätor päss'],
    [`Basic ${unpadded('a:b')}`, 'password a b'],
    [`Basic ${base64('migrator:')}`, 'password migrator '],
    [`Basic ${base64('migrator')}`, 'malformed'],
    [`Basic ${keyOfAuthorization}`, 'malformed'],
    ['Basic', 'malformed'],
    ['Basic ====', 'malformed'],
    [`Bearer ${keyOfAuthorization}`, 'key KEY'],
    [`bearer\t${keyOfAuthorization}`, 'key KEY'],
    ['Bearer nonsense', 'key nonsense'],
    ['Bearer', 'malformed'],
    [keyOfAuthorization, 'malformed'],
    [`Digest username="doveadm", response="${keyOfAuthorization}"`, 'malformed'],
    [`Negotiate ${base64(keyOfAuthorization)}`, 'malformed'],
  ];
  for (const [header, expected] of cases) assert.equal(told(header), expected, header ?? '(no header)');
});

void test('the password can be wiped', () => {
  const read = readAuthorization(`Basic ${base64('migrator:secret')}`);
  assert.ok(read.kind === 'password');
  read.password.fill(0);
  assert.equal(read.user, 'migrator');
});
