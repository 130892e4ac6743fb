import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import * as fc from 'fast-check';
import { formatLocal, reportHidden, showsLocalTime } from '../../../src/evidence/cli/audit-table.js';
import { type Column, cellsOf, createTable, cutTo } from '../../../src/host/output/table.js';
import { keepScreen } from './shown.js';

type Row = readonly string[];

const columns: readonly Column<Row>[] = [
  { name: 'N', isNumber: true, text: (row) => row[0] ?? '' },
  { name: 'USER', text: (row) => row[1] ?? '', cellsMin: 6 },
  { name: 'WHERE', text: (row) => row[2] ?? '', goes: 1 },
  { name: 'ID', text: (row) => row[3] ?? '', goes: 2 },
];

function table(rows: readonly Row[], width?: number): string[] {
  const made = createTable(columns, keepScreen(width));
  const lines = [...rows.flatMap((row) => made.add(row)), ...made.finish()];
  return lines.map((line) => line.replaceAll(/<title:(.*)>/g, '$1'));
}

const rows = [
  ['1', 'alice@example.com', 'mail1', 'E1'],
  ['22', 'bob', '', 'E2'],
];

void test('without a terminal every value is whole', () => {
  assert.deepEqual(table(rows), [
    ' N  USER               WHERE  ID',
    ' 1  alice@example.com  mail1  E1',
    '22  bob                       E2',
  ]);
  const long = table([['1', 'x'.repeat(500), 'mail1', 'E1'], rows[1] ?? []]);
  assert.equal(long[1], ` 1  ${'x'.repeat(500)}  mail1  E1`);
  assert.equal((long[2] ?? '').length, '22  '.length + 100 + '  mail1  E2'.length);
  // A dry run names two commands and a user.
  const dryRun = 'dovegate dry-run -u alice@example.com -- expunge -- mailbox Trash savedbefore 30d';
  const aligned = table([['1', dryRun, 'mail1', 'E1'], rows[0] ?? []]);
  assert.deepEqual(
    aligned.map((line) => line.search(/WHERE|mail1/)),
    [0, 1, 2].map(() => 'N  '.length + dryRun.length + 2),
  );
});

void test('in a narrow terminal values are cut, then columns go', () => {
  assert.deepEqual(table(rows, 26), [
    ' N  USER         WHERE  ID',
    ' 1  alice@exam…  mail1  E1',
    '22  bob                 E2',
  ]);
  assert.deepEqual(table(rows, 17), [' N  USER    WHERE', ' 1  alice…  mail1', '22  bob']);
  assert.deepEqual(table(rows, 12), [' N  USER', ' 1  alice@e…', '22  bob']);
});

void test('later rows keep to the widths of the first ones', () => {
  const many = Array.from({ length: 300 }, (_, at) => [String(at), at < 250 ? 'bob' : 'somebody', 'm', 'E']);
  const lines = table(many, 40);
  assert.equal(lines.length, 301);
  assert.equal(lines.at(-1), '299  some…  m      E'.replace('some…', 'som…'));
});

void test('nothing is printed for nothing', () => {
  assert.deepEqual(table([]), []);
});

void test('no line is wider than the terminal, whatever is in it', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 60 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text, text, text), { maxLength: 5 }),
      fc.integer({ min: 20, max: 90 }),
      (list, width) => {
        for (const line of table(
          list.map(([user, where, id]) => ['1', user, where, id]),
          width,
        )) {
          assert.ok(cellsOf(line) <= width, `${cellsOf(line)} in ${width}: ${line}`);
        }
      },
    ),
  );
});

void test('wide characters take two cells, marks none, and a pile of marks ends', () => {
  assert.deepEqual(['größe', '漢字', 'e\u0301', '\u{1f600}'].map(cellsOf), [5, 4, 1, 2]);
  assert.equal(cutTo('漢字漢字', 5), '漢字…');
  assert.equal(cutTo('abc', 3), 'abc');
  assert.ok(cutTo(`a${'\u0301'.repeat(9000)}`, 10).length < 60);
});

// Goal: a person at a terminal sees the time of the zone beside UTC, also across the change to summer time; programs see UTC only.

function inZone(t: TestContext, zone: string): void {
  const before = process.env['TZ'];
  process.env['TZ'] = zone;
  t.after(() => {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  });
}

const zones: readonly [string, string, string, boolean][] = [
  ['UTC', '2026-11-20 23:30:00 +00:00', '2026-06-20 23:30:00 +00:00', false],
  ['Europe/Berlin', '2026-11-21 00:30:00 +01:00', '2026-06-21 01:30:00 +02:00', true],
  ['Europe/London', '2026-11-20 23:30:00 +00:00', '2026-06-21 00:30:00 +01:00', true],
  ['America/St_Johns', '2026-11-20 20:00:00 -03:30', '2026-06-20 21:00:00 -02:30', true],
  ['Asia/Kathmandu', '2026-11-21 05:15:00 +05:45', '2026-06-21 05:15:00 +05:45', true],
];

for (const [zone, winter, summer, isShown] of zones) {
  void test(zone, (t) => {
    inZone(t, zone);
    assert.equal(formatLocal('2026-11-20T23:30:00.000Z'), winter);
    assert.equal(formatLocal('2026-06-20T23:30:00.000Z'), summer);
    assert.equal(showsLocalTime(keepScreen(80)), isShown);
    assert.equal(showsLocalTime(keepScreen()), false);
  });
}

void test('what is no time has none', () => {
  assert.deepEqual([undefined, 7, '', 'yesterday', { cut: '2026' }].map(formatLocal), ['', '', '', '', '']);
});

void test('columns that went are named, once, with what shows them', () => {
  const screen = keepScreen(20);
  reportHidden(screen, []);
  assert.equal(screen.complaints(), '');
  reportHidden(screen, ['ID']);
  reportHidden(screen, ['BACKEND', 'ID']);
  assert.equal(
    screen.complaints(),
    'dovegate: this terminal has no room for the column ID: make it wider, or use --json, or | less -S\n' +
      'dovegate: this terminal has no room for the columns BACKEND, ID: make it wider, or use --json, or | less -S\n',
  );
});
