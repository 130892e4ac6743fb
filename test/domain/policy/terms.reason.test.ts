// Goal: a reason is something that an auditor can read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saysWhy, whyNoReason } from '../../../src/domain/policy/terms.js';

const reasons = ['ticket 42', 'abc', '#42', 'é\u0301tat', '理由は', 'a\u200bb\u200bc', '  a b c  ', '👍👍👍'];

const none: Readonly<Record<string, string | undefined>> = {
  absent: undefined,
  empty: '',
  'a blank': ' ',
  'blanks of Unicode': '\u00a0\u2003\u3000\u1680\u202f',
  'line feeds': '\n\n\n\n',
  'too few': 'ab',
  'too few among blanks': ' a \n b ',
  'zero width': '\u200b\u200b\u200b\u200b',
  bidirectional: '\u202e\u2066\u2069\u200f',
  'soft hyphens': '\u00ad\u00ad\u00ad',
  'Hangul fillers': '\u3164\u115f\u1160\uffa0',
  'empty Braille patterns': '\u2800\u2800\u2800',
  'object replacements': '\ufffc\ufffc\ufffc',
  'null noteheads': '\u{1d159}\u{1d159}\u{1d159}',
  'marks alone': '\u0301\u0302\u0303\u0304',
  'variation selectors': '\ufe0f\ufe0f\ufe0f\u{e0100}',
  tags: '\u{e0041}\u{e0042}\u{e0043}',
  controls: '\u0007\u001b\u009b\u0085',
  'private use': '\ue000\ue001\ue002',
  unassigned: '\u0378\u0379\u{40000}',
  'lone surrogates': '\ud800\ud801\udc00\ud802',
  'an invisible plus and times': '\u2062\u2063\u2064',
};

void test('three visible characters are a reason, in any script', () => {
  for (const reason of reasons) assert.equal(saysWhy(reason), true, JSON.stringify(reason));
});

for (const [name, reason] of Object.entries(none)) {
  void test(`no reason: ${name}`, () => assert.equal(saysWhy(reason), false));
}

void test('what is missing is said', () => {
  const how =
    'dovegate send --reason TEXT, DOVEGATE_REASON=TEXT with dovegate as doveadm, or Dovegate-Reason: TEXT over HTTP';
  assert.equal(whyNoReason(undefined), `the client must say why: ${how}`);
  assert.equal(whyNoReason(''), `the client must say why: ${how}`);
  assert.equal(whyNoReason('\u200b'), 'the client must say why, in at least 3 visible characters');
});
