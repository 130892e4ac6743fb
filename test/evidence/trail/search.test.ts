import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordedLine } from '../../../src/evidence/review/recorded.js';
import { isLeftOut, withoutOk } from '../../../src/evidence/story/leave-out.js';
import { outcomeOf } from '../../../src/evidence/story/row.js';
import { whyWords } from '../../../src/evidence/story/words.js';
import {
  createSearch,
  createSurvey,
  type ExchangeRow,
  isRowCut,
} from '../../../src/evidence/trail/search.js';
import { createSketchTest } from '../../../src/evidence/trail/sketch-test.js';
import { createHistogram } from '../../../src/evidence/views/histogram.js';
import { createView } from '../../../src/evidence/views/view.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { outcomeClasses } from '../../../src/gate/outcome/class.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { AccessBook } from '../../../src/journal/records/access-book.js';
import { encodeBody, encodeRecord } from '../../../src/journal/records/encode.js';
import type { RecordedOutcome } from '../../../src/journal/records/keys.js';
import { Ledger, noteExchange, type OpenExchanges } from '../../../src/journal/records/ledger.js';
import type { AuditRecord, JournalRecord } from '../../../src/journal/records/record.js';
import { grantRecords, over, requested } from '../../kit/plain/access-records.js';
import { rowsIn, sealedBytes, sealedLines } from './paper-trail.js';

const started = Date.UTC(2026, 10, 20, 8);

// A command whose arguments are in records of their own is found by every one of them, wherever the pieces of the trail end; a view limited
// to some users shows none of others' names in them; what is cut is shown as such.
const padding = Array.from({ length: 80 }, (_, at) => `Invented-${at}-${'x'.repeat(110)}`);
const people = Array.from({ length: 90 }, (_, at) => `user-number-${at}@example.org`);
const set = `${Array.from({ length: 3000 }, (_, at) => 900_001 + at).join(',')},1:*`;

function trailOfArguments(): Buffer {
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  const lines: string[] = [];
  let time = started;
  const of = { session: 'S', listener: 'support', principal: 'bob@support', policy: 'p', series: '2.4' };
  const exchange = (id: string, more: Partial<AuditRecord>): void => {
    time += 10;
    const named = { ...of, id };
    const admission = { time, event: 'admission', ...named, decision: 'allow', ...more } as const;
    const completion = { time, event: 'completion', session: 'S', id, outcome: 'ok', sent: true } as const;
    for (const body of [admission, completion].flatMap((record) => encodeRecord(record)))
      lines.push(ledger.seal(body));
  };
  const alice = { user: 'alice@example.org', users: ['alice@example.org'] };
  const payroll = ['--', ...padding, 'Payroll-2026', ...padding];
  exchange('A', { ...alice, command: 'mailbox delete', effect: 'destroy', args: payroll });
  exchange('B', { ...alice, command: 'mailbox list', effect: 'read', args: ['--', 'INBOX'] });
  exchange('C', {
    command: 'kick',
    effect: 'session',
    args: ['--', ...people, 'zoe@example.net'],
    users: [...people, 'zoe@example.net', ...people.map((one) => `x${one}`)],
  });
  const uids = ['--', '\\Seen', 'mailbox', 'INBOX', 'uid', set];
  exchange('D', { ...alice, command: 'flags add', effect: 'write', args: uids });
  const hidden = ['messages', '--', ...padding, 'Hidden', ...padding];
  exchange('E', { ...alice, command: 'mailbox status', effect: 'read', args: hidden });
  return Buffer.from(lines.join(''));
}

const bytesOfArguments = trailOfArguments();

/** In pieces of whole lines, so many in each. */
function foundOfArguments(
  filter: TrailFilter,
  linesInPiece: number,
  show = (piece: Buffer): Buffer => piece,
): ExchangeRow[] {
  const lines = bytesOfArguments.toString('utf8').split(/(?<=\n)/);
  const pieces: Buffer[] = [];
  for (let at = 0; at < lines.length; at += linesInPiece)
    pieces.push(show(Buffer.from(lines.slice(at, at + linesInPiece).join(''))));
  return rowsIn(filter, ...pieces);
}

/** The lines as a view that is limited to users shows them. */
const seenBy = (users: string, lines: readonly string[]): string =>
  createView([users])
    .take(Buffer.from(lines.join('')))
    .toString();

function idsOf(rows: readonly ExchangeRow[]): string {
  return rows.map(({ fields }) => String(fields['id'])).join('');
}

void test('an effect is found as it is shown: commands that read content are no other reading', () => {
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  const commands = [
    ['A', 'fetch', 'read', ['uid', '--', 'all']],
    ['B', 'fetch', 'read', ['text', '--', 'all']],
    ['C', 'search', 'read', ['--', 'body', 'x']],
    ['D', 'expunge', 'destroy', ['--', 'body', 'x']],
  ] as const;
  const lines = commands.flatMap(([id, command, effect, args]) => {
    const admission = { event: 'admission', id, command, effect, args, series: '2.4' } as const;
    return encodeRecord({ time: started, session: 'S', ...admission }).map((body) => ledger.seal(body));
  });
  const found = (effect: string): string => idsOf(rowsIn({ effect }, lines.join('')));
  assert.deepEqual(['read', 'content', 'destroy', 'write'].map(found), ['A', 'BC', 'D', '']);
});

for (const pieces of [1, 2, 3, 100]) {
  void test(`what is in the middle is found, ${pieces} lines a piece`, () => {
    const [first] = foundOfArguments({ id: 'A' }, pieces);
    assert.deepEqual(first?.fields['args'], ['--', ...padding, 'Payroll-2026', ...padding]);
    assert.deepEqual(
      first?.argumentSeqs,
      first?.argumentSeqs?.map((_, at) => 2 + at),
    );
    assert.equal(idsOf(foundOfArguments({ user: 'zoe@example.net' }, pieces)), 'C');
    assert.equal(idsOf(foundOfArguments({ user: 'nobody@example.net' }, pieces)), '');
    assert.equal(idsOf(foundOfArguments({ user: 'user-number-88@example.org' }, pieces)), 'C');
    // The read may name it: its arguments were cut.
    assert.equal(idsOf(foundOfArguments({ text: 'Payroll-2026' }, pieces)), 'AE');
    assert.equal(idsOf(foundOfArguments({ text: ',1:*' }, pieces)), 'DE');
    assert.deepEqual(
      foundOfArguments({}, pieces).map(({ fields }) => isRowCut(fields)),
      [false, false, false, false, true],
    );
  });
}

void test('a set of messages that goes over several records is one word again, and the line can be judged again', () => {
  const [row] = foundOfArguments({ id: 'D' }, 1);
  assert.deepEqual(row?.fields['args'], ['--', '\\Seen', 'mailbox', 'INBOX', 'uid', set]);
  const line = row === undefined ? undefined : recordedLine(row);
  assert.ok(line?.kind === 'line' && line.words.includes(set));
});

void test('a search that goes on later, from the lines that waited', () => {
  const lines = bytesOfArguments.toString('utf8').split('\n').slice(0, -1);
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
  const rows = foundOfArguments({}, 3, (piece) => view.take(piece));
  assert.equal(idsOf(rows), 'ABDE');
  assert.deepEqual(rows[0]?.fields['args'], ['--', ...padding, 'Payroll-2026', ...padding]);
  const shown = createView(['user-number-0@example.org']).take(bytesOfArguments).toString('utf8');
  assert.doesNotMatch(shown, /Invented|user-number|Payroll|argument_hash/);
});

// Goal: a journal with admissions that nothing completes does not fill the memory of the program that reads it.
const when = '2026-11-20T08:00:00.000Z';
const seal = `,"prev":"${'0'.repeat(64)}","hash":"${'0'.repeat(64)}"}\n`;
const admissionOf = (at: number): string =>
  `{"seq":${at + 1},"time":"${when}","event":"admission","session":"S","id":"E${at}","user":"a@example.com","users":["a@example.com"],"args":[],"decision":"allow"${seal}`;
const completion = (at: number, seq: number): string =>
  `{"seq":${seq},"time":"${when}","event":"completion","session":"S","id":"E${at}","outcome":"ok"${seal}`;

/** Pieces of whole lines, as a journal is read. */
function* chunks(count: number, line: (at: number) => string): Generator<Buffer> {
  for (let from = 0; from < count; from += 1_000) {
    const lines = Array.from({ length: Math.min(1_000, count - from) }, (_, at) => line(from + at));
    yield Buffer.from(lines.join(''));
  }
}

test('a search keeps so many admissions', () => {
  const search = createSearch({});
  for (const piece of chunks(200_000 + 1_000, admissionOf)) search.take(piece);
  assert.equal(search.waiting().length, 200_000);
});

test('a search keeps so many bytes of admissions and their argument records', () => {
  const bytesMax = 64 * 1024 ** 2;
  const search = createSearch({});
  const long = (at: number): string => admissionOf(at).replace('"args":[]', `"args":["${'x'.repeat(6000)}"]`);
  const part = (at: number): string => long(at).replace('"admission"', '"arguments"');
  const count = Math.ceil((1.2 * bytesMax) / 12_000);
  for (const piece of chunks(count, (at) => long(at) + part(at))) search.take(piece);
  const bytes = search.waiting().reduce((sum, line) => sum + line.length, 0);
  assert.ok(bytes < bytesMax + (1 << 20) && bytes > bytesMax - (1 << 20), `${bytes} bytes`);
  // What has ended makes room.
  for (const piece of chunks(count, (at) => completion(at, count + 1 + at))) search.take(piece);
  assert.equal(search.waiting().length, 0);
  search.take(Buffer.from(long(count)));
  assert.equal(search.waiting().length, 1);
});

// bounds.openRecovered
test('a start keeps so many open exchanges', () => {
  const open: OpenExchanges = new Map();
  for (let at = 0; at < bounds.openRecovered + 1_000; at += 1) noteExchange(open, at + 1, admissionOf(at));
  assert.equal(open.size, bounds.openRecovered);
});

test('a limited view keeps so many open exchanges, and so many that ended', () => {
  const view = createView(['*@example.com']);
  const count = 200_000 + 1;
  for (const piece of chunks(count, admissionOf)) view.take(piece);
  const shows = (line: string): boolean => view.take(Buffer.from(line)).includes('"id"');
  assert.equal(shows(completion(count - 1, count + 1)), false);
  assert.equal(shows(completion(0, count + 2)), true);
  const log = `{"seq":${count + 3},"time":"${when}","event":"log","session":"S","id":"E0","level":"info","text":"x"${seal}`;
  assert.equal(shows(log), true);
  for (let at = 1; at <= 1000; at += 1) view.take(Buffer.from(completion(at, count + 3 + at)));
  assert.equal(shows(log), false);
});

test('a misspelled user is looked for among so many; whether it is named, among all', () => {
  const surveyed = (others: number, last: string, other = /"users":\[[^\]]*\],/) => {
    const made = createSurvey({ user: 'someboyd@example.com' });
    const names = Array.from({ length: others }, (_, at) => `user${at}x@example.com`);
    const lines = [...names, last].map((user, at) =>
      admissionOf(at).replaceAll('a@example.com', user).replace(other, ''),
    );
    made.take(Buffer.from(lines.join('')));
    const { names: like, isNamed } = made.finish();
    return [like, isNamed];
  };
  const [meant, asked] = ['somebody@example.com', 'someboyd@example.com'];
  assert.deepEqual(surveyed(1000 - 1, meant), [[meant], false]);
  assert.deepEqual(surveyed(0, meant, /"user":"[^"]*",/), [[meant], false], 'in the list of users');
  assert.deepEqual(surveyed(1000, meant), [[], false]);
  assert.deepEqual(surveyed(1000, asked), [[], true]);
});

void test('from the end of the trail only a completion ends an exchange', () => {
  const search = createSearch({ user: 'a@example.com' });
  const takeEnds = (...lines: string[]) => search.takeEnds(Buffer.from(lines.join('')), (line) => line);
  assert.deepEqual(search.take(Buffer.from(admissionOf(0))), []);
  const log = admissionOf(1).replace('"admission"', '"log"').replace('"E1"', '"E0"');
  assert.deepEqual(takeEnds(log, admissionOf(2)), []);
  const [row] = takeEnds(completion(0, 4));
  assert.deepEqual([row?.fields['outcome'], row?.admittedSeq, row?.completedSeq], ['ok', 1, 4]);
  assert.deepEqual(search.finish(), []);
});

void test('a value that stands elsewhere in the line is not the value of the key', () => {
  const line = (record: object): string => `${JSON.stringify({ seq: 1, ...record, prev: '', hash: '' })}\n`;
  const time = new Date(started).toISOString();
  const nested = { listener: 'support', policy: 'p', effect: 'read', session: 'S' };
  const peer = { kept: 1, ...nested };
  const forged = line({ time, event: 'admission', id: 'E', peer, listener: 'jobs', policy: 'q' });
  const count = (filter: TrailFilter): number => rowsIn(filter, forged).length;
  for (const key of ['listener', 'policy', 'effect', 'session'] as const)
    assert.equal(count({ [key]: nested[key] }), 0, key);
  assert.equal(count({ listener: 'jobs', policy: 'q' }), 1);
});

void test('the whole history of a grant, once, with the commands under it', () => {
  const ledger = new Ledger('p', undefined, 'ab');
  const lines: string[] = [];
  const add = (record: JournalRecord) => lines.push(ledger.seal(encodeBody(record)));
  const book = new AccessBook();
  for (const record of [...grantRecords('G1', started), ...grantRecords('G2', started)]) {
    book.follow(record);
    add(record);
  }
  const users = ['anna@example.com'];
  const command = { decision: 'allow', command: 'fetch', args: ['text'], users } as const;
  add({ time: started + 10, event: 'admission', id: 'E1', ...command, grant: 'G1' });
  for (const record of book.carried(started + 20)) add(record);
  add({ time: started + 30, event: 'completion', id: 'E1', outcome: 'ok', grant: 'G1' });
  add({ time: started + 40, event: 'admission', id: 'E2', ...command, grant: 'G2' });
  add({ time: started + 41, event: 'admission', id: 'E3', ...command, reason: ',"grant":"G1"' });
  add(over('revoked', 'G1', started + 50));
  // It came when the grant was over; mails that dovegate counted for the request are no command of anybody.
  add({ time: started + 60, event: 'admission', id: 'E4', ...command, decision: 'deny', request: 'G1' });
  add({ time: started + 61, event: 'admission', id: 'E5', ...command, for: 'E4', request: 'G1' });
  const found = (filter: TrailFilter, pieces: readonly string[] = [lines.join('')]): string[] =>
    rowsIn(filter, ...pieces).map(({ fields }) => String(fields['action'] ?? fields['id']));
  const history = ['requested', 'approved', 'granted', 'E1', 'revoked', 'E4'];
  assert.deepEqual(found({ grant: 'G1' }), history);
  assert.deepEqual(found({ grant: 'G1' }, lines), history);
  assert.deepEqual(found({ grant: 'G1', sinceMs: started + 2, untilMs: started + 50 }), ['granted', 'E1']);
  assert.deepEqual(found({ grant: 'G1', kind: 'command' }), ['E1', 'E4']);
  assert.deepEqual(found({ grant: 'G1', kind: 'access' }), ['requested', 'approved', 'granted', 'revoked']);
  assert.deepEqual(found({ grant: 'G1', user: 'anna@example.com' }), history);
  assert.deepEqual(found({ grant: 'G1', by: 'carol' }), ['approved', 'granted', 'revoked']);
  assert.deepEqual(found({ user: 'anna@example.com' }), ['E1', 'E2', 'E3', 'E4']);
  assert.deepEqual(found({ grant: 'G3' }), []);
  assert.deepEqual(found({ grant: 'G1' }, [seenBy('*@example.com', lines)]), history);
});

void test('what people did beside commands is found by its kind and by who did it, and nothing of it through a limited view', () => {
  const drained = { event: 'operator', action: 'drain', deed: 'D1', by: 'carol', backend: 'mail1' } as const;
  const at = (after: number) => ({ time: started + after });
  const count = {
    ...at(1),
    event: 'admission',
    principal: 'carol@leads',
    command: 'search',
    args: [],
  } as const;
  const bob = { session: 'S1', principal: 'bob@support' };
  const fetch = { ...at(1), ...bob, id: 'E1', command: 'fetch', args: [], users: ['anna@example.com'] };
  const look = { event: 'operator', by: 'carol' } as const;
  const lock = { ...at(9), event: 'lock', lock: 'L1', user: 'vera@example.com', by: 'erin' } as const;
  const records: JournalRecord[] = [
    { ...at(0), event: 'session-open', listener: 'support', ...bob },
    { ...fetch, event: 'admission' },
    { ...fetch, event: 'completion', outcome: 'ok' },
    // Counted for approvers, and for a command of hers.
    { ...count, id: 'C0', for: 'C9', request: 'G1' },
    { ...count, id: 'C1', for: 'E1' },
    { ...at(2), ...drained },
    { ...at(3), event: 'operator', action: 'kill', deed: 'D2', by: 'dave', id: 'E1' },
    { ...at(3), ...drained, outcome: 'ok' },
    { ...at(4), ...look, action: 'page-sign-in', args: ['address=192.0.2.7'] },
    { ...at(5), ...look, action: 'audit-search', args: ['user=bob@x'] },
    requested('G1', started + 6),
    { ...over('revoked', 'G1', started + 6), principal: 'page:carol', to: undefined },
    { ...at(7), event: 'session-close', ...bob, reason: 'idle' },
    { ...at(8), event: 'limit', principal: 'bob@support', count: 3 },
    ...(['held', 'unlock-asked', 'unlocked'] as const).map((action) => ({ ...lock, action })),
    { ...at(9), event: 'log', id: 'E9', level: 'info', text: 'lock' },
  ];
  const lines = sealedLines(records);
  const found = (filter: TrailFilter, pieces: readonly string[] = lines): string[] =>
    rowsIn(filter, ...pieces).map(({ fields: { id, action, event } }) => String(action ?? event ?? id));
  const cases: readonly (readonly [TrailFilter, readonly string[]])[] = [
    // Mails that dovegate counted itself are nobody's commands: they are found where they are asked for.
    [{}, ['E1']],
    [{ kind: 'command' }, ['E1']],
    [{ kind: 'count' }, ['C0', 'C1']],
    [{ isWithCounts: true }, ['E1', 'C0', 'C1']],
    [{ id: 'C1' }, ['C1']],
    [{ kind: 'access' }, ['requested', 'revoked']],
    [{ kind: 'operator' }, ['drain', 'held', 'unlock-asked', 'unlocked', 'kill']],
    [{ by: 'erin' }, ['held', 'unlock-asked', 'unlocked']],
    [{ user: 'vera@example.com', kind: 'operator' }, ['held', 'unlock-asked', 'unlocked']],
    [{ kind: 'session' }, ['session-open', 'page-sign-in', 'session-close']],
    [{ kind: 'look' }, ['audit-search']],
    // One person by the names of listeners, of the page, and as an operator.
    [{ by: 'carol' }, ['drain', 'page-sign-in', 'audit-search', 'revoked']],
    [{ by: 'page:carol' }, ['revoked']],
    [{ by: 'c*l' }, ['drain', 'page-sign-in', 'audit-search']],
    [{ by: 'carol', kind: 'operator' }, ['drain']],
    [{ by: 'carol', text: 'mail1' }, ['drain']],
    [{ by: 'car' }, []],
    [{ by: 'bob' }, ['session-open', 'E1', 'requested', 'session-close']],
    [{ principal: 'carol', kind: 'all' }, ['drain', 'page-sign-in', 'audit-search']],
    [{ backend: 'mail1', kind: 'all' }, ['drain']],
    [{ outcome: 'requested', kind: 'all' }, ['requested']],
    // The kill has no end; both begin within the time.
    [{ outcome: 'ok', kind: 'operator' }, ['drain', 'held', 'unlock-asked', 'unlocked']],
    [{ outcome: 'open', kind: 'operator' }, ['kill']],
    [{ kind: 'operator', untilMs: started + 3 }, ['drain']],
    [{ id: 'E1', kind: 'all' }, ['E1', 'kill']],
    [{ user: 'anna@example.com', kind: 'all' }, ['E1', 'requested', 'revoked']],
    [{ kind: 'all', sinceMs: started + 3, untilMs: started + 5 }, ['page-sign-in', 'kill']],
  ];
  for (const [filter, rows] of cases) {
    assert.deepEqual(found(filter), rows, JSON.stringify(filter));
    assert.deepEqual(found(filter, [lines.join('')]), rows, JSON.stringify(filter));
  }
  const limited = seenBy('*@example.com', lines);
  for (const kind of ['operator', 'session', 'look'] as const)
    assert.deepEqual(found({ kind }, [limited]), []);
  assert.deepEqual(found({ kind: 'all' }, [limited]), ['E1', 'requested', 'revoked']);
  assert.deepEqual(found({ kind: 'all' }, [seenBy('*@x', lines)]), []);
});

void test('all that a person did not get is one list: commands, and requests that were refused or not answered', () => {
  const command = { principal: 'bob@support', command: 'fetch', args: [], users: ['anna@example.com'] };
  const ended = (id: string, outcome: RecordedOutcome): JournalRecord[] => [
    { time: started, event: 'admission', id, ...command },
    { time: started, event: 'completion', id, outcome, sent: false },
  ];
  const records: JournalRecord[] = [
    ...ended('E1', 'ok'),
    ...ended('E2', 'denied'),
    ...ended('E3', 'limited'),
    ...ended('E4', 'failed'),
    requested('R1', started),
    over('refused', 'R1', started, 'request', { reason: 'ask anna' }),
    requested('R2', started),
    over('expired', 'R2', started, 'request', { principal: 'bob@support' }),
    ...grantRecords('G1', started),
    over('expired', 'G1', started, 'grant', { principal: 'bob@support' }),
    over('refused', 'R3', started, 'request', { to: 'eve@support' }),
  ];
  const all = sealedBytes(records);
  const found = (filter: TrailFilter): string[] =>
    rowsIn(filter, all).map(
      (row) => `${String(row.fields['id'] ?? row.fields['request'])} ${outcomeOf(row)} ${whyWords(row)}`,
    );
  const got = found({ principal: 'bob@*', outcome: 'not-ok' });
  assert.deepEqual(
    got.map((each) => each.split(' ', 2).join(' ')),
    ['E2 denied', 'E3 limited', 'E4 failed', 'R1 refused', 'R2 unanswered'],
  );
  assert.deepEqual(got.slice(3), [
    'R1 refused refused by carol@leads: ask anna',
    'R2 unanswered nobody decided in time',
  ]);
  assert.deepEqual(found({ principal: 'bob@*', outcome: 'unanswered' }).length, 1);
  assert.deepEqual(found({ outcome: 'refused' }).length, 2);
  assert.deepEqual(found({ outcome: 'not-ok', kind: 'command' }).length, 3);
  assert.deepEqual(withoutOk(undefined, [{ key: 'outcome', value: 'ok' }]), { outcome: 'not-ok', not: [] });
  // What the words of a part tell of requesters is no reason to pass over a refusal, which an approver wrote.
  assert.equal(
    createSketchTest({ principal: 'bob@support', outcome: 'not-ok' })({
      firstSeq: 1,
      lines: 1,
      minMs: 0,
      maxMs: 1,
      mayHold: (token) => token !== 'pbob@support',
    }),
    true,
  );
});

void test('the word of a class finds as many rows as the bars count of it, and none of them when it is left out', () => {
  const refusals = ['denied', 'limited', 'unparsable'] as const;
  const failures = ['failed', 'partly', 'timeout', 'aborted', 'unknown'] as const;
  const records = ['ok' as const, ...refusals, ...failures, undefined].flatMap(
    (outcome, at): JournalRecord[] => {
      const named = { id: `E${at}`, session: 'S1', principal: 'bob@support', command: 'fetch', args: [] };
      const admission: JournalRecord = { time: started + at, event: 'admission', ...named };
      return outcome === undefined
        ? [admission]
        : [admission, { time: started + at, event: 'completion', ...named, outcome, sent: true }];
    },
  );
  const refused = { event: 'operator', action: 'page-refused', by: 'eve' } as const;
  const bytes = sealedBytes([...records, { time: started + 20, ...refused }]);
  for (const kind of ['command', 'all'] as const) {
    const found = (outcome?: string): ExchangeRow[] =>
      rowsIn({ kind, ...(outcome !== undefined && { outcome }) }, bytes);
    const histogram = createHistogram();
    for (const row of found()) histogram.take(row);
    const { buckets } = histogram.finish(undefined, undefined);
    for (const word of outcomeClasses) {
      const counted = buckets.reduce((sum, bucket) => sum + bucket[word], 0);
      assert.equal(found(word).length, counted, `${kind} ${word}`);
      const others = found().filter((row) => !isLeftOut(row, [{ key: 'outcome', value: word }]));
      assert.equal(others.length, found().length - counted, `not ${kind} ${word}`);
    }
    assert.equal(found('limited').length, 1);
    assert.equal(found('open').length, 1);
  }
});
