// Goal: a journal with admissions that nothing completes does not fill the memory of the program that reads it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { noteExchange, type OpenExchanges } from '../../../src/domain/audit/ledger.js';
import { createSearch } from '../../../src/domain/trail/search.js';
import { createView } from '../../../src/domain/views/view.js';

const time = '2026-11-20T08:00:00.000Z';
const seal = `,"prev":"${'0'.repeat(64)}","hash":"${'0'.repeat(64)}"}\n`;
const admission = (at: number): string =>
  `{"seq":${at + 1},"time":"${time}","event":"admission","session":"S","id":"E${at}","user":"a@example.com","users":["a@example.com"],"args":[],"decision":"allow"${seal}`;
const completion = (at: number, seq: number): string =>
  `{"seq":${seq},"time":"${time}","event":"completion","session":"S","id":"E${at}","outcome":"ok"${seal}`;

/** Pieces of whole lines, as a journal is read. */
function* pieces(count: number, line: (at: number) => string): Generator<Buffer> {
  for (let from = 0; from < count; from += 1_000) {
    const lines = Array.from({ length: Math.min(1_000, count - from) }, (_, at) => line(from + at));
    yield Buffer.from(lines.join(''));
  }
}

// bounds.openSearched
test('a search keeps so many admissions', () => {
  const search = createSearch({});
  for (const piece of pieces(bounds.openSearched + 1_000, admission)) search.take(piece);
  assert.equal(search.waiting().length, bounds.openSearched);
});

test('a search keeps so many bytes of admissions and their argument records', () => {
  const bytesMax = bounds.openSearchedBytes;
  const search = createSearch({});
  const long = (at: number): string => admission(at).replace('"args":[]', `"args":["${'x'.repeat(6000)}"]`);
  const part = (at: number): string => long(at).replace('"admission"', '"arguments"');
  for (const piece of pieces(20_000, (at) => long(at) + part(at))) search.take(piece);
  const bytes = search.waiting().reduce((sum, line) => sum + line.length, 0);
  assert.ok(bytes < bytesMax + (1 << 20) && bytes > bytesMax - (1 << 20), `${bytes} bytes`);
  // What has ended makes room.
  for (const piece of pieces(20_000, (at) => completion(at, 20_001 + at))) search.take(piece);
  assert.equal(search.waiting().length, 0);
  search.take(Buffer.from(long(20_000)));
  assert.equal(search.waiting().length, 1);
});

// bounds.openRecovered
test('a start keeps so many open exchanges', () => {
  const open: OpenExchanges = new Map();
  for (let at = 0; at < bounds.openRecovered + 1_000; at += 1) noteExchange(open, at + 1, admission(at));
  assert.equal(open.size, bounds.openRecovered);
});

// bounds.openViewed, bounds.endedViewed
test('a limited view keeps so many open exchanges, and so many that ended', () => {
  const view = createView(['*@example.com']);
  const count = bounds.openViewed + 1;
  for (const piece of pieces(count, admission)) view.take(piece);
  const shows = (line: string): boolean => view.take(Buffer.from(line)).includes('"id"');
  assert.equal(shows(completion(count - 1, count + 1)), false);
  assert.equal(shows(completion(0, count + 2)), true);
  const log = `{"seq":${count + 3},"time":"${time}","event":"log","session":"S","id":"E0","level":"info","text":"x"${seal}`;
  assert.equal(shows(log), true);
  for (let at = 1; at <= bounds.endedViewed; at += 1) view.take(Buffer.from(completion(at, count + 3 + at)));
  assert.equal(shows(log), false);
});
