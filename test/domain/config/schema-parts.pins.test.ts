// Goal: pins of keys in every spelling that is taken, and no other. What must not happen: a pin that is dropped in silence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, sound } from './sound.js';

const bytes = Buffer.alloc(32, 0xab);
const withPins = (text: string) => parse(sound.replace('tls: off', `tls: implicit, key_pins: [${text}]`));

void test('hex and base64, with and without its padding', () => {
  const spellings = [
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('base64'),
    bytes.toString('base64').replace('=', ''),
  ];
  for (const text of spellings) {
    assert.deepEqual(withPins(`"sha256:${text}"`).settings?.backends[0]?.keyPins, [bytes.toString('hex')]);
  }
});

void test('anything else is told', () => {
  for (const text of ['abc', '"sha256:abc"', `"sha1:${bytes.toString('hex')}"`, bytes.toString('hex')]) {
    const { settings, problems } = withPins(text);
    assert.equal(settings, undefined);
    assert.match(problems[0]?.message ?? '', /^must be "sha256:"/);
  }
});
