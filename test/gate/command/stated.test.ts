// What a client states about its next command: which options state something, and in which form it is recorded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutReason, nothingStated, withOption } from '../../../src/gate/command/stated.js';

// bounds.reasonBytes
void test('a reason is cut at a character, at once', () => {
  assert.equal(cutReason('because'), 'because');
  assert.equal(cutReason('ü'.repeat(300)), 'ü'.repeat(256));
  assert.equal(cutReason(`a${'ü'.repeat(300)}`), `a${'ü'.repeat(255)}`);
  assert.equal(cutReason(`ab${'\u{1f600}'.repeat(200)}`), `ab${'\u{1f600}'.repeat(127)}`);
});

void test('options add up, the last one of a key counts, and one that is not in its form changes nothing', () => {
  const options = ['tag=one', 'reason=', 'tag=two', 'tag=no tag', 'tag=', 'reason=a=b'];
  const stated = options.reduce((before, option) => withOption(before, `dovegate-${option}`), nothingStated);
  assert.deepEqual(stated, { reason: 'a=b', tag: 'two' });
  assert.equal(withOption(stated, 'dovegate-tag=no tag'), stated);
});

void test('an option fills no other key of a record', () => {
  const others = [
    'decision=allow',
    'principal=root',
    'toString=x',
    '__proto__=x',
    'tag',
    'Tag=x',
    ' tag=x',
    '=x',
  ];
  for (const option of [...others.map((other) => `dovegate-${other}`), 'tag=x', ''])
    assert.equal(withOption(nothingStated, option), nothingStated, option);
});
