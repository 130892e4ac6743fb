// Reports of one mailbox from real journals on the disk, whole and damaged ones, in all their forms.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { auditReport, type ReportFlags } from '../../../src/evidence/cli/audit-report.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { placesAt, printed, signKey, tamper, writeJournal } from './shown.js';
import { keyFile } from './verifying.js';

const alice = 'alice@example.com';

function report(t: TestContext, directory: string, flags: Partial<ReportFlags> = {}) {
  const asked = { mailbox: alice, key: [keyFile(t)], ...flags };
  return printed((screen) => auditReport(screen, placesAt(directory), asked));
}

const hostile = '</td><script>alert(1)</script>"\'\u001b[2J\u202e=1+1;=2';

/** E0 to E5: a quota, a text with a reason, a refused one, a mask, one for all users, one that has no end. */
function varied(record: AuditRecord, count: number): AuditRecord {
  const base = { ...record, effect: 'read' as const };
  if (record.event === 'admission') {
    const text = { command: 'fetch', args: ['--', 'text', 'all'] };
    if (count === 1) return { ...base, ...text, principal: 'carol@support', reason: hostile };
    if (count === 2) return { ...base, ...text, decision: 'deny' };
    if (count === 3) return { ...base, user: undefined, command: 'who', args: ['--', 'al*'], users: ['al*'] };
    if (count === 4) return { ...base, user: undefined, command: 'log errors', args: ['--'], users: ['*'] };
    return base;
  }
  if (count === 2) return { ...record, outcome: 'denied', sent: false };
  if (count === 5) return { ...record, event: 'log', text: 'instead of a completion' };
  return { ...record, sent: true, cells: 2, outcome: 'ok' };
}

void test('first the verdict, then groups by day, requester, class and reason', async (t) => {
  const { code, lines, complaints } = await report(t, await writeJournal(t, 6, varied));
  assert.equal(code, 0, lines.join('\n'));
  assert.equal(complaints, '');
  assert.equal(lines[0], `who touched ${alice}`);
  assert.equal(lines[1], 'No recorded command deleted anything.');
  assert.match(
    lines[2] ?? '',
    /^complete from [-\d]{10} [:\d]{8} to [-\d]{10} [:\d]{8} UTC, signed by \S+=, nothing missing, 2 requesters, 5 commands, 1 of them showed content$/,
  );
  assert.ok(lines[2]?.includes(signKey.key));
  assert.deepEqual(lines.slice(3, 8), [
    '  note: 2 commands may have touched it: for all users, or by a mask or a list that was cut',
    '  note: 1 command without a recorded end: still running, or the outcome is unknown',
    '  note: 1 more command never reached a mail server (1 denied, 0 failed)',
    '  note: of commands that went through dovegate; what mail programs do (IMAP, POP3), or root beside it, is not recorded',
    '',
  ]);
  const rows = lines.slice(8).join('\n');
  assert.match(rows, /^DAY +REQUESTER +WHAT +COUNT +TIME \(UTC\) +REASON +COMMANDS +NOTE\n/);
  assert.match(rows, /\d +bob@support +tried, denied +1 .* fetch +asked for content$/m);
  assert.match(rows, /who +may have touched it: by a mask/);
  assert.match(rows, /log errors +may have touched it: all users, or nobody can tell whose/);
  assert.match(
    rows,
    /carol@support +showed content +1 +[:\d]{8} +<\/td><script>.*\\x1b\[2J\\u\{202e\}=1\+1;=2 +fetch$/m,
  );
});

/** Of eight: two deletions are sent, two are denied; a `mailbox create` fails; the rest are reads. */
function deleting(record: AuditRecord, count: number): AuditRecord {
  const command = count < 4 ? 'expunge' : count === 4 ? 'mailbox create' : record.command;
  const effect = count < 4 ? 'destroy' : count === 4 ? 'write' : 'read';
  const named = { ...record, command, effect } as const;
  const isDenied = count === 2 || count === 3;
  if (record.event === 'admission') return isDenied ? { ...named, decision: 'deny' } : named;
  if (isDenied) return { ...named, outcome: 'denied', sent: false };
  return { ...named, sent: true, cells: 0, outcome: count === 4 ? 'failed' : 'ok' };
}

void test('was anything deleted? The first sentence; what was denied or failed is a class of its own', async (t) => {
  const directory = await writeJournal(t, 8, deleting);
  const { lines } = await report(t, directory);
  assert.equal(
    lines[1],
    '2 commands deleted what they named, as far as it was there; 2 attempts were denied.',
  );
  const rows = lines.slice(lines.indexOf('') + 2);
  assert.deepEqual(
    rows
      .map((line) => / {2}(deleted|read, no content|tried, \w+) +(\d+) /.exec(line)?.slice(1).join(' '))
      // They begin within some milliseconds, or within one.
      .toSorted((one = '', other = '') => (one < other ? -1 : 1)),
    ['deleted 2', 'read, no content 3', 'tried, denied 2', 'tried, failed 1'],
  );
  assert.match(rows.find((line) => line.includes('tried, denied')) ?? '', /asked to delete$/);
  const json = (await report(t, directory, { json: true })).lines.map((line) => JSON.parse(line));
  const verdict = json[0].verdict;
  const counts = ['deleted', 'may_have_deleted', 'delete_denied', 'delete_failed'].map((key) => verdict[key]);
  assert.deepEqual([verdict.answer, ...counts], [lines[1], 2, 0, 2, 0]);
  assert.deepEqual(
    json.slice(1, 6).map(({ class: group, kind }) => `${group} ${kind}`),
    ['deleted destroyed', 'deleted destroyed', 'denied destroyed', 'denied destroyed', 'failed changed'],
  );
});

void test('JSON: the verdict, then one line for each command', async (t) => {
  const { code, lines } = await report(t, await writeJournal(t, 6, varied), { json: true });
  const [head, ...rows] = lines.map((line) => JSON.parse(line));
  assert.equal(code, 0);
  const keys = ['complete', 'commands', 'requesters', 'showed_content', 'not_reached', 'signed_by'];
  assert.deepEqual(
    keys.map((key) => head.verdict[key]),
    [true, 5, 2, 1, 1, signKey.key],
  );
  assert.deepEqual(
    rows.map(({ id, class: kind, touched_by, reached, showed_content, outcome }) =>
      [id, kind, touched_by, reached, showed_content, outcome].join(' '),
    ),
    [
      'E0 read named yes no ok',
      'E1 content named yes yes ok',
      'E2 denied named no no denied',
      'E3 read mask yes no ok',
      'E4 read all yes no ok',
      'E5 read named maybe no open',
    ],
  );
  assert.equal(rows[1].reason, hostile);
});

void test('CSV: the verdict, then rows that a spreadsheet opens', async (t) => {
  const directory = await writeJournal(t, 6, varied);
  const { lines: all, complaints } = await report(t, directory, { csv: true });
  assert.equal(complaints, '');
  const isVerdict = (line: string): boolean => line.includes(',verdict,');
  assert.deepEqual([all.length, all.filter(isVerdict).length], [13, 6]);
  assert.match(all[1] ?? '', /,verdict,,No recorded command deleted anything\.,.*alice@example\.com,/);
  assert.match(all[2] ?? '', /,verdict,,"complete from /);
  const lines = all.filter((line) => !isVerdict(line));
  assert.ok(lines.every((line) => line.endsWith('\r') && !/[\u0000-\u0008\u202e]/.test(line)));
  assert.match(lines[0] ?? '', /^time,requester,class,kind,reason,command,args,/);
  assert.match(lines[2] ?? '', /=1\+1;'=2/);
  const german = await report(t, directory, { csv: true, separator: ';' });
  assert.match(german.lines[0] ?? '', /^time;requester;class;/);
  assert.match(german.lines.at(-1) ?? '', /;quota get;;alice@example\.com;/);
});

void test('HTML: one page without script, all text escaped', async (t) => {
  const { lines } = await report(t, await writeJournal(t, 6, varied), { html: true });
  const page = lines.join('\n');
  assert.match(page, /^<!DOCTYPE html>[^]*<p class="verdict complete">complete from [^]*<\/html>$/);
  assert.ok(
    page.includes('&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;\\x1b[2J\\u{202e}=1+1;=2'),
  );
  assert.doesNotMatch(page, /<script|\u001b|\u202e|src=|href=/);
  const opened = [...page.matchAll(/<(table|tr|td|th|ul|li|p)\b/g)].length;
  const closed = [...page.matchAll(/<\/(table|tr|td|th|ul|li|p)>/g)].length;
  assert.equal(opened, closed);
});

void test('a fault, a missing signature, an earlier beginning: said, and exit code 1', async (t) => {
  const directory = await writeJournal(t, 40);
  const changed = tamper(t, directory, ({ segments }) => {
    const lines = segments[0]?.lines ?? [];
    lines[3] = (lines[3] ?? '').replace('"time":"2', '"time":"3');
  });
  const beside = await report(t, directory, { key: [] });
  assert.equal(beside.code, 0);
  assert.match(
    beside.lines[2] ?? '',
    /^complete from .*, signed by \S+= \(key\.pub, which lies beside the journal\), nothing missing/,
  );
  const [other, unsigned] = [tamper(t, directory, () => undefined), tamper(t, directory, () => undefined)];
  writeFileSync(join(other, 'key.pub'), makeSignKey().publicPem);
  rmSync(join(unsigned, 'key.pub'));
  const cut = tamper(t, directory, ({ segments }) => void segments.splice(1, 1));
  for (const [journal, flags, reason] of [
    [changed, {}, /:4: seq 4: changed: the record is not what its hash says$/],
    [other, { key: [] }, /: untrusted: key \S+ is not trusted$/],
    [unsigned, { key: [] }, /no signature was checked/],
    [directory, { from: 0 }, /^ {2}the journal begins at /],
    [cut, {}, /segment-missing/],
  ] as const) {
    const { code, lines } = await report(t, journal, flags);
    assert.equal(code, 1, reason.source);
    assert.match(lines[2] ?? '', /^NOT proved complete from .* below; what was found: /);
    assert.match(lines[3] ?? '', reason);
  }
});
