import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  encodeQuestion,
  isAskable,
  questionBytesMax,
  questionIdMax,
} from '../../../src/gateway/lookup/auth-protocol.js';

// bounds.lookupQuestionBytes
void test('names that cannot be asked for', () => {
  const cases: [string, boolean][] = [
    ['alice@example.org', true],
    ['al ice', true],
    ['a+b/c%u"', true],
    ['', false],
    ['alice@example.org\0junk', false], // the service would answer for what is before the NUL
    ['alice\tservice=imap', false],
    ['alice\nPASS\t2\tbob\tservice=doveadm', false],
    ['alice\r', false],
    ['alice\x01t', false],
    ['alice\x7f', false],
    ['alice*master', false], // the customary separator of master users
    ['alice\ud800', false],
    ['a'.repeat(2000), false],
  ];
  for (const [user, askable] of cases) {
    assert.equal(isAskable(user), askable, JSON.stringify(user));
    const encode = (): Buffer => encodeQuestion('user', 1, user);
    if (askable) assert.match(encode().toString(), /^USER\t1\t[^\t\n]+\tservice=doveadm\n$/);
    else assert.throws(encode, RangeError);
  }
});

void test('no line is longer than the service takes, and the longest is exactly that long', () => {
  const longest = (letter: string): string => {
    let name = letter;
    while (isAskable(name + letter)) name += letter;
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
