import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series } from '../../../src/doveadm/commands/catalog.js';
import {
  conditionsIn,
  conditionsOfAll,
  isAtom,
  isSequenceSet,
  mayExpunge,
  namesMailbox,
  parseSearchQuery,
  type SearchCondition,
  type SearchNode,
  searchKeyNamed,
  searchSize,
  searchTime,
  selectsEverything,
} from '../../../src/doveadm/commands/search-query.js';
import { shownText, testAnswers, textOf } from './approved.js';

/** A tree in words, each key after its position: `(and 0:mailbox=Trash 2:seen)`. */
function show(node: SearchNode): string {
  if (node.kind === 'key') return `${node.at}:${[node.key.name, ...node.values].join('=')}`;
  const inside = 'node' in node ? [node.node] : node.nodes;
  return `(${[node.kind, ...inside.map(show)].join(' ')})`;
}

const nowMs = 1_795_176_000_000;

function answerTo(series: Series, words: readonly string[]): string {
  const parsed = parseSearchQuery(series, words);
  if (parsed.kind === 'unparsable') return `${parsed.code}: ${parsed.message}`;
  const keys = conditionsIn(parsed);
  assert.equal(conditionsIn(parsed), keys);
  const list = (what: string, found: readonly SearchCondition[]): string =>
    found.length === 0 ? '' : `; ${what}: ${found.map(({ at }) => at).join(' ')}`;
  const wide = keys.filter(({ key, values }) => selectsEverything(series, key, values, nowMs));
  return [
    show(parsed),
    keys.length > 1 ? list('keys', keys) : '',
    list('each match meets', conditionsOfAll(parsed)),
    list('nearly all mails meet', wide),
    namesMailbox(parsed) ? '; names a mailbox' : '',
    mayExpunge(parsed) ? '; may expunge' : '',
  ].join('');
}

testAnswers('queries.cases', 2, (series, [, shown = '']) => {
  const words = shown === '' ? [] : shown.split(' ').map((word) => (word === '""' ? '' : textOf(word)));
  return shownText(answerTo(series, words));
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
  const words = '|user|inboxes|mailbox | seen|x-mailbox|mimepart|$|constructor|__proto__|or|not|('.split('|');
  // The last but one is a Kelvin sign, which lower-cases to k everywhere but in a server.
  for (const word of [...words, '\u212Aeyword', 'ſeen']) assert.equal(searchKeyNamed(word), undefined, word);
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

const moment = (seconds: number) => ({ kind: 'time', earliest: seconds, latest: seconds });

test('dates and timestamps', () => {
  assert.deepEqual(searchTime('2.4', '2026-01-31'), moment(1_769_817_600));
  const local = { kind: 'time', earliest: 1_769_817_600 - 14 * 3600, latest: 1_769_817_600 + 12 * 3600 };
  assert.deepEqual(searchTime('2.3', '2026-01-31'), local);
  assert.deepEqual(searchTime('2.4', '31-Jan-2026'), local);
  assert.deepEqual(searchTime('2.3', '31-jAN-2026'), local);
  assert.deepEqual(searchTime('2.3', '1769817600'), moment(1_769_817_600));
  // Without a unit it is a time long ago, not an age.
  assert.deepEqual(searchTime('2.3', '30'), moment(30));
  assert.deepEqual(searchTime('2.4', '1970-01-01'), moment(0));
  assert.deepEqual(searchTime('2.4', '2000-02-29'), moment(951_782_400));
});

test('every day since 1970 is where the calendar has it', () => {
  for (let day = 0; day < 60_000; day += 37) {
    const text = new Date(day * 86_400_000).toISOString().slice(0, 10);
    assert.deepEqual(searchTime('2.4', text), moment(day * 86_400), text);
  }
});

test('every month is named as in mails', () => {
  const names = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
  for (const [month, name] of names.entries()) {
    const midnight = Date.UTC(2026, month, 9) / 1000;
    const span = { kind: 'time', earliest: midnight - 14 * 3600, latest: midnight + 12 * 3600 };
    assert.deepEqual(searchTime('2.4', `9-${name}-2026`), span, name);
  }
});

test('no times', () => {
  const texts = [
    ...'|d|30x|30ms|-30d|+30d|30d | 30d|30\td|2026-13-01|2026-02-29|2026-00-01|1969-12-31'.split('|'),
    // Servers die of the first one.
    '-1',
    '-86400',
    ...'2026-1-1|31-Foo-2026|31-Jan-26|0-Jan-2026| 1-Jan-2026|7102w|0x10|1e3|30daysago|３０d'.split('|'),
  ];
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
