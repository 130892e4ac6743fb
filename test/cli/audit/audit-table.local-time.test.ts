// Goal: a person at a terminal sees the time of the zone beside UTC, also across the change to summer time; programs see UTC only.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { formatLocal, reportHidden, showsLocalTime } from '../../../src/cli/audit/audit-table.js';
import { keepScreen } from './shown.js';

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
