import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditShow } from '../../../src/evidence/cli/audit-show.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { admission, completion, openWatched } from '../../journal/files/opening.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { placesAt, printed, tamper, writeJournal } from './shown.js';

const show = (directory: string, wanted: string, isJson = false) =>
  printed((screen) => auditShow(screen, placesAt(directory), wanted, isJson));

void test('all records of an exchange in their order, with its log lines, its twin and its session', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal } = await openWatched(directory);
  const session = { session: 'S1', listener: 'support' };
  const records: AuditRecord[] = [
    { time: 1, event: 'session-open', ...session, peer: { uid: 1000, user: 'bob' } },
    {
      ...admission('A'),
      peer: { uid: 1000, user: 'bob' },
      args: ['-d', { hmac: 'ab12' }],
      rule: 'x.yaml:12',
    },
    { ...admission('other') },
    { ...admission('T'), for: 'A' },
    { ...completion('T') },
    { time: 2, event: 'log', session: 'S1', id: 'A', level: 'error', text: 'over quota \u001b[2J' },
    { ...completion('other') },
    { ...completion('A'), cells: 4, logs: { error: 1 } },
    { time: 3, event: 'session-close', ...session, reason: 'client-ended' },
    { time: 3, event: 'session-close', session: 'S2', reason: 'not ours' },
  ];
  const drain = {
    time: 4,
    event: 'operator',
    action: 'drain',
    deed: 'D',
    by: 'erin',
    backend: 'mail1',
  } as const;
  records.push(drain, { ...drain, outcome: 'ok' });
  for (const record of records) await journal.appendDurable(record);
  await journal.close();

  // The journal's own start and checkpoint come first, so the first record of these is number 3.
  const { code, lines } = await show(directory, 'A');
  assert.equal(code, 0);
  const text = lines.join('\n');
  const events = lines.flatMap((line) => /^\S+Z {2}([\w-]+)/.exec(line)?.[1] ?? []);
  const expected = 'session-open admission admission completion log completion session-close';
  assert.equal(events.join(' '), expected);
  assert.equal(lines[0], 'exchange A: quota get, ok');
  assert.match(text, /admission {2}seq 4, \/.*\/00000001\.jsonl:4\n/);
  assert.match(text, / {2}peer +uid=1000 user=bob\n/);
  assert.match(text, / {2}args +-d hmac:ab12\n/);
  assert.match(text, / {2}rule +x\.yaml:12\n/);
  assert.match(text, /admission T {2}seq 6/);
  assert.match(text, /log error: over quota \\x1b\[2J {2}seq 8/);
  assert.match(text, / {2}logs +error=1\n/);
  assert.match(text, / {2}reason +client-ended/);
  assert.doesNotMatch(text, /not ours|\u001b/);

  // By the seq of any of its records: here of its log line.
  assert.deepEqual((await show(directory, '8')).lines, lines);
  const json = (await show(directory, 'A', true)).lines.map((line) => JSON.parse(line).seq);
  assert.deepEqual(json, [3, 4, 6, 7, 8, 10, 11]);
  const start = (await show(directory, '1')).lines;
  assert.match(start[0] ?? '', /Z {2}start {2}seq 1, /, 'a record of no exchange is shown alone');
  // By any of its two records.
  const drained = (await show(directory, '14')).lines;
  assert.deepEqual(drained, (await show(directory, '13')).lines);
  assert.deepEqual(
    [
      drained[0],
      ...drained.slice(1).flatMap((line) => /operator {2}seq (\d+)|outcome +(\w+)$/.exec(line)?.[0] ?? []),
    ],
    ['What the operator erin did: ok', 'operator  seq 13', 'operator  seq 14', 'outcome         ok'],
  );
});

void test('it is found in every segment of a damaged journal, with its place', async (t) => {
  const directory = tamper(t, await writeJournal(t), ({ segments }) =>
    segments[1]?.lines.splice(2, 0, '', 'garbage', '{"x":1,"id":"E30"}'),
  );
  for (const id of ['E0', 'E12', 'E30', 'E39']) {
    const { lines, complaints } = await show(directory, id);
    const places = lines.flatMap((line) => /seq (\d+), .*\/(\d+)\.jsonl:(\d+)$/.exec(line)?.slice(1) ?? []);
    assert.ok(places.length >= 6, id);
    assert.match(complaints, /damaged/);
  }
});
