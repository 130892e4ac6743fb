// Requests about a journal that are answered in parts: together they give what one reading of everything gives, through any view; exchanges
// that are open where a part ends are not lost, and damage stops nothing.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AnswerEnd, type ReadTask, readTrail } from '../../../src/evidence/reading/read-trail.js';
import type { AccessTold } from '../../../src/evidence/story/row.js';
import { type ExchangeRow } from '../../../src/evidence/trail/search.js';
import type { Cursor } from '../../../src/evidence/views/asked.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { approver, grantRecords, over } from '../../kit/plain/access-records.js';
import { ask, opened, ours, recordsOf, searched, startMs, writeJournal } from './written-journal.js';

function taskOf(directory: string, more: Partial<ReadTask> = {}): ReadTask {
  return {
    directory,
    asked: { look: 'search', filter: {}, cursor: undefined },
    users: ours,
    ownKey: '',
    limits: { rowsMax: 10_000, bytesMax: 4 << 20, timeMs: 60_000 },
    ...more,
  };
}

const still = { now: () => 0 };

/** All parts of a search. */
async function askAll(
  task: ReadTask,
  filter: TrailFilter,
  clock?: typeof still,
): Promise<{ rows: ExchangeRow[]; parts: number; refused: number }> {
  const rows: ExchangeRow[] = [];
  let parts = 0;
  let refused = 0;
  let cursor: Cursor | undefined;
  do {
    const part = await ask({ ...task, asked: searching(filter, cursor) }, clock);
    rows.push(...part.rows);
    parts += 1;
    refused += part.end.counted?.refused ?? 0;
    ({ cursor } = part.end);
  } while (cursor !== undefined);
  return { rows, parts, refused };
}

const searching = (filter: TrailFilter = {}, cursor?: Cursor) =>
  ({ look: 'search', filter, cursor }) as const;

void test('all parts together tell each count of a flood once', async (t) => {
  const directory = temporaryDirectory(t);
  const flood = { event: 'limit', principal: 'anna@desk', action: 'refused', count: 15 } as const;
  const marked = (record: AuditRecord) => [record, { time: record.time, ...flood }];
  const records = recordsOf(1_000).flatMap((each, at) => (at % 100 === 0 ? marked(each) : [each]));
  writeJournal(directory, records);
  const few = { rowsMax: 20, bytesMax: 4 << 20, timeMs: 60_000 };
  const { parts, refused } = await askAll(taskOf(directory, { users: undefined, limits: few }), {});
  assert.ok(parts > 5);
  const counts = Math.ceil(recordsOf(1_000).length / 100);
  assert.equal(refused, 15 * counts);
  // What is handed on has them as rows, which its digest covers.
  const limits = { ...few, rowsMax: 10_000 };
  const task = taskOf(directory, { users: undefined, limits });
  for (const look of ['extract', 'export', 'search'] as const) {
    const { text, rows } = await readTrail({ ...task, asked: { look, filter: {} } }, { now: () => 0 });
    const found = text.match(/"event":"limit"/g)?.length ?? 0;
    assert.equal(found, look === 'search' ? 0 : counts, look);
    assert.equal(JSON.parse(text.trimEnd().split('\n').at(-1) ?? '').end.rows, rows);
  }
});

void test('a search in parts finds what a search of everything finds, in the same order', async (t) => {
  const { directory, all } = opened(t, 500);
  const filters: readonly TrailFilter[] = [
    {},
    { user: 'alice3@example.com' },
    { user: 'bob3@other.org' },
    { outcome: 'open' },
    { sinceMs: startMs + 150, untilMs: startMs + 400 },
    { text: 'other.org' },
  ];
  for (const users of [ours, undefined]) {
    for (const filter of filters) {
      const expected = JSON.parse(JSON.stringify(searched(all, users, filter)));
      // A clock that says at each look that the time is over: each part reads one step.
      let nowMs = 0;
      const hasty = { now: () => (nowMs += 10) };
      const task = taskOf(directory, { users, limits: { rowsMax: 10_000, bytesMax: 4 << 20, timeMs: 1 } });
      const inSteps = await askAll(task, filter, hasty);
      assert.ok(inSteps.parts > 5, `${inSteps.parts} parts`);
      assert.deepEqual(inSteps.rows, expected, JSON.stringify(filter));
      const few = taskOf(directory, { users, limits: { rowsMax: 1, bytesMax: 4 << 20, timeMs: 60_000 } });
      assert.deepEqual((await askAll(few, filter)).rows, inSteps.rows);
      const whole = await ask(taskOf(directory, { users, asked: searching(filter) }));
      assert.equal(whole.end.cursor, undefined);
      assert.deepEqual(whole.rows, inSteps.rows);
    }
  }
});

void test('cursors that no answer gave find nothing that is hidden, and end', async (t) => {
  const { directory } = opened(t, 500);
  const open = Array.from({ length: 1_000 }, (_, at) => at);
  for (const after of [0, 1, 499, 5_000, Number.MAX_SAFE_INTEGER]) {
    const { text, end } = await ask(taskOf(directory, { asked: searching({}, { after, open }) }));
    assert.doesNotMatch(text, /other\.org|"users":\["\*"\]/);
    assert.equal(end.cursor, undefined);
  }
});

void test('an exchange is shown by id and by seq as the view shows it', async (t) => {
  const { directory } = opened(t, 100);
  const show = async (wanted: string): Promise<{ text: string; end: AnswerEnd }> =>
    ask(taskOf(directory, { asked: { look: 'show', wanted } }));
  assert.match((await show('X1')).text, /"event":"completion"/);
  assert.equal((await show('X1')).end.id, 'X1');
  // Hidden, and not there at all.
  assert.equal((await show('X3')).text.replace('X3', 'X9999'), (await show('X9999')).text);
  const bare = (await show('1')).text;
  assert.match(bare, /\{"record":\{"seq":1,"time":"[^"]*","event":"admission"\},"file":"[^"]*","line":1\}/);
  assert.doesNotMatch(bare, /other\.org/);
});

void test('requests and grants are those of the view, with each use that it shows', async (t) => {
  const directory = temporaryDirectory(t);
  const alice = 'alice1@example.com';
  const of = (...users: string[]) => ({ users, user: users[0] ?? '' });
  const use = (id: string, grant: string, user: string): AuditRecord[] => [
    { time: startMs + 9, event: 'admission', id, command: 'fetch', args: [], ...of(user), grant },
    { time: startMs + 9, event: 'completion', id, outcome: 'ok', sent: true, grant },
  ];
  writeJournal(directory, [
    ...grantRecords('OURS', startMs, of(alice)),
    ...grantRecords('OTHERS', startMs, of('bob@other.org')),
    ...grantRecords('BOTH', startMs, of(alice, 'bob@other.org')),
    ...use('U1', 'OURS', alice),
    ...use('U2', 'OTHERS', 'bob@other.org'),
    ...use('U3', 'BOTH', alice),
    ...recordsOf(30),
    over('revoked', 'OURS', startMs + 10),
  ]);
  const asked = async (filter: TrailFilter, more: Partial<ReadTask> = {}) => {
    const { text, end } = await ask(taskOf(directory, { asked: { look: 'requests', filter }, ...more }));
    const lines = text.trimEnd().split('\n').slice(0, -1);
    return { text, end, told: lines.map((line): AccessTold => JSON.parse(line).access) };
  };
  const limited = await asked({});
  assert.deepEqual(
    limited.told.map(({ id, used, said }) => [`${id} ${used}`, said.by, said.used, said.end].join(' | ')),
    [
      `OURS 1 | approved by ${approver}, for 1 h, 3 uses | 1 of 3: fetch | revoked by ${approver}, without a reason`,
      // It concerns a user of somebody else, too; what it did to alice is shown as a command.
      'BOTH 1 | approvers are not shown in this view | 1: fetch | its end is not shown in this view',
    ],
  );
  assert.doesNotMatch(limited.text, /other\.org|OTHERS/);
  assert.deepEqual(limited.end.sentences, [
    '2 requests: 2 granted, 0 refused, 0 granted and never used',
    '1 of them for other users, too, or begun before the kept records: who asked and who approved is not there',
  ]);
  const ids = async (...args: Parameters<typeof asked>) => (await asked(...args)).told.map(({ id }) => id);
  assert.deepEqual(await ids({}, { users: undefined }), ['OURS', 'OTHERS', 'BOTH']);
  assert.deepEqual(await ids({ user: 'bob@other.org' }), []);
  assert.deepEqual(await ids({ user: 'bob@other.org' }, { users: undefined }), ['OTHERS', 'BOTH']);
  // The newest ones, and it says that others are left out.
  const few = await asked({}, { users: undefined, limits: { rowsMax: 1, bytesMax: 1, timeMs: 1 } });
  assert.equal(few.told.map(({ id }) => id).join(' '), 'BOTH');
  assert.match(few.end.sentences?.at(-1) ?? '', /^2 more requests are left out/);
});

void test('what is signed of an extract is what was read, and whether it was damaged', async (t) => {
  const { directory } = opened(t, 300);
  const extract = async (cursor?: Cursor): Promise<unknown> => {
    const asked = { look: 'extract', filter: { user: 'nobody' }, cursor } as const;
    const { extract: facts } = await readTrail(taskOf(directory, { asked }), still);
    const { sha256: _, ...said } = facts ?? assert.fail();
    return said;
  };
  assert.deepEqual(await extract(), { fromSeq: 1, toSeq: 594, isDamaged: false });
  assert.deepEqual(await extract({ after: 7, open: [] }), { fromSeq: 8, toSeq: 594, isDamaged: false });
  const beyond = await extract({ after: 1_000, open: [] });
  assert.deepEqual(beyond, { fromSeq: 1_001, toSeq: 1_000, isDamaged: false });
  // Retention removed the first segment; the second one has a line that is none.
  rmSync(join(directory, '00000001.jsonl.gz'));
  assert.deepEqual(await extract(), { fromSeq: 199, toSeq: 594, isDamaged: false });
  const path = join(directory, '00000002.jsonl');
  writeFileSync(path, readFileSync(path, 'utf8').replace('{"seq":250,', '{"sec":250,'));
  assert.deepEqual(await extract(), { fromSeq: 199, toSeq: 594, isDamaged: true });
});

void test('an answer has so many bytes, then a cursor; of commands without an end a note says how many are left out', async (t) => {
  const asked = { users: ['a@example.com'], args: ['x'.repeat(100)] };
  const record = (at: number): AuditRecord => ({
    time: startMs + at,
    event: 'admission',
    id: `X${at}`,
    ...asked,
  });
  const opens = Array.from({ length: 300 }, (_, at) => record(at));
  const limits = { rowsMax: 10_000, bytesMax: 20_000, timeMs: 60_000 };
  for (const hasEnds of [true, false]) {
    const directory = temporaryDirectory(t);
    const end = (id: string): AuditRecord => ({ time: startMs, event: 'completion', id, outcome: 'ok' });
    const records = opens.flatMap((one, at) => (hasEnds ? [one, end(`X${at}`)] : [one]));
    writeJournal(directory, records);
    const { rows, text, end: told } = await ask(taskOf(directory, { limits }));
    assert.ok(rows.length < 300 && text.length > 20_000, `${rows.length} rows, ${text.length} bytes`);
    assert.equal(told.cursor !== undefined, hasEnds);
    const leftOut = `${300 - rows.length} commands without an end are left out: there are too many`;
    assert.deepEqual(told.notes, hasEnds ? [] : [leftOut]);
  }
});
