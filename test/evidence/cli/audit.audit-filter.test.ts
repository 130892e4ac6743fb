import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { addFilterOptions, filterOf } from '../../../src/evidence/cli/audit.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { parseMoment } from '../../../src/host/words/moments.js';

function read(...args: string[]): TrailFilter {
  const command = addFilterOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  command.parse(args, { from: 'user' });
  return filterOf(command.opts());
}

function pickedFrom(...args: string[]): object {
  return Object.fromEntries(Object.entries(read(...args)).filter(([, value]) => value !== undefined));
}

void test('options become a filter', () => {
  assert.deepEqual(pickedFrom('--would', 'any', '--shadow', 'denied'), { would: 'any', shadow: 'denied' });
  assert.throws(() => read('--shadow', 'deny'), /Allowed choices are served, /);
  const given = ['--user', 'a*', '--command', 'mailbox list', '--policy', 'support', '--outcome', 'open'];
  const more = [
    '--effect',
    'write',
    '--backend',
    'mail1',
    '--listener',
    'support',
    '--session',
    'S1',
    '--text',
    'x y',
  ];
  const { principal, sinceMs, untilMs, ...filter } = read(...given, ...more);
  assert.deepEqual([principal, sinceMs, untilMs], [undefined, undefined, undefined]);
  assert.deepEqual(filter, {
    user: 'a*',
    command: 'mailbox list',
    policy: 'support',
    outcome: 'open',
    effect: 'write',
    backend: 'mail1',
    listener: 'support',
    session: 'S1',
    text: 'x y',
  });
});

void test('options that are no filter are not in it', () => {
  const options = { grant: 'G1', config: '/etc/dovegate.yaml', json: true, format: 'csv', key: [] };
  assert.deepEqual(filterOf(options), { grant: 'G1' });
});

void test('a principal without listener is that one at any', () => {
  assert.equal(read('--principal', 'bob').principal, 'bob@*');
  assert.equal(read('--principal', 'bob@support').principal, 'bob@support');
  assert.equal(read('--principal', 'b*').principal, 'b*');
});

void test('what is left out has a key and a value', () => {
  const command = addFilterOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const given = ['--not', 'outcome:ok', '--not', 'command:mailbox list'];
  assert.deepEqual(command.parse(given, { from: 'user' }).opts()['not'], [
    { key: 'outcome', value: 'ok' },
    { key: 'command', value: 'mailbox list' },
  ]);
  for (const wrong of ['ok', 'outcome:', 'since:1h', ':ok'])
    assert.throws(() => command.parse(['--not', wrong], { from: 'user' }), /It must be KEY:VALUE/, wrong);
});

void test('times are moments; a day begins or ends there', () => {
  const range = (since: string, until: string) => {
    const { sinceMs, untilMs } = read('--since', since, '--until', until);
    return [sinceMs, untilMs];
  };
  assert.deepEqual(range('2026-11-19', '2026-11-19'), [Date.UTC(2026, 10, 19), Date.UTC(2026, 10, 20)]);
  const [today = 0, tomorrow = 0] = range('today', 'today');
  const before = Date.now();
  const { sinceMs = 0 } = read('--since', '2h');
  assert.ok(sinceMs >= before - 7_200_000 && sinceMs <= Date.now() - 7_200_000);
  assert.deepEqual([today % 86_400_000, tomorrow - today], [0, 86_400_000]);
});

void test('what is no time, outcome or effect is refused', () => {
  assert.throws(() => read('--since', '2026-02-30'));
  assert.throws(() => read('--until', 'tomorrow'));
  assert.throws(() => read('--outcome', 'fine'));
  assert.throws(() => read('--effect', 'harmless'));
});

void test('a time that ends before it begins is an error, and no empty answer', () => {
  assert.throws(() => read('--since', '2026-11-25', '--until', '2026-11-20'), {
    exitCode: 64,
    message:
      '--since must be before --until: --since is 2026-11-25T00:00:00.000Z, and --until is 2026-11-21T00:00:00.000Z',
  });
  assert.throws(
    () => read('--since', '2026-11-20T10:00:00Z', '--until', '2026-11-20T10:00:00Z'),
    /must be before/,
  );
  assert.notEqual(read('--since', '2026-11-20', '--until', '2026-11-20').sinceMs, undefined);
});

// What people type for a moment, as a table.

const now = Date.UTC(2026, 10, 20, 12, 30);
const day = (date: number, hour = 0) => Date.UTC(2026, 10, date, hour);

const cases: readonly (readonly [text: string, start: number | undefined, end: number | undefined])[] = [
  ['2d', now - 2 * 86_400_000, now - 2 * 86_400_000],
  ['90m', now - 90 * 60_000, now - 90 * 60_000],
  ['today', day(20), day(21)],
  ['yesterday', day(19), day(20)],
  ['2026-11-19', day(19), day(20)],
  ['2026-11-19T10:00:00Z', day(19, 10), day(19, 10)],
  ['2026-11-19T10:00:00.250+01:00', day(19, 9) + 250, day(19, 9) + 250],
  ['', undefined, undefined],
  ['tomorrow', undefined, undefined],
  ['Today', day(20), day(21)],
  ['2026-02-30', undefined, undefined],
  ['2026-11-19T10:00:00', day(19, 10), day(19, 10)],
  ['2026-11-19 10:00', day(19, 10), day(19, 10)],
  ['2h', now - 2 * 3_600_000, now - 2 * 3_600_000],
  // The last time that a clock had it.
  ['10:00', day(20, 10), day(20, 10)],
  ['13:00', day(19, 13), day(19, 13)],
  ['yesterday 01:30', day(19, 1) + 30 * 60_000, day(19, 1) + 30 * 60_000],
  ['19 Nov', day(19), day(20)],
  ['19nov 10:00:01', day(19, 10) + 1000, day(19, 10) + 1000],
  ['28 Nov', Date.UTC(2025, 10, 28), Date.UTC(2025, 10, 29)],
  ['28-Nov-2024', Date.UTC(2024, 10, 28), Date.UTC(2024, 10, 29)],
  ['30 Feb', undefined, undefined],
  ['19 Foo', undefined, undefined],
  ['24:00', undefined, undefined],
  ['10', undefined, undefined],
  ['10:00Z', undefined, undefined],
  ['-1d', undefined, undefined],
];

test('a moment, as the start or the end of a day', () => {
  for (const [text, start, end] of cases) {
    assert.equal(parseMoment(text, 'start', now), start, text);
    assert.equal(parseMoment(text, 'end', now), end, text);
  }
});
