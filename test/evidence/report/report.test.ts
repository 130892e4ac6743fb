// Goal: a report begins with its verdict, counts what the rows are, lists nothing that was written after the check, and has the same rows
// in every form; where the rows are not all, it is never complete.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHtmlReport } from '../../../src/evidence/report/html.js';
import type { ReportForm } from '../../../src/evidence/report/lines.js';
import {
  createCsvReport,
  createJsonReport,
  createPageReport,
  makeReport,
  type ReportAsked,
  type Reported,
  whyNoReport,
} from '../../../src/evidence/report/report.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import type { MailboxDay, MailboxHead, Surveyed } from '../../../src/evidence/views/trail.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { makeTrail, started, verify } from '../trail/paper-trail.js';

const alice = 'alice@example.com';
const time = { fromMs: undefined, toMs: undefined, nowMs: started + 300_000 };
const asked: ReportAsked = {
  mailbox: alice,
  ...time,
  isContentOnly: false,
  host: 'mx1',
  madeBy: 'eve on \u202emx1',
};

function row(admittedSeq: number, more: Readonly<Record<string, unknown>> = {}): ExchangeRow {
  const line = { command: 'quota get', args: ['--'], user: alice, users: [alice] };
  const end = { effect: 'read', decision: 'allow', outcome: 'ok', sent: true, cells: 2 };
  const at = { time: '2026-11-20T08:01:00.000Z', id: `E${admittedSeq}`, principal: 'carol@support' };
  const fields = { ...at, ...line, ...end, ...more };
  return { fields, admittedSeq, completedSeq: admittedSeq + 1, completedTime: fields.time };
}

/** What names a journal has: none of them like the mailbox, unless it is said. */
const nothing = { records: 9, all: 9, firstTime: undefined, lastTime: undefined, names: [], isNamed: false };
const surveyed =
  (more: Partial<Surveyed> = {}) =>
  () =>
    Promise.resolve({ ...nothing, ...more });

async function report(
  rows: readonly ExchangeRow[],
  form: ReportForm,
  more: Partial<Reported & ReportAsked> = {},
) {
  const verdict = verify(makeTrail());
  const journal: Reported = {
    verdict,
    isChecked: true,
    whose: '',
    pathOf: (file) => file,
    // oxlint-disable-next-line typescript/require-await -- rows of a file come one by one
    async *rows() {
      yield* rows;
    },
    survey: surveyed({ isNamed: true }),
    doubts: () => [],
    ...more,
  };
  const { counts, texts, isComplete, isMisnamed } = await makeReport(journal, { ...asked, ...more }, form);
  const lines: string[] = [];
  for await (const text of texts) lines.push(text);
  return { counts, lines, isComplete, isMisnamed };
}

void test('for the page: a head, then days with lines that name their exchanges', async () => {
  const expunged = row(6, { effect: 'destroy', command: 'expunge', time: '2026-11-21T00:00:00.000Z' });
  const { lines, counts, isComplete } = await report([row(2), row(4), expunged], createPageReport());
  const [head, ...days]: [MailboxHead, ...MailboxDay[]] = JSON.parse(`[${lines.join(',')}]`);
  assert.equal(isComplete, true);
  assert.equal(head.isComplete, true);
  assert.equal(head.answer, '1 command deleted what it named, as far as it was there.');
  for (const line of days.flatMap((day) => day.lines))
    assert.ok(
      head.classes.some(({ what }) => what === line.what),
      line.what,
    );
  assert.match(
    head.sentences[0] ?? '',
    /^complete from .*, 1 requester, 3 commands, none of them showed content$/,
  );
  assert.equal(head.madeBy, 'eve on \\u{202e}mx1');
  assert.deepEqual(head.counts, counts);
  const told = days.flatMap(({ day, lines: all }) =>
    all.map(({ what, count, ids }) => `${day}: ${what}, ${count}, ${ids.join(' ')}`),
  );
  assert.deepEqual(told, ['2026-11-20: read, no content, 2, E2 E4', '2026-11-21: deleted, 1, E6']);
});

void test('the exchanges of a line are few, whatever their number is', async () => {
  const rows = Array.from({ length: 50 }, () => row(2));
  const { lines } = await report(rows, createPageReport());
  const { lines: all }: MailboxDay = JSON.parse(lines[1] ?? '');
  assert.deepEqual([all[0]?.count, all[0]?.ids.length], [50, 20]);
});

void test('what was written after the check is not in it, and what ended after it is open', async () => {
  const { lastSeq = 0 } = verify(makeTrail());
  const { lines, counts } = await report([row(2), row(lastSeq), row(lastSeq + 1)], createJsonReport());
  assert.equal(counts.commands, 2);
  assert.equal(
    lines
      .slice(1)
      .map((line) => JSON.parse(line).outcome)
      .join(' '),
    'ok open',
  );
});

void test('under a grant without a stated reason: the reason of its request', async () => {
  const under = [{ grant: 'G1' }, { grant: 'G1', reason: 'ticket 9' }, { grant: 'G2' }, {}];
  const rows = under.map((more, at) => row(2 * at + 2, more));
  const told = { approvedBy: 'approved by eve@leads', reason: 'ticket 4711' };
  const grants = () => Promise.resolve((id: string) => (id === 'G1' ? told : undefined));
  const { lines } = await report(rows, createJsonReport(), { grants });
  const shown = lines.slice(1).map((line) => {
    const { reason, approved_by: by } = JSON.parse(line);
    return `${reason} | ${by}`;
  });
  assert.deepEqual(shown, [
    `ticket 4711 | ${told.approvedBy}`,
    `ticket 9 | ${told.approvedBy}`,
    ' | ',
    ' | ',
  ]);
});

void test('content only', async () => {
  const shown = row(4, { command: 'fetch', args: ['text', 'all'] });
  const { lines, counts } = await report([row(2), shown], createCsvReport(), { isContentOnly: true });
  assert.equal(counts.commands, 2);
  const rows = lines.filter((line) => !line.includes(',verdict,'));
  assert.equal(rows.length, 2);
  assert.match(rows[1] ?? '', /fetch/);
});

void test('what speaks against it makes it incomplete', async () => {
  const doubts = () => [{ code: 'limited-view', text: 'eve sees a part', isSerious: true }] as const;
  const { isComplete, lines } = await report([row(2)], createCsvReport(';'), { doubts });
  assert.equal(isComplete, false);
  const about = `${formatTime(asked.nowMs)};dovegate on mx1;verdict;;`;
  const answer = 'No recorded command deleted anything. But the record is not proved complete.';
  assert.equal(lines[1], `${about}${answer};;;${alice};;;;;;;;;;;;;;\r`);
  assert.ok(lines[2]?.startsWith(`${about}"NOT proved complete`), lines[2]);
  assert.ok(lines[3]?.startsWith(`${about}eve sees a part;`), lines[3]);
  assert.ok(lines[4]?.includes('of commands that went through dovegate'), lines[4]);
  assert.ok(lines[5]?.startsWith('2026-11-20T08:01:00.000Z;carol@support;read;read;;quota get;'), lines[5]);
});

void test('a name that nobody has, and one that others have', async () => {
  const typo = { survey: surveyed({ names: [alice] }), mailbox: 'alice' };
  const { lines, isComplete, isMisnamed } = await report([], createJsonReport(), typo);
  assert.deepEqual([isComplete, isMisnamed], [true, true]);
  const { verdict } = JSON.parse(lines[0] ?? '');
  const answer = 'No record names "alice": did you mean alice@example.com?';
  assert.deepEqual([verdict.answer, verdict.named, verdict.similar], [answer, false, [alice]]);
  // Commands for all users may have touched it.
  const all = row(2, { user: undefined, users: ['*'] });
  const touched = await report([all], createPageReport(), typo);
  const head: MailboxHead = JSON.parse(touched.lines[0] ?? '');
  assert.equal(head.answer, `${answer} No recorded command deleted anything.`);
});

void test('a right name without a command in this time, and a name that is like no other', async () => {
  const survey = surveyed({ names: ['alcie@example.com'], isNamed: true });
  const named = await report([], createCsvReport(), { survey });
  assert.equal(named.isMisnamed, false);
  assert.match(named.lines[1] ?? '', /,No recorded command deleted anything\.,/);
  const unknown = await report([], createCsvReport(), { survey: surveyed() });
  assert.equal(unknown.isMisnamed, false);
  assert.match(unknown.lines[1] ?? '', /,"?No record names ""alice@example\.com""\."?,/);
});

void test('a limited view is named in the first sentence of every form', async () => {
  const doubts = () => [{ code: 'limited-view', text: 'eve sees a part', isSerious: true }] as const;
  const said = 'Of what eve may see, no recorded command deleted anything.';
  for (const form of [createJsonReport(), createCsvReport(), createHtmlReport(), createPageReport()]) {
    const { lines } = await report([], form, { doubts, viewer: 'eve' });
    assert.ok(lines.join('\n').includes(said), lines.join('\n'));
  }
});

void test('what no report can be made of', () => {
  assert.equal(whyNoReport({ ...time, mailbox: '' }), 'mailbox');
  assert.equal(whyNoReport({ ...time, mailbox: '*@example.com' }), 'mailbox');
  assert.equal(whyNoReport({ mailbox: 'a', fromMs: 2, toMs: 2 }), 'time');
  assert.equal(whyNoReport({ mailbox: 'a', fromMs: 1, toMs: 2 }), undefined);
});
