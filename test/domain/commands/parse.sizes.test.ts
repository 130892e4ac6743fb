// Goal: what nobody needs so long, or so often, is refused before anything is done for each part of it: its cost would be its
// length times the number of patterns, rules and series.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, resolveCommand } from '../../../src/domain/commands/catalog.js';
import { parseArguments } from '../../../src/domain/commands/parse.js';
import { isSequenceSet } from '../../../src/domain/commands/search-query.js';

function times(count: number, word: (at: number) => string): string[] {
  return Array.from({ length: count }, (_, at) => word(at));
}

const rows: readonly (readonly [
  what: string,
  fits: readonly string[],
  tooMuch: readonly string[],
  code: string,
])[] = [
  ['a mailbox', ['mailbox create', 'a'.repeat(1024)], ['mailbox create', 'a'.repeat(1025)], 'too-long'],
  [
    'a mailbox, counted in bytes',
    ['mailbox create', 'ä'.repeat(512)],
    ['mailbox create', 'ä'.repeat(513)],
    'too-long',
  ],
  [
    'a mask for mailboxes',
    ['mailbox list', '*'.repeat(1024)],
    ['mailbox list', '*'.repeat(62_000)],
    'too-long',
  ],
  [
    'a mailbox of a query',
    ['fetch', 'uid', 'mailbox', 'a'.repeat(1024)],
    ['fetch', 'uid', 'mailbox', 'a'.repeat(1025)],
    'too-long',
  ],
  ['a user', ['auth cache flush', 'a'.repeat(320)], ['auth cache flush', 'a'.repeat(321)], 'too-long'],
  ['a mask for users', ['who', '*'.repeat(320)], ['who', '*'.repeat(321)], 'too-long'],
  [
    'who an ACL is for',
    ['acl get', 'INBOX', '-b'].slice(0, 2),
    ['acl delete', 'INBOX', `user=${'a'.repeat(400)}`],
    'too-long',
  ],
  [
    'mailboxes',
    ['mailbox subscribe', ...times(256, (at) => `m${at}`)],
    ['mailbox subscribe', ...times(257, (at) => `m${at}`)],
    'too-many',
  ],
  [
    'mailboxes of a query',
    ['search', ...times(256, (at) => `m${at}`).flatMap((name) => ['mailbox', name])],
    ['search', ...times(257, (at) => `m${at}`).flatMap((name) => ['mailbox', name])],
    'too-many',
  ],
  [
    'keys of a query',
    ['search', ...times(1000, () => 'seen')],
    ['search', ...times(1001, () => 'seen')],
    'too-many',
  ],
  [
    'fields in one word',
    ['fetch', times(256, () => 'uid').join(' '), 'all'],
    ['fetch', times(257, () => 'uid').join(' '), 'all'],
    'too-many',
  ],
  [
    'values of any other parameter',
    ['who', ...times(1000, (at) => `u${at}`)],
    ['who', ...times(1001, (at) => `u${at}`)],
    'too-many',
  ],
  [
    'parentheses of a query',
    ['search', ...times(23, () => '('), 'seen', ...times(23, () => ')')],
    ['search', ...times(24, () => '('), 'seen', ...times(24, () => ')')],
    'query-invalid',
  ],
];

for (const [what, fits, tooMuch, code] of rows) {
  for (const series of allSeries) {
    // bounds.mailboxNameBytes, bounds.userArgumentBytes, bounds.listWords, bounds.mailboxesPerLine
    // bounds.queryKeys, bounds.queryDepth, bounds.parameterValues
    void test(`${what}: so much and no more (${series})`, () => {
      assert.equal(answer(fits), 'parsed');
      assert.equal(answer(tooMuch), code);
    });

    function answer(words: readonly string[]): string {
      const found = resolveCommand(series, words);
      assert.ok(found, words[0]);
      const read = parseArguments(series, found.command, found.args);
      return read.kind === 'parsed' ? read.kind : read.code;
    }
  }
}

void test('a letter given twice ends the reading of a word of 64 KiB', () => {
  const found = resolveCommand('2.4', ['mailbox delete']);
  assert.ok(found);
  const read = parseArguments('2.4', found.command, [`-${'r'.repeat(65_000)}`]);
  assert.equal(read.kind === 'unparsable' && read.code, 'repeated-option');
});

/** As servers read it, range by range: a comma may stand at the end. */
function isSetByDefinition(text: string): boolean {
  const isEnd = (each: string): boolean =>
    each === '*' || (/^\d{1,10}$/.test(each) && Number(each) > 0 && Number(each) <= 2 ** 32 - 1);
  return text
    .replace(/(?<=.),$/, '')
    .split(',')
    .every((range) => {
      const [first = '', last = first, ...more] = range.split(':');
      return more.length === 0 && isEnd(first) && isEnd(last);
    });
}

void test('a sequence set is what the definition says', () => {
  const signs = ['0', '1', '12', '4294967295', '4294967296', '12345678901', ':', ',', '*', 'a', ''];
  let count = 0;
  for (const a of signs) {
    for (const b of signs) {
      for (const c of signs) {
        for (const d of signs) {
          const text = a + b + c + d;
          assert.equal(isSequenceSet(text), isSetByDefinition(text), text);
          count += 1;
        }
      }
    }
  }
  assert.equal(count, signs.length ** 4);
});
