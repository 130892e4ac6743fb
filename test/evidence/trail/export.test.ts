import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { exportColumns, formatCsvRow, formatJsonRow } from '../../../src/evidence/trail/export.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { printable } from '../../../src/host/words/text.js';

function row(fields: Record<string, unknown>): ExchangeRow {
  return { fields, admittedSeq: 3, completedSeq: 7, completedTime: '2026-11-20T08:00:03.500Z' };
}

/** As a program that reads CSV would. */
function cells(line: string): string[] {
  const found: string[] = [];
  for (let at = 0; at <= line.length; ) {
    if (line[at] === '"') {
      let until = line.indexOf('"', at + 1);
      while (line[until + 1] === '"') until = line.indexOf('"', until + 2);
      found.push(line.slice(at + 1, until).replaceAll('""', '"'));
      at = until + 2;
    } else {
      const comma = line.indexOf(',', at);
      const until = comma < 0 ? line.length : comma;
      found.push(line.slice(at, until));
      at = until + 1;
    }
  }
  return found;
}

function cell(column: string, value: unknown): string {
  return cells(formatCsvRow(row({ [column]: value })))[exportColumns.indexOf(column)] ?? 'none';
}

void test('no cell is a formula in a spreadsheet', () => {
  for (const text of ['=1+1', '+1', '-1', '@SUM(A1)', ' =1', '\uff1d1', '--A1', '"=1"', "'=1", '-NOPERM']) {
    assert.match(cell('user', text), /^'/, JSON.stringify(text));
  }
  // A list that is separated otherwise than the file is split there.
  const german = (text: string): string => formatCsvRow(row({ user: text }), ';');
  assert.match(german('a,=1+1'), /"a,'=1\+1"/);
  assert.match(german('a;=1+1'), /"a;=1\+1"/, 'within its quotes');
  assert.match(formatCsvRow(row({ user: 'a,=1;=2' }), '\t'), /"a,'=1;'=2"/);
  // Excel with a German or French zone splits at semicolons and gives quotes within a line no meaning.
  for (const text of ['a;=1+1', 'a; -1', 'a;;@b', 'a;"=1"', "a;'=1", 'a;=1;+2']) {
    for (const part of cell('user', text).split(';').slice(1)) assert.match(part, /^(?:$|')/, text);
  }
  assert.equal(cell('user', 'a; b'), 'a; b');
  // Nothing is calculated here: a sign alone, or what is no sign.
  for (const text of ['+', '-', '--', '|calc', '%0a', "o'neil", 'a;-;b', ' '])
    assert.equal(cell('user', text), text, 'no apostrophe');
  assert.equal(cell('args', ['--']), '');
  assert.equal(cell('args', ['--', 'mailbox', 'INBOX', 'all']), 'mailbox INBOX all');
  assert.equal(cell('args', ['--', '=1+1']), "'=1+1");
  assert.equal(cell('args', ['-s', '--', 'INBOX']), "'-s -- INBOX");
  assert.equal(cell('user', '\t=1'), '\\t=1', 'a TAB that is seen is not one');
  assert.equal(cell('duration_ms', -1), '-1', 'a number is a number');
  assert.equal(cell('user', 'alice@example.com'), 'alice@example.com');
});

void test('a hostile value costs no more than its length', () => {
  for (const part of [';', ' ', '"', "'", '; ', '=;', '=', '= ', '"=', ';= ', ', =']) {
    const text = part.repeat(200_000 / part.length);
    assert.ok(cell('user', text).length >= text.length);
    assert.ok(formatCsvRow(row({ user: text }), '\t').length >= text.length);
  }
});

void test('a row is one line of text, whatever is in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const one = row({ user: text, reason: text, args: [text], command: text });
      assert.equal(cells(formatCsvRow(one)).length, exportColumns.length);
      for (const line of [formatCsvRow(one), formatJsonRow(one), printable(text)]) {
        assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202e\u2028\ufeff]/);
      }
      if (!/\p{Surrogate}/u.test(text)) assert.equal(JSON.parse(formatJsonRow(one)).user, text);
    }),
  );
});
