// Pages of the newest commands: together they give what one search of everything gives, the other way round, through any view and whatever
// the size of a page; damage, cursors that nobody gave and compressed files included.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ExchangeRow } from '../../../src/evidence/trail/search.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { packMember } from '../../../src/journal/files/compressed.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { over, requested } from '../../kit/plain/access-records.js';
import {
  type Answer,
  ask,
  opened,
  ours,
  recordsOf,
  searched,
  startMs,
  writeJournal,
} from './written-journal.js';

interface Asking {
  readonly directory: string;
  readonly users?: readonly string[] | undefined;
  readonly filter?: TrailFilter;
  readonly before?: number | undefined;
  readonly rows?: number;
  readonly timeMs?: number;
  readonly bytesMax?: number;
  readonly clock?: { now(): number };
}

function page(asking: Asking): Promise<Answer> {
  const { directory, users, filter = {}, before, rows: rowsMax = 50, clock } = asking;
  const limits = { rowsMax: 10_000, bytesMax: asking.bytesMax ?? 4 << 20, timeMs: asking.timeMs ?? 60_000 };
  const asked = { look: 'search', filter, cursor: undefined, newest: { before, rows: rowsMax } } as const;
  return ask({ directory, asked, users, ownKey: '', limits }, clock);
}

async function allPages(asking: Asking): Promise<{ rows: ExchangeRow[]; pages: number }> {
  const rows: ExchangeRow[] = [];
  let pages = 0;
  for (let before: number | undefined; ; ) {
    const found = await page({ ...asking, before });
    rows.push(...found.rows);
    pages += 1;
    if (found.end.before === undefined) return { rows, pages };
    assert.ok(found.end.before < (before ?? Infinity), 'each page begins further back');
    ({ before } = found.end);
  }
}

/** What a search from the start finds, the last command first. */
function expected(...asked: Parameters<typeof searched>): ExchangeRow[] {
  const found = searched(...asked).toSorted(
    (one, other) => (other.admittedSeq ?? 0) - (one.admittedSeq ?? 0),
  );
  return JSON.parse(JSON.stringify(found));
}

/** Compressed as the journal does it, in members of some lines. */
function pack(directory: string): void {
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.jsonl'))) {
    const lines = readFileSync(join(directory, file), 'utf8').split(/(?<=\n)/);
    const members: Buffer[] = [];
    for (let at = 0; at < lines.length; at += 15)
      members.push(packMember(Buffer.from(lines.slice(at, at + 15).join(''))));
    writeFileSync(join(directory, `${file}.gz`), Buffer.concat(members));
    rmSync(join(directory, file));
  }
}

void test('pages of a compressed journal are those of a plain one, and of somebody rare they read little', async (t) => {
  const { directory, all } = opened(t, 400);
  const nothing = { directory, filter: { principal: 'nobody2@jobs' } };
  const { looked } = (await page(nothing)).end;
  pack(directory);
  for (const users of [ours, undefined]) {
    for (const filter of [...filters, { user: 'bob3@other.org', sinceMs: startMs + 130 }]) {
      const wanted = expected(all, users, filter);
      for (const rows of [40, 1_000])
        assert.deepEqual((await allPages({ directory, users, filter, rows })).rows, wanted);
    }
  }
  assert.deepEqual((await page(nothing)).end.looked, looked);
  // What is passed over is not inflated: it could be damaged.
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.gz'))) {
    const bytes = readFileSync(join(directory, file));
    for (let at = bytes.indexOf(memberStart); at >= 0; at = bytes.indexOf(memberStart, at + 1))
      bytes.fill(0xee, at + bytes.readUInt32LE(at + 16) - 8, at + bytes.readUInt32LE(at + 16));
    writeFileSync(join(directory, file), bytes);
  }
  assert.equal((await page(nothing)).end.notes?.length ?? 0, 0);
  assert.ok(((await page({ directory })).end.notes?.length ?? 0) > 0);
});

const memberStart = Buffer.from('1f8b080400000000', 'hex');

const filters: readonly TrailFilter[] = [
  {},
  { user: 'alice3@example.com' },
  { user: 'bob3@other.org' },
  { outcome: 'open' },
  { outcome: 'ok', user: 'alice*' },
  { sinceMs: startMs + 130, untilMs: startMs + 300 },
  { untilMs: startMs + 50 },
  { text: 'other.org' },
  { id: 'X97' },
];

void test('pages from the end hold what a search from the start finds', async (t) => {
  const { directory, all } = opened(t, 900);
  for (const users of [ours, undefined]) {
    for (const filter of filters) {
      const wanted = expected(all, users, filter);
      const what = JSON.stringify([users, filter]);
      for (const rows of [20, 1_000]) {
        const { rows: found, pages } = await allPages({ directory, users, filter, rows });
        assert.deepEqual(found, wanted, `${what} by ${rows}`);
        assert.ok(pages >= Math.floor(wanted.length / rows), `${pages} pages`);
      }
      // A clock that says at each look that the time is over; pages that are over by their bytes.
      let nowMs = 0;
      const hasty = { directory, users, filter, timeMs: 25, clock: { now: () => (nowMs += 10) } };
      const inSteps = await allPages(hasty);
      assert.ok(inSteps.pages > 2, `${inSteps.pages} pages`);
      if (filter.outcome === undefined) assert.ok(inSteps.rows.length <= wanted.length, what);
      assert.deepEqual((await allPages({ directory, users, filter, bytesMax: 20_000 })).rows, wanted, what);
    }
  }
});

void test('a step of access far behind its request is found through a view', async (t) => {
  const directory = temporaryDirectory(t);
  const users = ['alice1@example.com'];
  const expired = over('expired', 'R1', startMs + 4_000, 'request', { users });
  writeJournal(directory, [requested('R1', startMs, { users }), ...recordsOf(3_000), expired]);
  const filter = { kind: 'access', user: 'alice1@example.com' } as const;
  const { rows } = await page({ directory, users: ours, filter });
  assert.equal(rows.map(({ fields }) => fields['action']).join(' '), 'expired requested');
});

void test('a page says which records it looked through, the same for every filter that finds nothing', async (t) => {
  const { directory } = opened(t, 300);
  const last = (await page({ directory })).end.looked;
  assert.equal(last?.toSeq, 594);
  const first = await page({ directory, rows: 5 });
  assert.equal(first.end.before, first.rows[4]?.admittedSeq);
  assert.equal(first.end.looked?.fromSeq, first.end.before);
  assert.equal(first.end.looked?.fromTime, first.rows[4]?.fields['time']);
  const hidden = await page({ directory, users: ours, filter: { user: 'bob3@other.org' } });
  const nothing = await page({ directory, users: ours, filter: { user: 'nobody@example.net' } });
  assert.equal(hidden.text, nothing.text);
  const from = { fromSeq: 1, fromTime: '2026-11-20T00:00:00.000Z' };
  assert.deepEqual(nothing.end.looked, { ...from, toSeq: 594, toTime: last.toTime });
});

void test('damage is told without its content, and does not keep pages from going on', async (t) => {
  const { directory, all } = opened(t, 300);
  writeFileSync(join(directory, '00000004.jsonl'), 'bob@other.org\n'.repeat(20_000));
  const { end, text } = await page({ directory, users: ours, rows: 1_000 });
  assert.deepEqual(end.notes, [`${join(directory, '00000004.jsonl')}: 20,000 lines are not records`]);
  assert.doesNotMatch(text, /bob@other\.org/);
  assert.deepEqual((await allPages({ directory, rows: 20 })).rows, expected(all, undefined, {}));
  // A compressed file that ends in the middle; one line without an end; a record that is being written.
  rmSync(join(directory, '00000004.jsonl'));
  const path = join(directory, '00000001.jsonl.gz');
  writeFileSync(path, readFileSync(path).subarray(0, -200));
  writeFileSync(join(directory, '00000005.jsonl'), 'x'.repeat(3 << 20));
  const damaged = await allPages({ directory, rows: 20 });
  assert.ok(damaged.rows.length > 100);
  const notes = (await page({ directory, rows: 1_000 })).end.notes ?? [];
  assert.ok(notes.includes(`${path} is damaged: its end could not be read`), notes.join());
});
