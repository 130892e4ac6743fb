import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries } from '../../../src/domain/commands/catalog.js';
import {
  conditionsIn,
  conditionsOfAll,
  mayExpunge,
  namesMailbox,
  parseSearchQuery,
  type SearchNode,
} from '../../../src/domain/commands/search-query.js';

/** A tree in words: `(and mailbox=Trash seen)`. */
function show(node: SearchNode): string {
  if (node.kind === 'key') return [node.key.name, ...node.values].join('=');
  const inside = 'node' in node ? [node.node] : node.nodes;
  return `(${[node.kind, ...inside.map(show)].join(' ')})`;
}

function tree(...words: string[]): SearchNode {
  const parsed = parseSearchQuery('2.4', words);
  if (parsed.kind === 'unparsable') assert.fail(parsed.message);
  return parsed;
}

const trees: [words: string[], shown: string][] = [
  [['all'], 'all'],
  [['mailbox', 'Trash', 'SavedBefore', '30d'], '(and mailbox=Trash savedbefore=30d)'],
  [['x-savedbefore', '30d'], 'savedbefore=30d'],
  [['mailbox', 'A', 'OR', 'mailbox', 'B', 'or', 'seen'], '(or mailbox=A mailbox=B seen)'],
  [['(', 'mailbox', 'A', 'or', 'mailbox', 'B', ')', 'seen'], '(and (or mailbox=A mailbox=B) seen)'],
  [['(', '(', 'seen', ')', ')'], 'seen'],
  [['NOT', 'seen', 'all'], '(and (not seen) all)'],
  [['not', 'not', 'seen'], '(not (not seen))'],
  [['not', '(', 'seen', 'answered', ')'], '(not (and seen answered))'],
  [['not', 'seen', 'or', 'all'], '(or (not seen) all)'],
  [['fuzzy', 'subject', 'x'], '(fuzzy subject=x)'],
  [['header', 'X-Spam', 'yes', '1:5'], '(and header=X-Spam=yes sequence=1:5)'],
  [['subject', 'or', 'from', ')', 'body', '(', 'text', 'not'], '(and subject=or from=) body=( text=not)'],
  [['uid', '3', '2:*'], '(and uid=3 sequence=2:*)'],
  [['*'], 'sequence=*'],
  [['not', '*:2', 'uid', '1,*'], '(and (not sequence=*:2) uid=1,*)'],
  [['subject', ''], 'subject='],
  [['mailbox', '--'], 'mailbox=--'],
];

for (const [words, shown] of trees) {
  test(`${words.join(' ')}: ${shown}`, () => {
    for (const series of allSeries) {
      const parsed = parseSearchQuery(series, words);
      assert.equal(parsed.kind === 'unparsable' ? parsed.message : show(parsed), shown);
    }
  });
}

const refused: [words: string[], why: string][] = [
  [[], 'no words'],
  [[''], 'an empty word'],
  [['bogus'], 'an unknown key'],
  [['mailbox INBOX', 'all'], 'two words in one field'],
  [['mailbox'], 'no value'],
  [['header', 'X'], 'one value of two'],
  [['mailbox', ''], 'an empty mailbox'],
  [['('], 'an open parenthesis'],
  [['(', 'seen'], 'an open parenthesis'],
  [['seen', ')'], 'a closing one too many'],
  [['(', ')'], 'an empty pair'],
  [['(seen)'], 'parentheses that touch a word'],
  [['not'], 'NOT before nothing'],
  [['(', 'not', ')'], 'NOT before the end of a list'],
  [['or', 'seen', 'all'], 'OR in front, as IMAP has it'],
  [['seen', 'or'], 'OR before nothing'],
  [['seen', 'or', 'or', 'all'], 'two ORs'],
  [['not', 'or', 'seen'], 'NOT OR, which turns its list into one of alternatives'],
  [['mailbox', 'A', 'inthread', 'refs', 'seen'], 'threads, of some of which servers die'],
  [['seen', 'answered', 'or', 'all'], 'AND, then OR: the server takes all three as alternatives'],
  [['seen', 'or', 'answered', 'all'], 'OR, then AND: the server ends'],
  [['inthread', 'refs', 'all'], 'threads, of some of which servers die'],
  [['savedbefore', 'yesterday'], 'no date'],
  [['older', '30d'], 'seconds are wanted'],
  [['older', '0'], 'no interval'],
  [['larger', 'big'], 'no size'],
  [['uid', '0'], 'no UID'],
  [['uid', '$'], 'a reference to an earlier search'],
  [['$'], 'a reference to an earlier search'],
  [['0'], 'no sequence number'],
  [['5*'], 'only the newest servers read it'],
  [['uid', '**'], 'no set'],
  [['1,,2'], 'no set'],
  [['5k'], 'no sequence set'],
  [['keyword', 'a b'], 'no keyword'],
  [['modseq', '/flags/\\Seen', 'all', '5'], 'an extended modseq'],
  [['mimepart', 'child'], 'a MIME part'],
  [['x-mailbox', 'a'], 'a mailbox in modified UTF-7'],
  [['user', 'bob', 'all'], 'the word for a source user'],
  [Array.from({ length: 60 }, () => '('), 'too deep'],
  [[...Array.from({ length: 60 }, () => 'not'), 'seen'], 'too deep'],
];

for (const [words, why] of refused) {
  test(`refused: ${words.join(' ').slice(0, 60)}: ${why}`, () => {
    for (const series of allSeries) {
      const parsed = parseSearchQuery(series, words);
      assert.equal(parsed.kind === 'unparsable' ? parsed.code : show(parsed), 'query-invalid');
    }
  });
}

test('what a match must meet is what stands in the outer list', () => {
  const query = tree(
    'mailbox',
    'Trash',
    '(',
    'savedbefore',
    '30d',
    'seen',
    ')',
    'not',
    'deleted',
    '(',
    'uid',
    '1',
    'or',
    'uid',
    '2',
    ')',
  );
  assert.deepEqual(
    conditionsOfAll(query).map((one) => one.key.name),
    ['mailbox', 'savedbefore', 'seen'],
  );
  assert.deepEqual(
    conditionsIn(query).map((one) => one.key.name),
    ['mailbox', 'savedbefore', 'seen', 'deleted', 'uid', 'uid'],
  );
  for (const words of [
    ['mailbox', 'Trash', 'or', 'all'],
    ['not', 'mailbox', 'Trash'],
    ['fuzzy', 'seen'],
  ]) {
    assert.deepEqual(conditionsOfAll(tree(...words)), [], words.join(' '));
  }
});

test('a condition knows the place of its key', () => {
  const words = ['mailbox', 'mailbox', '(', 'subject', 'subject', 'or', 'header', 'a', 'b', ')'];
  assert.deepEqual(
    conditionsIn(tree(...words)).map((one) => one.at),
    [0, 3, 6],
  );
});

test('which queries name a mailbox in every branch', () => {
  const yes = [
    ['mailbox', 'A'],
    ['mailbox-guid', 'x', 'seen'],
    ['mailbox', 'A', 'or', 'mailbox', 'B'],
    ['(', 'seen', 'mailbox', 'A', ')', 'all'],
  ];
  const no = [['all'], ['not', 'mailbox', 'A'], ['mailbox', 'A', 'or', 'all'], ['fuzzy', 'mailbox', 'A']];
  for (const words of yes) assert.equal(namesMailbox(tree(...words)), true, words.join(' '));
  for (const words of no) assert.equal(namesMailbox(tree(...words)), false, words.join(' '));
});

test('which queries an expunge takes', () => {
  const yes = [
    ['mailbox', 'A', 'all'],
    ['(', 'mailbox', 'A', 'or', 'mailbox', 'B', ')', 'seen'],
    ['mailbox', 'A', 'not', 'seen'],
  ];
  const no = [
    ['all'],
    ['mailbox', 'A'],
    ['mailbox', 'A', 'or', 'mailbox', 'B'],
    ['mailbox', 'A', 'or', 'seen'],
    ['not', 'mailbox', 'A', 'all'],
  ];
  for (const words of yes) assert.equal(mayExpunge(tree(...words)), true, words.join(' '));
  for (const words of no) assert.equal(mayExpunge(tree(...words)), false, words.join(' '));
});

test('a refusal does not repeat values', () => {
  const parsed = parseSearchQuery('2.3', ['subject', 'hunter2', 'hunter2']);
  assert.equal(parsed.kind, 'unparsable');
  if (parsed.kind === 'unparsable') assert.equal(parsed.message.includes('hunter2'), false);
});
