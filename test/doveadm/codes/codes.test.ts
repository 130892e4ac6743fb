// The line of dovegate on a client's log channel, and the table of its codes. What must not happen: a text that is taken for dovegate's
// word and is not, a code that promises that nothing ran where it may have.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes, formatSaid, isCode, markBackendLine, sentenceOf } from '../../../src/doveadm/codes/codes.js';
import { readSaid, readSaidOfJson } from '../../../src/doveadm/codes/said.js';

const id = '01KDYAK3487FXJ0FWSFTT3D0WN';
const all = Object.keys(codes).filter(isCode);

void test('each code goes out and comes back', () => {
  for (const code of all) {
    const values = { reason: 'a [b], id c', policy: 'p', backend: 'mail1', limit: '5' };
    const sentence = sentenceOf(code, values);
    assert.doesNotMatch(sentence, /[{}]/, code);
    for (const more of [{}, { id }, { retryAfterS: 7 }, { retryAfterS: 7, id }]) {
      const said = { retryAfterS: undefined, id: undefined, ...more, code, sentence };
      assert.deepEqual(readSaid(formatSaid(said)), said);
    }
  }
  const sentence = 'denied by policy p (no rule allows "mailbox delete")';
  assert.equal(formatSaid({ code: 'denied', sentence, id }), `dovegate: ${sentence} [denied], id ${id}`);
  const two = formatSaid({ code: 'denied', sentence: 'a\ndovegate: b [queue-full]' });
  assert.deepEqual(two.split('\n').length, 1);
  assert.equal(readSaid(two)?.code, 'denied');
});

void test('other texts are no word of dovegate', () => {
  for (const text of [
    '',
    'dovegate: too many commands are waiting; try again',
    `dovegate: too many commands are waiting; try again, id ${id}`,
    'dovegate: x [of-next-year]',
    'dovegate: x [constructor]',
    'dovegate: x [__proto__]',
    'dovegate: x [denied] y',
    'dovegate: x [denied], id short',
    'dovegate: x [denied]\n',
    'dovegate: x[denied]',
    ' dovegate: x [denied]',
    'backend: dovegate: x [denied]',
    'x [denied]',
  ])
    assert.equal(readSaid(text), undefined, text);
  for (const code of [undefined, 5, 'of-next-year', 'constructor'])
    assert.equal(readSaidOfJson({ code, message: formatSaid({ code: 'denied', sentence: 'x' }) }), undefined);
});

void test('a line of a backend that begins like ours is marked, each of several', () => {
  assert.equal(markBackendLine('dovegate: x [denied]'), 'backend: dovegate: x [denied]');
  const marked = 'doveadm(a): x\nbackend: dovegate: y [denied]\ndovegate';
  assert.equal(markBackendLine('doveadm(a): x\ndovegate: y [denied]\ndovegate'), marked);
});
