// A journal with exchanges that overlap, of users of two domains, in three segments; and answers about it, read.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type AnswerEnd, type ReadTask, readTrail } from '../../../src/evidence/reading/read-trail.js';
import { createSearch, type ExchangeRow } from '../../../src/evidence/trail/search.js';
import { createView } from '../../../src/evidence/views/view.js';
import { type TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord, JournalRecord } from '../../../src/journal/records/record.js';
import { temporaryDirectory } from '../../journal/files/reading.js';

export const startMs = Date.UTC(2026, 10, 20);
export const ours = ['*@example.com'];

/** Records of exchanges that overlap: each ends a few or many records after it began, every 50th never. */
export function recordsOf(count: number): AuditRecord[] {
  const due = new Map<number, AuditRecord[]>();
  const records: AuditRecord[] = [];
  for (let at = 0; at < count; at += 1) {
    const user = at % 3 === 0 ? `bob${at}@other.org` : `alice${at % 7}@example.com`;
    const users = at % 11 === 0 ? ['*'] : [user];
    const time = startMs + at;
    const id = `X${at}`;
    const asked = { command: 'fetch', user, users, args: ['x'.repeat(200)] };
    records.push({ time, event: 'admission', session: 'S', id, ...asked });
    const end = at + (at % 97 === 0 ? 700 : at % 5);
    if (at % 50 !== 0)
      due.set(end, [...(due.get(end) ?? []), { time, event: 'completion', id, outcome: 'ok' }]);
    records.push(...(due.get(at) ?? []));
    due.delete(at);
  }
  return [...records, ...[...due.values()].flat()];
}

/** Three segments, the first of them compressed; the text of all. */
export function writeJournal(directory: string, records: readonly JournalRecord[]): Buffer {
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  const lines = records.map((record) => ledger.seal(encodeBody(record)));
  const third = Math.ceil(lines.length / 3);
  for (let at = 0; at < 3; at += 1) {
    const text = lines.slice(at * third, (at + 1) * third).join('');
    const name = join(directory, `0000000${at + 1}.jsonl`);
    if (at === 0) writeFileSync(`${name}.gz`, gzipSync(text));
    else writeFileSync(name, text);
  }
  return Buffer.from(lines.join(''));
}

/** Such a journal, with so long between two commands. */
export function opened(t: TestContext, count = 3_000, stepMs = 1): { directory: string; all: Buffer } {
  const directory = temporaryDirectory(t);
  const at = (time: number): number => startMs + (time - startMs) * stepMs;
  const records = recordsOf(count).map((record) => ({ ...record, time: at(record.time) }));
  return { directory, all: writeJournal(directory, records) };
}

/** A journal of one segment. */
export function openedOf(
  t: TestContext,
  records: readonly JournalRecord[],
  ledger = new Ledger('dovegate 1', undefined, 'J'),
): string {
  const directory = temporaryDirectory(t);
  const lines = records.map((record) => ledger.seal(encodeBody(record)));
  writeFileSync(join(directory, '00000001.jsonl'), lines.join(''));
  return directory;
}

/** What a search of everything finds, through a view. */
export function searched(
  all: Buffer,
  users: readonly string[] | undefined,
  filter: TrailFilter,
): ExchangeRow[] {
  const search = createSearch(filter);
  return [...search.take(createView(users).take(all)), ...search.finish()];
}

export interface Answer {
  readonly rows: readonly ExchangeRow[];
  readonly end: AnswerEnd;
  readonly text: string;
}

export async function ask(task: ReadTask, clock = { now: () => 0 }): Promise<Answer> {
  const { text, rows: count } = await readTrail(task, clock);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { end } = lines.pop();
  assert.equal(count, lines.length);
  return { rows: lines.map(({ row }) => row), end, text };
}
