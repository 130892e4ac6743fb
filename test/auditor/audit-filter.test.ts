import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command, InvalidArgumentError } from 'commander';
import type { TrailFilter } from '../../src/audit/search.js';
import { addFilterOptions, filterOf, parseMoment } from '../../src/auditor/audit-filter.js';

const now = Date.UTC(2026, 10, 20, 12);

function read(...args: string[]): TrailFilter {
  const command = addFilterOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  command.parse(args, { from: 'user' });
  return filterOf(command.opts(), now);
}

void test('options become a filter', () => {
  const given = ['--user', 'a*', '--command', 'mailbox list', '--decision', 'deny', '--outcome', 'open'];
  const more = ['--backend', 'mail1', '--listener', 'support', '--session', 'S1', '--text', 'x y'];
  const { principal, sinceMs, untilMs, ...filter } = read(...given, ...more);
  assert.deepEqual([principal, sinceMs, untilMs], [undefined, undefined, undefined]);
  assert.deepEqual(filter, {
    user: 'a*',
    command: 'mailbox list',
    decision: 'deny',
    outcome: 'open',
    backend: 'mail1',
    listener: 'support',
    session: 'S1',
    text: 'x y',
  });
});

void test('a principal without listener is that one at any', () => {
  assert.equal(read('--principal', 'bob').principal, 'bob@*');
  assert.equal(read('--principal', 'bob@support').principal, 'bob@support');
  assert.equal(read('--principal', 'b*').principal, 'b*');
});

void test('times are durations before now, days, or moments with their zone', () => {
  const range = (since: string, until: string) => {
    const { sinceMs, untilMs } = read('--since', since, '--until', until);
    return [sinceMs, untilMs];
  };
  assert.deepEqual(range('2d', '90m'), [now - 2 * 86_400_000, now - 90 * 60_000]);
  assert.deepEqual(range('2026-11-19', '2026-11-19'), [Date.UTC(2026, 10, 19), Date.UTC(2026, 10, 20)]);
  assert.deepEqual(range('2026-11-19T10:00:00Z', '2026-11-19T10:00:00.250+01:00'), [
    Date.UTC(2026, 10, 19, 10),
    Date.UTC(2026, 10, 19, 9, 0, 0, 250),
  ]);
});

void test('what is no time, decision or outcome is refused', () => {
  for (const text of ['', 'yesterday', '2026-02-30', '2026-11-19T10:00:00', '-1d', '10:00']) {
    assert.throws(() => parseMoment(text, 'start'), InvalidArgumentError, text);
  }
  assert.throws(() => read('--decision', 'maybe'));
  assert.throws(() => read('--outcome', 'fine'));
});
