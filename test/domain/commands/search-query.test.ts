import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { allSeries } from '../../../src/domain/commands/catalog.js';
import {
  conditionsIn,
  conditionsOfAll,
  isAtom,
  isSequenceSet,
  mayExpunge,
  namesMailbox,
  parseSearchQuery,
  type SearchNode,
  searchKeyNamed,
  searchSize,
  searchTime,
  selectsEverything,
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
  [['older', '0x5'], 'no interval'],
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

test('every key has a class', () => {
  const classes: Record<string, string> = {
    place: 'mailbox mailbox-guid',
    number: 'all oldestonly uid x-real-uid larger smaller guid x-guid modseq',
    date: 'before on since sentbefore senton sentsince savedbefore savedon savedsince x-savedbefore older younger savedatesupported',
    flag: 'answered unanswered deleted undeleted draft undraft flagged unflagged seen unseen recent old new keyword unkeyword',
    content: 'bcc cc from to subject body text header',
  };
  for (const [name, keys] of Object.entries(classes)) {
    for (const key of keys.split(' ')) {
      assert.equal(searchKeyNamed(key)?.class, name, key);
      assert.equal(searchKeyNamed(key.toUpperCase())?.class, name, key);
    }
  }
});

test('what is no key', () => {
  const words = [
    '',
    'user',
    'inboxes',
    'mailbox ',
    ' seen',
    'x-mailbox',
    'mimepart',
    '$',
    'constructor',
    '__proto__',
    'or',
    'not',
    '(',
  ];
  // The last but one is a Kelvin sign, which lower-cases to k everywhere but in a server.
  for (const word of [...words, '\u212Aeyword', 'ſeen']) assert.equal(searchKeyNamed(word), undefined, word);
});

test('an old name is the same key', () => {
  assert.equal(searchKeyNamed('X-SavedBefore')?.name, 'savedbefore');
  assert.equal(searchKeyNamed('x-guid')?.name, 'guid');
});

test('ages', () => {
  const ages: [string, number][] = [
    ['30d', 2_592_000],
    ['30 days', 2_592_000],
    ['2w', 1_209_600],
    ['1WEEK', 604_800],
    ['5m', 300],
    ['5 mi', 300],
    ['90s', 90],
    ['1h', 3600],
    ['0d', 0],
    ['7101w', 4_294_684_800],
  ];
  for (const [text, seconds] of ages)
    assert.deepEqual(searchTime('2.3', text), { kind: 'age', seconds }, text);
});

test('dates and timestamps', () => {
  assert.deepEqual(searchTime('2.4', '2026-01-31'), {
    kind: 'time',
    earliest: 1_769_817_600,
    latest: 1_769_817_600,
  });
  const local = { kind: 'time', earliest: 1_769_817_600 - 14 * 3600, latest: 1_769_817_600 + 12 * 3600 };
  assert.deepEqual(searchTime('2.3', '2026-01-31'), local);
  assert.deepEqual(searchTime('2.4', '31-Jan-2026'), local);
  assert.deepEqual(searchTime('2.3', '31-jAN-2026'), local);
  assert.deepEqual(searchTime('2.3', '1769817600'), {
    kind: 'time',
    earliest: 1_769_817_600,
    latest: 1_769_817_600,
  });
  // Without a unit it is a time long ago, not an age.
  assert.deepEqual(searchTime('2.3', '30'), { kind: 'time', earliest: 30, latest: 30 });
  assert.deepEqual(searchTime('2.4', '1970-01-01'), { kind: 'time', earliest: 0, latest: 0 });
  assert.deepEqual(searchTime('2.4', '2000-02-29'), {
    kind: 'time',
    earliest: 951_782_400,
    latest: 951_782_400,
  });
});

test('every day since 1970 is where the calendar has it', () => {
  for (let day = 0; day < 60_000; day += 37) {
    const text = new Date(day * 86_400_000).toISOString().slice(0, 10);
    assert.deepEqual(
      searchTime('2.4', text),
      { kind: 'time', earliest: day * 86_400, latest: day * 86_400 },
      text,
    );
  }
});

test('no times', () => {
  const texts = [
    '',
    'd',
    '30x',
    '30ms',
    '-30d',
    '+30d',
    '30d ',
    ' 30d',
    '30\td',
    '2026-13-01',
    '2026-02-29',
    '2026-00-01',
    '1969-12-31',
    // Servers die of the first one.
    '-1',
    '-86400',
  ];
  texts.push(
    '2026-1-1',
    '31-Foo-2026',
    '31-Jan-26',
    '0-Jan-2026',
    ' 1-Jan-2026',
    '7102w',
    '0x10',
    '1e3',
    '30daysago',
    '３０d',
  );
  for (const text of texts) {
    for (const series of ['2.3', '2.4'] as const) assert.equal(searchTime(series, text), undefined, text);
  }
});

test('sizes', () => {
  const sizes: [string, number | undefined][] = [
    ['10', 10],
    ['10b', 10],
    ['10 KiB', 10_240],
    ['1k', 1024],
    ['1M', 1_048_576],
    ['2GB', 2_147_483_648],
    ['1Ti', 1_099_511_627_776],
    ['', undefined],
    ['k', undefined],
    ['-1', undefined],
    ['10bb', undefined],
    ['10 x', undefined],
    ['1.5M', undefined],
    ['999999999999999T', undefined],
  ];
  for (const [text, bytes] of sizes) assert.equal(searchSize(text), bytes, text);
});

test('sets of numbers', () => {
  for (const text of '1 1,2 1:5 5:1 1:* 3,7:* 4294967295 * *:1 *:* 1,* *,3 1,'.split(' '))
    assert.ok(isSequenceSet(text), text);
  // Servers up to 2.4.1 read 4294967297 as 1; those after 2.4.4 take "5*".
  const not = `0 , 1,, 1,,2 *1 ** *: :* ,1 1: :1 1:2:3 5* -1 4294967296 4294967297 a 1,0 ١`.split(' ');
  for (const text of [...not, '', '1 2']) assert.equal(isSequenceSet(text), false, text);
});

test('atoms', () => {
  for (const text of ['work', '$Forwarded', 'a-b_c.d', '!']) assert.ok(isAtom(text), text);
  for (const text of ['', 'a b', 'a(', 'a)', 'a{', 'a%', 'a*', 'a"', 'a\\', 'a]', 'ü', 'a\n'])
    assert.equal(isAtom(text), false, text);
});

test('a key that every mail meets narrows nothing, and its neighbour does', () => {
  const nowMs = 1_795_176_000_000;
  const seconds = nowMs / 1000;
  // What all mails meet, then what some do not.
  const rows: readonly (readonly [all: string, some: string])[] = [
    ['subject ', 'subject abc'],
    ['subject ab', 'subject 日'],
    ['subject -=-', 'subject a-b-c'],
    ['body ä', 'body äb'],
    ['header  abc', 'header abc abc'],
    ['header x y', 'header x yes'],
    ['guid ', 'guid x'],
    ['larger 0', 'larger 1'],
    [`smaller ${2 ** 40}`, `smaller ${2 ** 40 - 1}`],
    ['uid 1:*', 'uid 2:*'],
    ['uid *:1', 'uid 1:4294967293'],
    ['uid 1:4294967294', 'uid 1'],
    ['uid 5:*,1:4', 'uid 6:*,1:4'],
    ['uid 1,2:3,4:*', 'uid *'],
    ['modseq 1', 'modseq 2'],
    [`younger ${seconds - 2 * 86_400}`, `younger ${seconds - 2 * 86_400 - 1}`],
    ['savedbefore 0d', 'savedbefore 1d'],
    [`savedbefore ${seconds}`, `savedbefore ${seconds - 1}`],
    [`since ${2 * 86_400}`, `since ${2 * 86_400 + 1}`],
    ['since 7101w', 'since 1w'],
  ];
  const nothing = ['seen', 'keyword x', `older ${seconds - 86_400}`, `on ${seconds}`, 'mailbox INBOX'];
  const isAll = (text: string): boolean => {
    const [name = '', ...values] = text.split(' ');
    return selectsEverything('2.3', searchKeyNamed(name) ?? assert.fail(name), values, nowMs);
  };
  for (const [all, some] of rows)
    assert.deepEqual([isAll(all), isAll(some)], [true, false], `${all}, ${some}`);
  for (const text of nothing) assert.equal(isAll(text), false, text);
});

test('a refusal says what is wrong with the query', () => {
  const mixed = 'OR and AND are mixed; put parentheses around one of them';
  const rows: readonly (readonly [words: string, why: string])[] = [
    ['', 'word 1 is no key; each word of a query is a field of its own'],
    ['( seen', 'a "(" is not closed'],
    ['seen )', 'a ")" closes nothing'],
    ['( )', 'a pair of parentheses is empty'],
    ['or seen', 'OR stands between two keys'],
    ['not or', 'OR stands between two keys'],
    ['seen or', 'a key is missing'],
    ['seen answered or all', mixed],
    ['seen or answered all', mixed],
    ['not '.repeat(60), `it is nested more than ${bounds.queryDepth} deep`],
    ['seen bogus', 'word 2 is no key; each word of a query is a field of its own'],
    ['header x', 'a value of header is missing'],
    ['mimepart child', 'the key mimepart is refused: it is not taken'],
    ['larger big', 'the value of larger cannot be read'],
  ];
  for (const [text, why] of rows) {
    const parsed = parseSearchQuery('2.4', text.split(' '));
    assert.equal(
      parsed.kind === 'unparsable' ? parsed.message : show(parsed),
      `the search query cannot be taken: ${why}`,
    );
  }
  const many = Array.from({ length: bounds.mailboxesPerLine + 1 }, () => ['mailbox', 'a']).flat();
  const parsed = parseSearchQuery('2.4', many);
  assert.equal(
    parsed.kind === 'unparsable' ? parsed.message : '',
    `the query names more than ${bounds.mailboxesPerLine} mailboxes; use several commands`,
  );
});
