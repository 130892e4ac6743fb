// A command whose arguments are in records of their own is found by every one of them, wherever the pieces of the trail end; a view limited to
// some users shows none of others' names in them; what is cut is shown as such.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRecord } from '../../../src/domain/audit/encode.js';
import { Ledger } from '../../../src/domain/audit/ledger.js';
import type { AuditRecord } from '../../../src/domain/audit/record.js';
import { recordedLine } from '../../../src/domain/review/recorded.js';
import {
  createSearch,
  type ExchangeRow,
  isRowCut,
  type TrailFilter,
} from '../../../src/domain/trail/search.js';
import { createView } from '../../../src/domain/views/view.js';

const padding = Array.from({ length: 80 }, (_, at) => `Invented-${at}-${'x'.repeat(110)}`);
const people = Array.from({ length: 90 }, (_, at) => `user-number-${at}@example.org`);
const set = `${Array.from({ length: 3000 }, (_, at) => 900_001 + at).join(',')},1:*`;

function trail(): Buffer {
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  const lines: string[] = [];
  let time = Date.UTC(2026, 10, 20, 8);
  const exchange = (id: string, more: Partial<AuditRecord>): void => {
    time += 10;
    const named = {
      session: 'S',
      id,
      listener: 'support',
      principal: 'bob@support',
      policy: 'p',
      series: '2.4',
    };
    const admission = { time, event: 'admission', ...named, decision: 'allow', ...more } as const;
    const bodies = encodeRecord(admission);
    for (const body of typeof bodies === 'string' ? [bodies] : bodies) lines.push(ledger.seal(body));
    const end = encodeRecord({ time, event: 'completion', session: 'S', id, outcome: 'ok', sent: true });
    assert.ok(typeof end === 'string');
    lines.push(ledger.seal(end));
  };
  const alice = { user: 'alice@example.org', users: ['alice@example.org'] };
  exchange('A', {
    ...alice,
    command: 'mailbox delete',
    effect: 'destroy',
    args: ['--', ...padding, 'Payroll-2026', ...padding],
  });
  exchange('B', { ...alice, command: 'mailbox list', effect: 'read', args: ['--', 'INBOX'] });
  exchange('C', {
    command: 'kick',
    effect: 'session',
    args: ['--', ...people, 'zoe@example.net'],
    users: [...people, 'zoe@example.net', ...people.map((one) => `x${one}`)],
  });
  exchange('D', {
    ...alice,
    command: 'flags add',
    effect: 'write',
    args: ['--', '\\Seen', 'mailbox', 'INBOX', 'uid', set],
  });
  exchange('E', {
    ...alice,
    command: 'mailbox status',
    effect: 'read',
    args: ['messages', '--', ...padding, 'Hidden', ...padding],
  });
  return Buffer.from(lines.join(''));
}

const bytes = trail();

/** In pieces of whole lines, so many in each. */
function found(
  filter: TrailFilter,
  linesInPiece: number,
  show = (piece: Buffer): Buffer => piece,
): ExchangeRow[] {
  const lines = bytes.toString('utf8').split('\n').slice(0, -1);
  const search = createSearch(filter);
  const rows: ExchangeRow[] = [];
  for (let at = 0; at < lines.length; at += linesInPiece)
    rows.push(...search.take(show(Buffer.from(`${lines.slice(at, at + linesInPiece).join('\n')}\n`))));
  return [...rows, ...search.finish()];
}

function idsOf(rows: readonly ExchangeRow[]): string {
  return rows.map(({ fields }) => String(fields['id'])).join('');
}

for (const pieces of [1, 2, 3, 100]) {
  void test(`what is in the middle is found, ${pieces} lines a piece`, () => {
    const [first] = found({ id: 'A' }, pieces);
    assert.deepEqual(first?.fields['args'], ['--', ...padding, 'Payroll-2026', ...padding]);
    assert.deepEqual(
      first?.argumentSeqs,
      first?.argumentSeqs?.map((_, at) => 2 + at),
    );
    assert.equal(idsOf(found({ user: 'zoe@example.net' }, pieces)), 'C');
    assert.equal(idsOf(found({ user: 'nobody@example.net' }, pieces)), '');
    assert.equal(idsOf(found({ user: 'user-number-88@example.org' }, pieces)), 'C');
    // The read may name it: its arguments were cut.
    assert.equal(idsOf(found({ text: 'Payroll-2026' }, pieces)), 'AE');
    assert.equal(idsOf(found({ text: ',1:*' }, pieces)), 'DE');
    assert.deepEqual(
      found({}, pieces).map(({ fields }) => isRowCut(fields)),
      [false, false, false, false, true],
    );
  });
}

void test('a set of messages that goes over several records is one word again, and the line can be judged again', () => {
  const [row] = found({ id: 'D' }, 1);
  assert.deepEqual(row?.fields['args'], ['--', '\\Seen', 'mailbox', 'INBOX', 'uid', set]);
  const line = row === undefined ? undefined : recordedLine(row);
  assert.ok(line?.kind === 'line' && line.words.includes(set));
});

void test('a search that goes on later, from the lines that waited', () => {
  const lines = bytes.toString('utf8').split('\n').slice(0, -1);
  const end = lines.findIndex((line) => line.includes('"event":"completion"'));
  const first = createSearch({ id: 'A' });
  assert.deepEqual(first.take(Buffer.from(`${lines.slice(0, end - 1).join('\n')}\n`)), []);
  const later = createSearch({ id: 'A' });
  later.take(Buffer.concat(first.waiting().flatMap((line) => [line, Buffer.from('\n')])));
  // Some lines come a second time.
  const rows = later.takeEnds(Buffer.from(`${lines.slice(1, end + 1).join('\n')}\n`), (line) => line);
  assert.deepEqual(rows[0]?.fields['args'], ['--', ...padding, 'Payroll-2026', ...padding]);
});

void test('a limited view shows argument records with their admission, and hides those that name others', () => {
  const view = createView(['alice@example.org']);
  const rows = found({}, 3, (piece) => view.take(piece));
  assert.equal(idsOf(rows), 'ABDE');
  assert.deepEqual(rows[0]?.fields['args'], ['--', ...padding, 'Payroll-2026', ...padding]);
  const shown = createView(['user-number-0@example.org']).take(bytes).toString('utf8');
  assert.doesNotMatch(shown, /Invented|user-number|Payroll|argument_hash/);
});
