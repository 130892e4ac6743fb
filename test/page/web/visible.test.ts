// Texts of others on a screen: nothing is hidden, nothing is reordered, and a long one is cut with its ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breakable, cut, pieces, visible } from '../../../src/page/web/visible.js';

void test('characters that are not seen, or change how others are, become escapes', () => {
  const cases: [string, string][] = [
    ['anna@example.com', 'anna@example.com'],
    ['Jürgen Müller 日本 שלום', 'Jürgen Müller 日本 שלום'],
    ['a\u202egnp.exe', 'a\\u{202e}gnp.exe'],
    ['\u2066x\u2069', '\\u{2066}x\\u{2069}'],
    ['a\u200bb\ufeffc\u00ad', 'a\\u{200b}b\\u{feff}c\\xad'],
    ['\n\r\t\u0000\u001b[2J\u007f\u0085', '\\n\\r\\t\\x00\\x1b[2J\\x7f\\x85'],
    ['\u{e0041}\u3164\u2028\u115f', '\\u{e0041}\\u{3164}\\u{2028}\\u{115f}'],
    ['a\u00a0b\u3000c\u2009d\u2800e f', 'a\\xa0b\\u{3000}c\\u{2009}d\\u{2800}e f'],
    ['\ud800x', '\\u{d800}x'],
    ['<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
    ['😀', '😀'],
    // Accents that would pile up over the rows above.
    [`z${'\u0301'.repeat(6)}y\u0301`, `z${'\u0301'.repeat(4)}\\u{301}\\u{301}y\u0301`],
  ];
  for (const [text, shown] of cases) {
    assert.equal(visible(text), shown);
    const joined = pieces(text)
      .map((piece) => piece.text)
      .join('');
    assert.equal(joined, shown);
  }
});

void test('escapes are told apart from a text that looks like one', () => {
  assert.deepEqual(pieces('\\x00\u0000b'), [
    { text: '\\x00', isOdd: false },
    { text: '\\x00', isOdd: true },
    { text: 'b', isOdd: false },
  ]);
  assert.deepEqual(pieces(''), []);
});

void test('a line may be broken within what has no blank, and not within ordinary words', () => {
  const cases: [string, string[]][] = [
    ['', []],
    ['anna@example.com', ['anna@example.com']],
    [
      'asked by anna.of.the.support@mail.example.com',
      ['asked by ', 'anna.of.the.support@', 'mail.example.com'],
    ],
    ['/usr/bin', ['/', 'usr/', 'bin']],
    ['no connection to the backend', ['no connection to the backend']],
    ['W'.repeat(50), ['W'.repeat(24), 'W'.repeat(24), 'WW']],
    [`${'a'.repeat(24)}\u0301\u0301${'b'.repeat(9)}`, [`${'a'.repeat(24)}\u0301\u0301`, 'b'.repeat(9)]],
  ];
  for (const [text, parts] of cases) {
    assert.deepEqual(breakable(text), parts);
    assert.equal(breakable(text).join(''), text);
  }
});

void test('a long text keeps its beginning and its end, and no half of a character', () => {
  assert.equal(cut('anna@example.com', 16), undefined);
  assert.equal(cut('a'.repeat(4096), 12), `${'a'.repeat(7)}…aaaa`);
  assert.equal(cut('averyveryverylongname@example.com', 18), 'averyveryve…le.com');
  const faces = cut('😀'.repeat(30), 10);
  assert.equal(faces, `${'😀'.repeat(6)}…${'😀'.repeat(3)}`);
  assert.equal(cut('😀'.repeat(10), 10), undefined);
});
