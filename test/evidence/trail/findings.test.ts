// What searches, surveys and exports answer, each as a whole: findings.txt and exports.txt, which a person approved.

import { test } from 'node:test';
import {
  exportColumns,
  formatArguments,
  formatCell,
  formatCsvHeader,
  formatCsvRow,
  formatJsonRow,
  formatValue,
} from '../../../src/evidence/trail/export.js';
import {
  createCoverTest,
  createLikeNames,
  createNameTest,
  createRetirements,
  createSearch,
  createSurvey,
  type ExchangeRow,
  idAfter,
  isRowCut,
} from '../../../src/evidence/trail/search.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { type Asked, compareAnswers, inLines } from '../../kit/plain/approved.js';

const started = Date.UTC(2026, 10, 20, 8);
const blank = (): JournalRecord => ({ time: started, event: 'admission' });
type Given = Readonly<Record<string, unknown>>;
const lineOf = (record: Given, at: number): string =>
  sealLine(at + 1, encodeBody(Object.assign(blank(), { time: started + at * 1000 }, record)), '0'.repeat(64))
    .line;
/** With keys that only readers of other releases see. */
const rawLine = (record: Given, at: number): string =>
  `{"seq":${at + 1},"time":"${new Date(started + at * 1000).toISOString()}",${JSON.stringify(record).slice(1, -1)},"prev":"p","hash":"h"}\n`;
const admission = (id: string, more: Given): Given => ({ event: 'admission', id, ...more });
const end = (id: string, more: Given = {}): Given => ({ event: 'completion', id, outcome: 'ok', ...more });

const alice = 'alice@example.com';
const byBob = {
  session: 'S1',
  listener: 'support',
  principal: 'bob@support',
  policy: 'p',
  decision: 'allow',
};
const lists = { command: 'mailbox list', user: alice, args: ['--', 'INBOX'], effect: 'read', users: [alice] };
const byCarol = { session: 'S2', listener: 'jobs', principal: 'carol@jobs', policy: 'q', decision: 'deny' };
const expunges = { command: 'expunge', args: ['-A', 'mailbox "x"'], effect: 'destroy', users: ['*'] };
const ofZoe = { user: 'Zoe@Example.com', args: ['--'], users: ['Zoe@Example.com'] };
const cut = { principal: { cut: 'bob@', bytes: 9 }, command: { cut: 'mailbox list x', bytes: 99 } };
const ofAlice = { user: alice, args: ['--', { part: 'x' }], argument_records: 2 };
const trail: readonly string[] = [
  lineOf({ event: 'start' }, 0),
  lineOf(admission('A', { ...byBob, ...lists }), 1),
  lineOf(admission('B', { ...byCarol, user: 'bob@example.com', ...expunges }), 2),
  lineOf({ event: 'log', id: 'A', text: 'noise' }, 3),
  lineOf(end('B', { outcome: 'denied', status: '-NOPERM', sent: false }), 4),
  lineOf(end('A', { status: '+', sent: true, backend: 'mail1', upstream: 'mail1-2' }), 5),
  lineOf(
    admission('C', { ...byBob, policy: undefined, principal: 'bob@other', command: 'mailbox', ...ofZoe }),
    6,
  ),
  rawLine(admission('D', { session: 'S3', ...cut, ...ofAlice }), 7),
  rawLine({ event: 'arguments', id: 'D', args: ['--', { part: 'Pay' }] }, 8),
  rawLine({ event: 'arguments', id: 'A', args: ['not its own'] }, 9),
  rawLine({ event: 'arguments', id: 'D', args: [{ rest: 'roll' }, 'end'] }, 10),
  rawLine(end('D', { outcome: 'failed', backend: 'mail2' }), 11),
  rawLine(admission('E', { user: alice, args: ['--'], argument_records: 2, decision: 'allow' }), 12),
  rawLine({ event: 'arguments', id: 'E', args: ['only one'] }, 13),
  rawLine(end('E'), 14),
  rawLine(admission('F', { user: 'x', users: [{ more: 3, bytes: 1 }], backend: 'mail1' }), 15),
  rawLine(admission('G', { user: 'y', args: ['a', { cut: 'ali', bytes: 90 }] }), 16),
  rawLine({ event: 'admission', user: 'without id' }, 17),
  'no record\n',
  '{"seq":19,"time":"\n',
  rawLine(end('G', { outcome: 7, seq: 'x' }), 18),
  rawLine(end('none'), 19),
  rawLine(admission('A', { user: 'again', command: 'mailboxes' }), 20),
];

function search(filter: TrailFilter, linesInPiece = 100, lines = trail): ExchangeRow[] {
  const found = createSearch(filter);
  const rows: ExchangeRow[] = [];
  for (let at = 0; at < lines.length; at += linesInPiece)
    rows.push(...found.take(Buffer.from(lines.slice(at, at + linesInPiece).join(''))));
  return [...rows, ...found.finish()];
}
const shown = (show: (row: ExchangeRow) => string, rows = search({})): string =>
  rows.map((row) => show(row)).join('\n');
const briefOf = ({ fields, admittedSeq, completedSeq, argumentSeqs }: ExchangeRow): string =>
  [String(fields['id']), admittedSeq, completedSeq, argumentSeqs?.join('+')].join(':');
const brief = (rows: readonly ExchangeRow[]): string => rows.map(briefOf).join(' ');

const of = (texts: string, filter: (text: string) => TrailFilter): TrailFilter[] =>
  texts.split('|').map((text) => filter(text));
const users =
  'alice@example.com|ALICE@example.com|alice|ali*|*@example.com|*li*|*|**||bob@example.com|zoe@example.com|' +
  'Zoe@Example.com|zoe@*|nobody|?|a?ice@example.com';
const texts = 'INBOX|mailbox "x"|Payroll|Pay|only one|noise|-NOPERM|mail1-2|end|none|ali|"outcome"';
const asBob = { user: alice, principal: 'bob@support', command: 'mailbox', listener: 'support' };
const filters: readonly TrailFilter[] = [
  ...of(users, (user) => ({ user })),
  ...of('bob@support|bob@*|*@support|bob|*|b*@*t|*"*|bob@', (principal) => ({ principal })),
  ...of('mailbox|mailbox list|mailbox list x|mail|mailboxes|expunge|', (command) => ({ command })),
  ...of('support|jobs|supp', (listener) => ({ listener })),
  ...of('mail1|mail2|mail', (backend) => ({ backend })),
  ...of('p|q|none', (policy) => ({ policy })),
  ...of('read|destroy|des', (effect) => ({ effect })),
  ...of('ok|open|failed|denied|unknown', (outcome) => ({ outcome })),
  ...of('A|D|none', (id) => ({ id })),
  ...of('S1|S3|S', (session) => ({ session })),
  ...[0, 1000, 1001, 1000.5, 6000, 99_000].flatMap((ms) => [
    { sinceMs: started + ms },
    { untilMs: started + ms },
  ]),
  { sinceMs: started + 1000, untilMs: started + 6000 },
  ...of(texts, (text) => ({ text })),
  { user: alice, id: 'A' },
  { user: alice, session: 'S1', principal: 'bob@*' },
  { ...asBob, effect: 'read', policy: 'p', outcome: 'ok', backend: 'mail1', text: 'INBOX' },
  { user: alice, principal: 'carol@jobs' },
  { listener: 'support', policy: 'p' },
  { listener: 'support', policy: 'q' },
  { text: 'INBOX', backend: 'mail2' },
  { outcome: 'open', text: 'again' },
  { outcome: 'ok', user: 'bob@example.com' },
];

const ofSearches: readonly Asked[] = [
  inLines(
    'filters',
    filters.map((filter) => [
      JSON.stringify(filter),
      () => [...new Set([1, 2, 5, 100].map((lines) => brief(search(filter, lines))))].join('\n'),
    ]),
  ),
  ...Object.entries({
    'all rows': () => shown((row) => JSON.stringify(row)),
    'without a last line end': () => brief(search({}, 100, [trail[1] ?? '', (trail[5] ?? '').trimEnd()])),
    waiting: () => {
      const found = createSearch({ id: 'D' });
      found.take(Buffer.from(trail.slice(0, 9).join('')));
      return found.waiting().map(String).join('\n---\n');
    },
    'waiting, then ended': () => {
      const found = createSearch({});
      found.take(Buffer.from(trail.join('')));
      const before = found.waiting().length;
      return [before, found.finish().length, found.waiting().length, found.finish()];
    },
    ends: () => {
      const found = createSearch({});
      const calls: string[] = [];
      const show = (line: Buffer): Buffer => {
        calls.push(line.toString().slice(0, 9));
        return Buffer.from(`${line.toString().replace('Pay', 'PAY')}\n`);
      };
      found.take(Buffer.from(trail.slice(0, 8).join('')));
      const again = found.takeEnds(Buffer.from(trail.slice(8, 10).join('')), show);
      const rows = found.takeEnds(Buffer.from(trail.slice(8).join('')), show);
      return [again, rows, calls, found.waiting().length];
    },
    'ends of nothing': () => createSearch({}).takeEnds(Buffer.from(trail.join('')), (line) => line),
    ids: () => {
      const bytes = Buffer.from('x,"id":"E1","a');
      const idIn = (from: number, to: number, text = bytes) => idAfter(text, from, to) ?? 'none';
      return [idIn(0, 14), idIn(0, 9), idIn(0, 10, bytes.subarray(0, 10)), idIn(2, 14), idIn(0, 8)];
    },
    'cut rows': () => {
      const args = [[{ more: 1 }], undefined, ['a', { hmac: 'h' }], 'more', undefined, [null, ['more']]];
      return args.map((each, at) => isRowCut({ args: each, users: at === 1 ? [{ cut: 'a' }] : undefined }));
    },
    names: () =>
      [alice, 'al*', '*', undefined].map((user) => search({}).map(createNameTest({ user })).join(' ')),
    covers: () =>
      [alice, 'al*'].map((user) => [alice, 'a*', '*', 'bob', 'al', ''].map(createCoverTest(user))),
  }),
];

const survey = (asked: Parameters<typeof createSurvey>[0], lines = trail): unknown => {
  const made = createSurvey(asked);
  made.take(Buffer.from(lines.slice(0, 3).join('')));
  made.take(Buffer.from(lines.slice(3).join('')));
  return made.finish();
};
const like = (wanted: string, ...names: readonly string[]): Asked => [
  `like ${wanted}: ${names.join(' ')}`,
  () => {
    const found = createLikeNames(wanted);
    for (const name of names) found.take(name);
    return found.names();
  },
];
const retire = (more: Given, at: number): string => rawLine({ event: 'retire', ...more }, at);
const retirements = (lines: readonly string[]): unknown => {
  const made = createRetirements();
  made.take(Buffer.from(lines.join('')));
  return [undefined, 0, started, started + 1, started + 5000].map((ms) => made.since(ms));
};
const surveyedUsers =
  'alice@example.com|ALICE@example.org|alcie@example.com|alice|again|al*|bob@support|zoe@example.com';
const ofSurveys: readonly Asked[] = [
  ...[
    {},
    ...of(surveyedUsers, (user) => ({ user })),
    { sinceMs: started + 1000, untilMs: started + 6000 },
    { sinceMs: started + 1001 },
    { untilMs: started },
  ].map((asked): Asked => [`survey ${JSON.stringify(asked)}`, () => survey(asked)]),
  ['survey of nothing', () => survey({ user: alice }, [])],
  like('alice', 'alice@a', 'alice@b', 'alice@a', 'alice@c', 'alice@d', 'alicex@a', 'alice'),
  like(
    'alice@a.org',
    ...'alice@a.org alcie@a.org alice@b.org bob@a.org @a.org alice alice@ x@b.org'.split(' '),
  ),
  like('a@b@example.org', 'a@c@example.org', 'a@b@example.net', 'b@example.org'),
  like('@example.org', '@example.net', 'a@example.org'),
  ...Object.entries({
    retired: () =>
      retirements([
        retire({ action: 'age', until: new Date(started).toISOString() }, 0),
        retire({ action: 'age', until: new Date(started + 1000).toISOString() }, 1),
        'x\n',
        retire({ action: 'size' }, 2),
        retire({ action: 'odd', until: 7 }, 3),
        retire({ action: 'size', until: new Date(started + 1).toISOString() }, 4),
      ]),
    'retired: a line that is none': () =>
      retirements(['{"event":"retire"\n', rawLine({ event: 'log', text: '"event":"retire"' }, 2)]),
  }),
];

const values: readonly unknown[] = [
  ['a', '', ['a', ['b', 'c'], 1], 7, true, null, undefined, { hmac: 'h' }, { hmac: 1 }],
  [{ more: 2 }, { more: 'x' }, { cut: 'a', bytes: 9 }, { cut: 'a', bytes: 9, end: 'z' }, { cut: 1 }],
  [{ part: 'p' }, { part: 1 }, { rest: 'r' }, { rest: 2 }, {}],
].flat();
const cells =
  'a|a b| a|a |a,b|a;b|a\tb|a"b|a\'b|a\nb|=1|+a|-a|@a|=|==| = |"=1|\'=1|\uff1d1|\uff0b1|\uff0d1|\uff201|a=1|a,=1|' +
  'a;=1|a; =1|a,;=1|=;|=,|\u00a0';
const formatted = (text: string): string =>
  [formatCell(text), formatCell(text, ';'), formatCell(text, '\t')].join(' | ');
const ofExports: readonly Asked[] = [
  ...Object.entries({
    columns: () => exportColumns.join(' '),
    headers: () => [formatCsvHeader(), formatCsvHeader(';').slice(0, 20), formatCsvHeader('\t').slice(0, 20)],
  }),
  inLines(
    'values',
    values.map((value): Asked => [JSON.stringify(value), () => [formatValue(value), formatCell(value)]]),
  ),
  inLines(
    'cells',
    cells.split('|').map((text): Asked => [JSON.stringify(text), () => formatted(text)]),
  ),
  inLines(
    'arguments',
    [['--'], ['--', 'a'], ['-d', '--', 'a'], ['--a'], ['a', '--'], undefined].map(
      (args): Asked => [JSON.stringify(args), () => `<${formatArguments(args)}>`],
    ),
  ),
  ...Object.entries({
    'rows as CSV': () => shown((row) => formatCsvRow(row)),
    'rows with semicolons': () => shown((row) => formatCsvRow(row, ';'), search({}).slice(0, 2)),
    'rows as JSON': () => shown(formatJsonRow),
  }),
];

void test('searches', () => compareAnswers('test/evidence/trail/answers/searches.txt', ofSearches));
void test('surveys', () => compareAnswers('test/evidence/trail/answers/surveys.txt', ofSurveys));
void test('exports', () => compareAnswers('test/evidence/trail/answers/exports.txt', ofExports));
