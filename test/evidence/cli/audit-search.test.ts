// Searching and exporting real journals on the disk, whole and damaged ones, as people and programs see it.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { auditSearch, type RowFormat } from '../../../src/evidence/cli/audit-search.js';
import { createDamageWatch } from '../../../src/evidence/reading/unseen.js';
import type { Exclusion } from '../../../src/evidence/story/leave-out.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { Ledger, readClaim } from '../../../src/journal/records/ledger.js';
import { type AuditRecord } from '../../../src/journal/records/record.js';
import { makeTrail, type PaperTrail } from '../trail/paper-trail.js';
import { placesAt, printed, tamper, writeJournal } from './shown.js';

type SearchFlags = Parameters<typeof auditSearch>[3];

async function search(
  directory: string | readonly string[],
  filter: TrailFilter = {},
  flags: Partial<SearchFlags> = {},
  columns?: number,
) {
  const places = placesAt(...[directory].flat());
  const asked = { format: 'jsonl', ...flags } as const;
  const found = await printed((screen) => auditSearch(screen, places, filter, asked), columns);
  assert.equal(found.code, 0);
  return found;
}

const asTable = { format: 'table' } as const;

/** Exchanges of which each is somebody's, or something, else. */
function varied(record: AuditRecord, count: number): AuditRecord {
  if (record.event === 'admission') {
    if (count === 1) return { ...record, user: 'bob@example.org', command: 'mailbox list', backend: 'mail2' };
    if (count === 2)
      return { ...record, principal: 'carol@jobs', decision: 'deny', args: ['--', '\u001b]0;x\u0007'] };
    if (count === 3) return { ...record, would: 'denied', reason: '=1+1' };
    return record;
  }
  if (count === 1) return { ...record, backend: 'mail2', duration_ms: 1234.567 };
  if (count === 2) return { ...record, outcome: 'denied', status: '-NOPERM', sent: false };
  if (count === 3) return { ...record, event: 'log', text: 'instead of a completion' };
  return record;
}

void test('the table pairs both records of an exchange, and shows the text of clients without obeying it', async (t) => {
  const { lines, complaints } = await search(await writeJournal(t, 5, varied), {}, asTable);
  assert.equal(complaints, '');
  const [header, first, second, third, , last] = lines;
  assert.match(header ?? '', /^SEQ {2}TIME \(UTC\) +REQUESTER +USER +COMMAND +OUTCOME +BACKEND +MS +ID$/);
  assert.match(
    first ?? '',
    /^ +\d+ {2}[-\d]{10} [:\d]{8} {2}bob@support +alice@example.com +quota get +ok +mail1 +E0$/,
  );
  assert.match(second ?? '', /bob@example.org +mailbox list +ok +mail2 +1235 +E1$/);
  assert.match(third ?? '', /carol@jobs +alice@example.com +quota get -- \\x1b\]0;x\\x07 +denied/);
  assert.match(last ?? '', /open \(the rules would deny it\)/);
});

void test('what is left out is in no row, as on the page', async (t) => {
  const directory = await writeJournal(t, 5, varied);
  const rowsWithout = async (...not: Exclusion[]): Promise<number> =>
    (await search(directory, {}, { not })).lines.length;
  assert.equal(await rowsWithout({ key: 'outcome', value: 'denied' }), 4);
  const ofCarol = { key: 'principal', value: 'carol' } as const;
  assert.equal(await rowsWithout(ofCarol, { key: 'command', value: 'mailbox' }), 3);
});

const flooded = (record: AuditRecord, count: number): AuditRecord =>
  record.event === 'completion' && count === 2
    ? { time: record.time, event: 'limit', principal: 'bob@support', action: 'refused', count: 15 }
    : record;

void test('refusals that were only counted are told, also where nothing is found', async (t) => {
  const directory = await writeJournal(t, 5, flooded);
  const { lines, complaints } = await search(directory, { principal: 'bob@*' });
  assert.equal(lines.length, 5);
  assert.equal(complaints, 'dovegate: and 15 more refusals of bob were counted only: a flood limit\n');
  const denied = await search(directory, { outcome: 'denied', listener: 'support' });
  assert.match(denied.complaints, /^dovegate: and 15 more refusals were counted only: a flood limit\n/);
  const ofUser = await search(directory, { user: 'alice@example.com' });
  assert.match(ofUser.complaints, /^dovegate: and 15 more .* no count says whether they match\n$/);
  assert.equal((await search(directory, { outcome: 'ok' })).complaints, '');
});

void test('an export has the counts as rows, since a file is handed on alone', async (t) => {
  const directory = await writeJournal(t, 5, flooded);
  const exported = async (filter: TrailFilter, format: RowFormat): Promise<string[]> => {
    const { lines, complaints } = await search(directory, filter, { format, look: 'export' });
    assert.match(complaints, /15 more/);
    return lines;
  };
  const rows = (await exported({ user: 'alice@example.com' }, 'jsonl')).map((line) => JSON.parse(line));
  const [count, ...others] = rows.filter(({ event }) => event === 'limit');
  assert.deepEqual(others, []);
  assert.deepEqual([count.count, count.principal, count.action], [15, 'bob@support', 'refused']);
  // In the order of the journal.
  const seqs: number[] = rows.map(({ completed_seq }) => completed_seq ?? Infinity);
  assert.deepEqual(
    seqs,
    seqs.toSorted((one, other) => one - other),
  );
  const csv = await exported({ outcome: 'denied' }, 'csv');
  assert.match(csv[0] ?? '', /,count\r?$/);
  assert.match(csv[1] ?? '', /,refused,,,,15\r?$/);
});

void test('in a terminal no line is wider than it, and outcomes have a colour', async (t) => {
  const { lines } = await search(await writeJournal(t, 5, varied), {}, asTable, 80);
  for (const line of lines) assert.ok(line.replaceAll(/<\w+:|>/g, '').length <= 80, line);
  assert.match(lines.join('\n'), /<good:ok *>[^]*<bad:denied *>[^]*<doubtful:open/);
});

void test('a search for what did not go well says why, and groups alike ones by their cause', async (t) => {
  const denied = (record: AuditRecord): AuditRecord =>
    record.event === 'completion'
      ? { ...record, outcome: 'denied', sent: false, denial: 'no-rule', status: '-NOPERM' }
      : { ...record, decision: 'deny', command: 'mailbox delete', policy: 'support' };
  const directory = await writeJournal(t, 6, denied);
  const { lines } = await search(directory, { outcome: 'not-ok' }, asTable);
  assert.match(lines[0] ?? '', / WHY$/);
  assert.match(lines[1] ?? '', /\(no rule names the command\)$/);
  // It went to no backend.
  assert.doesNotMatch(lines.join(''), /mail1/);
  assert.equal((await search(directory, { backend: 'mail1' })).lines.length, 0);
  const byCause = await search(directory, { outcome: 'not-ok' }, { ...asTable, by: 'cause' });
  const [header, first, ...rest] = byCause.lines;
  assert.match(header ?? '', /^TIMES +OUTCOME +COMMAND +WHY +FIRST \(UTC\) +LAST \(UTC\) +OF$/);
  assert.match(first ?? '', /^ *6 +denied +mailbox delete +.*no rule names the command\) +2026/);
  assert.deepEqual(rest, []);
});

/** Commands that showed mail: of one user, once more of all, and one that was denied. */
function showing(record: AuditRecord, count: number): AuditRecord {
  const isDenied = count === 3;
  if (record.event === 'completion')
    return isDenied ? { ...record, outcome: 'denied', sent: false } : { ...record, cells: 2 };
  const all = count === 2 ? { user: undefined, users: ['*'] } : {};
  const asked = { command: 'fetch', args: ['--', 'text', 'mailbox', 'INBOX', 'all'] };
  const denied = isDenied && { decision: 'deny' as const, user: 'eve@example.com' };
  return { ...record, ...asked, ...all, ...denied };
}

void test('by owner: whose mail was shown, how often, and to whom', async (t) => {
  const directory = await writeJournal(t, 4, showing);
  const asked = (format: RowFormat, not: readonly Exclusion[] = []) =>
    search(directory, { effect: 'content' }, { format, not, by: 'owner' });
  const [header, first, second, ...rest] = (await asked('table')).lines;
  assert.match(header ?? '', /^USER +SHOWED +SEARCHED +MAYBE +UNDER GRANT +LAST \(UTC\) +TO$/);
  assert.match(first ?? '', /^alice@example\.com +2 +0 +0 +0 +[-\d]{10} [:\d]{8} +bob@support$/);
  assert.match(second ?? '', /^all users +1 +0 +0 /);
  assert.deepEqual(rest, []);
  const owners = (await asked('jsonl')).lines.map((line) => JSON.parse(line));
  assert.deepEqual(
    owners.map(({ user, showed, requesters }) => [user, showed, requesters]),
    [
      ['alice@example.com', 2, ['bob@support']],
      [undefined, 1, ['bob@support']],
    ],
  );
  const none = await asked('table', [{ key: 'outcome', value: 'ok' }]);
  assert.deepEqual(none.lines, []);
  assert.match(none.complaints, /none of the commands found showed mail content/);
});

void test('several journals are searched one after the other', async (t) => {
  const { lines } = await search([await writeJournal(t, 2), await writeJournal(t, 3)]);
  assert.equal(lines.length, 5);
});

function compress(directory: string, name: string): string {
  const path = join(directory, name);
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)));
  rmSync(path);
  return `${path}.gz`;
}

const removed = (directory: string): void => rmSync(join(directory, '00000002.jsonl'));
const cutOff = (directory: string): void => truncateSync(compress(directory, '00000002.jsonl'), 300);
const garbage = ['', '\u001b[2Jgarbage', '{"seq":'];

type Hurt = (directory: string, t: TestContext) => string | void;
const damages: Readonly<Record<string, readonly [hurt: Hurt, note: RegExp, isWhole: boolean]>> = {
  nothing: [() => undefined, /^$/, true],
  'compressed segments': [(directory) => void compress(directory, '00000001.jsonl'), /^$/, true],
  'a compressed segment that ends too early': [
    cutOff,
    /00000002\.jsonl\.gz is damaged: its end could not be read/,
    false,
  ],
  'a missing segment': [removed, /00000003\.jsonl: begins with seq \d+, but \d+ comes next/, false],
  'a missing record': [
    (directory, t) => tamper(t, directory, ({ segments }) => segments[1]?.lines.splice(3, 2)),
    /00000002\.jsonl: has \d+ records, but their numbers go from \d+ to \d+/,
    false,
  ],
  'lines of garbage': [
    (directory, t) => tamper(t, directory, ({ segments }) => segments[1]?.lines.splice(3, 0, ...garbage)),
    /00000002\.jsonl: 3 lines are not records, the first at line 4/,
    true,
  ],
};

for (const [name, [hurt, note, isWhole]] of Object.entries(damages)) {
  void test(`searched all the same: ${name}`, async (t) => {
    const written = await writeJournal(t);
    const { lines, complaints } = await search(hurt(written, t) ?? written);
    assert.match(complaints, note);
    if (complaints !== '') assert.match(complaints, /`dovegate audit verify` shows what can be trusted\n$/);
    const ids = new Set(lines.map((line) => JSON.parse(line).id));
    assert.ok(ids.has('E0') && ids.has('E39'));
    if (isWhole) assert.equal(ids.size, 40);
    else assert.ok(ids.size < 40 || lines.some((line) => JSON.parse(line).outcome === undefined));
  });
}

void test('what retention removed is said where the time that is asked for reaches back to it', async (t) => {
  const directory = await writeJournal(t, 2);
  const path = join(directory, '00000001.jsonl');
  const last = readClaim(Buffer.from(readFileSync(path, 'utf8').trimEnd().split('\n').at(-1) ?? ''));
  assert.ok(last !== undefined);
  const ledger = new Ledger('p', undefined, 'ab');
  const { seq, hash } = last;
  ledger.resume({ journal: 'ab', seq, hash, stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 });
  const until = '2026-01-31T00:00:00.000Z';
  const retire = { time: Date.UTC(2026, 10, 20), event: 'retire', segment: '00000000.jsonl', until } as const;
  writeFileSync(path, ledger.sealSigned({ ...retire, action: 'age' }), { flag: 'a' });
  const note =
    'dovegate: not searched: records before 2026-01-31T00:00:00.000Z were retired by age (audit.keep), 1 segment';
  for (const sinceMs of [undefined, Date.parse(until) - 1]) {
    for (const user of [undefined, 'nobody@example.com']) {
      const { complaints } = await search(directory, { sinceMs, user });
      assert.deepEqual(
        complaints.split('\n').filter((line) => line.includes('retired')),
        [note],
      );
    }
  }
  assert.equal((await search(directory, { sinceMs: Date.parse(until) })).complaints, '');
});

/** What is noted of a trail whose files come in pieces of so many lines. */
function notesOf({ segments }: PaperTrail, linesOfPiece: number): string[] {
  const watch = createDamageWatch();
  for (const { name, lines } of segments) {
    const file = { path: `/j/${name}`, name, isCompressed: false };
    for (let at = 0; at < lines.length; at += linesOfPiece) {
      const text = `${lines.slice(at, at + linesOfPiece).join('\n')}\n`;
      watch.look(file, { bytes: Buffer.from(text), endsInLine: true });
    }
  }
  return watch.notes();
}

void test('a whole trail gives no note, however it comes; a damaged one the same notes', () => {
  const damaged = makeTrail();
  damaged.segments[0]?.lines.splice(2, 1);
  damaged.segments[1]?.lines.splice(2, 0, 'garbage');
  const told = [
    '/j/00000001.jsonl: has 9 records, but their numbers go from 1 to 10',
    '/j/00000002.jsonl: 1 line is not a record, the first at line 3',
  ];
  for (const count of [1, 2, 3, 7, 100]) {
    assert.deepEqual(notesOf(makeTrail(), count), []);
    assert.deepEqual(notesOf(damaged, count), told);
  }
});
