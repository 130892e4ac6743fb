// Goal: what an account proves itself by is read exactly, costs what it may cost, and is right for one password only.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { sha256Hex } from '../../../src/host/values/digest.js';
import {
  type Account,
  createKeyedDigest,
  decoyOf,
  hashPassword,
  isCertificateOf,
  isTrustedBy,
  type PasswordHash,
  parsePasswordHash,
  Secret,
  stampOf,
  verifyPassword,
} from '../../../src/rules/identity/credentials.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

const salt = Buffer.alloc(16, 1).toString('base64');
const hash = Buffer.alloc(32, 2).toString('base64');
/** As cheap as it may be. */
const cost = 10;

function read(text: string): PasswordHash {
  const parsed = parsePasswordHash(text);
  if (typeof parsed === 'string') assert.fail(parsed);
  return parsed;
}

void test('a hash that was made is of its password, whole and byte by byte, and of no other', async () => {
  const password = Buffer.from('correct horse battery\xff', 'latin1');
  const made = read(await hashPassword(password, cost));
  assert.equal(await verifyPassword(made, password), true);
  const longer = ['correct horse battery\xff\0', 'correct horse battery\xff '];
  for (const other of ['', 'correct horse', ...longer, 'Correct horse\0battery\xff'])
    assert.equal(await verifyPassword(made, Buffer.from(other, 'latin1')), false, JSON.stringify(other));
  await assert.rejects(hashPassword(Buffer.from('a\0'), cost), RangeError);
  const again = await hashPassword(password, cost);
  assert.notEqual(again, made.text, 'each has a salt of its own');
});

void test('the known answer of RFC 7914', async () => {
  const expected =
    '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
    'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887';
  const [itsSalt, itsHash] = [Buffer.from('SodiumChloride'), Buffer.from(expected, 'hex')];
  const known = read(`scrypt$16384$8$1$${itsSalt.toString('base64')}$${itsHash.toString('base64')}`);
  assert.equal(await verifyPassword(known, Buffer.from('pleaseletmein')), true);
  assert.equal(await verifyPassword(known, Buffer.from('pleaseletmeIn')), false);
});

void test('what may be written, and what may not', () => {
  const withCosts = (costs: string) => costs.split(' ').map((each) => `scrypt$${each}$${salt}$${hash}`);
  for (const text of withCosts('32768$8$1 1024$8$1 131072$8$1 32768$8$8'))
    assert.equal(read(text).text, text);
  const bytesOf = (...lengths: readonly (number | undefined)[]): string =>
    `scrypt$1024$8$1$${lengths.map((length) => Buffer.alloc(length ?? 0).toString('base64')).join('$')}`;
  for (const text of [bytesOf(8, 16), bytesOf(64, 64)]) assert.equal(read(text).text, text);
  const refused = [
    ...withCosts('512$8$1 32767$8$1 032768$8$1 32768$0$1 32768$8$0 32768$8$-1 1e5$8$1 a32768$8$1'),
    // A gigabyte; a bit more than the most, by each of two; much time; both.
    ...withCosts('1048576$8$1 262144$8$1 131072$9$1 32768$8$9 9999999999$9999999999$9999999999'),
    '',
    'secret',
    `bcrypt$32768$8$1$${salt}$${hash}`,
    `scrypt$32768$8$1$${salt}`,
    `scrypt$32768$8$1$${salt}$${hash}$`,
    `scrypt$32768$8$1$AAAA$${hash}`,
    `scrypt$32768$8$1$${salt}$AAAA`,
    `scrypt$32768$8$1$${salt} $${hash}`,
    `scrypt$32768$8$1$${salt.replace('==', '')}$${hash}`,
    `scrypt$32768$8$1$${salt}$${hash} `,
    ...[
      [7, 16],
      [65, 16],
      [8, 15],
      [64, 65],
    ].map(([one, other]) => bytesOf(one, other)),
  ];
  compareAnswers(
    'test/rules/identity/hashes.txt',
    refused.map((text): Asked => {
      const problem = parsePasswordHash(text);
      if (typeof problem !== 'string') assert.fail(text);
      assert.ok(!problem.includes(hash), 'a problem shows nothing of the hash');
      return [`"${text}"`, () => problem];
    }),
  );
});

void test('a decoy costs the same and is of no password', async () => {
  const real = read(await hashPassword(Buffer.from('secret'), cost));
  const decoy = decoyOf(real);
  assert.deepEqual([decoy.text, decoy.cost, decoy.salt.length, decoy.hash.length], ['', real.cost, 16, 32]);
  assert.ok(!decoy.salt.equals(real.salt) && !decoy.hash.equals(decoyOf(real).hash));
  assert.equal(await verifyPassword(decoy, Buffer.from('secret')), false);
});

const account: Account = {
  name: 'migrator',
  policy: 'migration',
  passwordHash: undefined,
  certificateName: 'jobs.example.com',
};

void test('a certificate is of an account by its name', () => {
  const shown = { names: ['Other.example.com', 'JOBS.example.com', 'Backup'] };
  const cases: readonly (readonly [Partial<Account>, boolean])[] = [
    [{}, true],
    [{ certificateName: 'jobs.example' }, false],
    [{ certificateName: undefined }, false],
    [{ certificateName: 'nobody' }, false],
    // The sign for kelvin: its small letter is that of the alphabet, and it is another name all the same.
    [{ certificateName: 'bac\u212Aup' }, false],
    [{ certificateName: 'backup' }, true],
  ];
  for (const [changed, expected] of cases) {
    assert.equal(isCertificateOf({ ...account, ...changed }, shown), expected, JSON.stringify(changed));
  }
});

void test('the stamp changes with everything that an account is', () => {
  const passwordHash = read(`scrypt$1024$8$1$${salt}$${hash}`);
  const names = [{ certificateName: 'other' }, { certificateName: undefined }];
  const variants = [{}, { name: 'other' }, { policy: 'other' }, { passwordHash }, ...names];
  const stamps = variants.map((changed) => stampOf({ ...account, ...changed }));
  assert.equal(new Set(stamps).size, variants.length);
  assert.equal(stampOf({ ...account }), stamps[0]);
});

void test('a certificate is trusted while all its authorities are', () => {
  const by = (authorities: readonly string[] | undefined, now: readonly string[] | undefined): boolean =>
    isTrustedBy({ account: 'migrator', stamp: 's', authorities }, now);
  const trusted = [
    by(undefined, undefined),
    by(undefined, ['a']),
    by(['a'], ['b', 'a']),
    by(['a', 'b'], ['a', 'b']),
  ];
  assert.deepEqual(trusted, [true, true, true, true]);
  assert.deepEqual([by(['a'], undefined), by(['a', 'b'], ['a', 'c']), by(['a'], [])], [false, false, false]);
});

// Goal: no ordinary way of showing a value shows a secret.
const passwordOfSecret = 'hunter2-correct-horse';

void test('none of the ways to print a value prints a secret', () => {
  const secret = new Secret(passwordOfSecret);
  const holder = { backend: 'mail1', secret, list: [secret], map: new Map([['key', secret]]) };
  const shown = [
    String(secret),
    `user ${String(secret)}`,
    ['a', secret].join(),
    JSON.stringify(holder),
    JSON.stringify(Object.assign({}, secret)),
    inspect(holder, { depth: 9, showHidden: true }),
    format('%s %o %O %j', secret, secret, secret, secret),
    Object.entries(secret).join(),
    inspect(structuredClone(secret)),
  ];
  for (const text of shown) {
    assert.ok(!text.includes('hunter2'), text);
    assert.ok(!text.includes(Buffer.from(passwordOfSecret).toString('base64').slice(0, 12)), text);
    assert.ok(!text.includes('104,117,110'), text);
  }
  const ways = [String(secret), secret.toString(), inspect(secret)];
  assert.deepEqual(ways, Array<string>(3).fill('[secret]'));
  assert.equal(JSON.stringify([secret]), '["[secret]"]');
});

void test('reveal gives the bytes, each time afresh', () => {
  const bytes = Buffer.from([0, 1, 255]);
  const secret = new Secret(bytes);
  bytes.fill(7);
  assert.deepEqual(secret.reveal(), Buffer.from([0, 1, 255]));
  secret.reveal().fill(9);
  assert.deepEqual(secret.reveal(), Buffer.from([0, 1, 255]));
});

void test('equals compares whole buffers', () => {
  const secret = new Secret('secret');
  assert.equal(secret.equals(Buffer.from('secret')), true);
  // A NUL ends the password for some; not for us.
  assert.equal(secret.equals(Buffer.from('secret\0junk')), false);
  assert.equal(secret.equals(Buffer.from('secre')), false);
  assert.equal(secret.equals(Buffer.alloc(0)), false);
  assert.equal(new Secret('').equals(Buffer.alloc(0)), true);
  assert.deepEqual([new Secret('').isEmpty, secret.isEmpty], [true, false]);
});

// Goal: the fingerprint is SHA-256 over UTF-8, so that others can compute it too.
void test('known answers', () => {
  assert.equal(sha256Hex(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  assert.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  assert.notEqual(sha256Hex('ä'), sha256Hex('a'));
});

// Goal: a digest tells lists of parts apart, also where their bytes fall together, and is of this process only.
void test('equal lists have equal digests, others do not', () => {
  const digest = createKeyedDigest();
  assert.equal(digest(['a', Buffer.from('b')]), digest([Buffer.from('a'), 'b']));
  const lists = [[], [''], ['', ''], ['ab'], ['a', 'b'], ['', 'ab'], ['ab', ''], ['a\0', 'b'], ['a', '\0b']];
  assert.equal(new Set(lists.map((parts) => digest(parts))).size, lists.length);
  assert.match(digest(['a']), /^[A-Za-z0-9+/]{32}$/);
});

void test('two processes never agree', () => {
  assert.notEqual(createKeyedDigest()(['a']), createKeyedDigest()(['a']));
});
