// Rows of the trail: values of records as people read them, the columns of an address, and what was looked through.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrailRow } from '../../src/domain/page/trail.js';
import {
  columnsOf,
  columnsText,
  commandText,
  knownValues,
  lookedText,
  lookedWith,
  outcomeOf,
  outcomeTone,
  retiredTexts,
  trailColumns,
  valueText,
  wantedOf,
  wouldText,
} from '../../src/web/trail-rows.js';

const row = (fields: TrailRow['fields'], more: Partial<TrailRow> = {}): TrailRow => ({ fields, ...more });

void test('every kind of value has a text', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [undefined, ''],
    [null, ''],
    ['<img onerror=alert(1)>', '<img onerror=alert(1)>'],
    [1.5, '1.5'],
    [true, 'true'],
    [['a', { hmac: 'ab' }, { more: 3 }], 'a hmac:ab (3 more, not recorded)'],
    [{ cut: 'abc', bytes: 4096, sha256: 'x' }, 'abc(cut: 4096 bytes)'],
    [{ uid: 5, user: 'bob' }, 'uid=5 user=bob'],
    // A program that is called as if it were another peer.
    [{ uid: 5, exe: '/a" uid=0' }, 'uid=5 exe="/a\\" uid=0"'],
    [{ bytes: 12, hmac: 'ab' }, 'hmac:ab'],
    [{ bytes: 12 }, 'bytes=12'],
  ];
  for (const [value, text] of cases) assert.equal(valueText(value), text);
});

void test('an outcome is a word and a tone; without an end it is open', () => {
  assert.equal(outcomeOf(row({ outcome: 'ok' }, { completedSeq: 2 })), 'ok');
  assert.equal(outcomeOf(row({})), 'open');
  assert.deepEqual(['ok', 'open', 'denied', 'unparsable', 'failed', 'x'].map(outcomeTone), [
    'good',
    'quiet',
    'bad',
    'bad',
    'warn',
    'warn',
  ]);
  assert.equal(wouldText(row({ would: 'deny', mode: 'observe' })), 'would be denied');
  assert.equal(wouldText(row({ would: 'allow', mode: 'shadow' })), 'the shadow would allow');
  assert.equal(wouldText(row({})), '');
});

void test('columns stand in the address; what is none is left out', () => {
  const usual = columnsOf(null);
  assert.equal(columnsText(usual), null);
  assert.deepEqual(
    columnsOf('id,nothing,time').map(({ id }) => id),
    ['time', 'id'],
  );
  assert.deepEqual(columnsOf('nothing'), usual);
  assert.equal(columnsText(columnsOf('id,time')), 'time,id');
  assert.equal(new Set(trailColumns.map(({ title }) => title)).size, trailColumns.length);
});

void test('a row is opened by its id, or by its seq where the id is none', () => {
  assert.equal(wantedOf(row({ id: '01M7' })), '01M7');
  assert.equal(wantedOf(row({ id: '../x' }, { admittedSeq: 5 })), '5');
  assert.equal(wantedOf(row({ id: { cut: 'x' } })), undefined);
  assert.equal(commandText(row({ command: 'mailbox list', args: ['--', 'a b'] })), 'mailbox list -- a b');
  assert.deepEqual(knownValues([row({ user: 'b' }), row({ user: 'a' }), row({ user: 5 })]).user, ['a', 'b']);
});

void test('pages add up what they looked through', () => {
  const page = (fromSeq: number, toSeq: number, fromTime: string, toTime: string) => ({
    rows: 0,
    looked: { fromSeq, toSeq, fromTime, toTime },
  });
  const one = lookedWith(undefined, page(901, 2000, 'B', 'C'));
  const two = lookedWith(one, page(1, 900, 'A', 'B'));
  assert.deepEqual(two, { records: 2000, fromTime: 'A', toTime: 'C' });
  assert.equal(lookedText(two, true), 'Looked through 2,000 records from {A} to {C}; nothing older is left.');
  assert.equal(lookedWith(two, { rows: 0 }), two);
  assert.match(lookedText(undefined, true), /^The journal holds no records/);
  assert.deepEqual(
    retiredTexts([
      { segments: 2, until: 'A', by: 'age' },
      { segments: 2, until: 'A', by: 'age' },
      { segments: 1 },
    ]),
    [
      'Records before {A} were removed by age (audit.keep): 2 segments.',
      'Older records were removed: 1 segment.',
    ],
  );
});
