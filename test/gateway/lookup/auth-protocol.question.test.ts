import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  encodeQuestion,
  questionBytesMax,
  questionIdMax,
  versionLine,
  whyUnaskable,
} from '../../../src/gateway/lookup/auth-protocol.js';

void test('the lines', () => {
  assert.equal(versionLine, 'VERSION\t1\t1\n');
  assert.equal(
    encodeQuestion('pass', 0, 'alice@example.org').toString(),
    'PASS\t0\talice@example.org\tservice=doveadm\n',
  );
  assert.equal(
    encodeQuestion('user', questionIdMax, 'bücher@example.org').toString(),
    'USER\t4294967295\tbücher@example.org\tservice=doveadm\n',
  );
});

void test('names that cannot be asked for', () => {
  const cases: [string, string | undefined][] = [
    ['alice@example.org', undefined],
    ['al ice', undefined],
    ['a+b/c%u"', undefined],
    ['', 'empty'],
    ['alice@example.org\0junk', 'character'], // the service would answer for what is before the NUL
    ['alice\tservice=imap', 'character'],
    ['alice\nPASS\t2\tbob\tservice=doveadm', 'character'],
    ['alice\r', 'character'],
    ['alice\x01t', 'character'],
    ['alice\x7f', 'character'],
    ['alice*master', 'character'], // the customary separator of master users
    ['alice\ud800', 'character'],
    ['a'.repeat(2000), 'too-long'],
  ];
  for (const [user, why] of cases) {
    assert.equal(whyUnaskable(user), why, JSON.stringify(user));
    const encode = (): Buffer => encodeQuestion('user', 1, user);
    if (why === undefined) assert.match(encode().toString(), /^USER\t1\t[^\t\n]+\tservice=doveadm\n$/);
    else assert.throws(encode, RangeError);
  }
});

void test('no line is longer than the service takes, and the longest is exactly that long', () => {
  const longest = (letter: string): string => {
    let name = letter;
    while (whyUnaskable(name + letter) === undefined) name += letter;
    return name;
  };
  for (const letter of ['a', 'ü', '€']) {
    const line = encodeQuestion('pass', questionIdMax, longest(letter));
    assert.ok(line.length <= questionBytesMax && line.length > questionBytesMax - letter.length * 3, letter);
  }
  assert.equal(encodeQuestion('pass', questionIdMax, longest('a')).length, 1024);
});

void test('ids are whole numbers of 32 bits', () => {
  for (const id of [-1, 0.5, Number.NaN, questionIdMax + 1]) {
    assert.throws(() => encodeQuestion('pass', id, 'alice'), RangeError);
  }
});
