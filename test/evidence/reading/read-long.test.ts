// Readings of the whole journal: how far they are, what they find, and no name of others in a limited view.

import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type LongPart, type LongTask, readLong } from '../../../src/evidence/reading/read-long.js';
import type { MailboxDay, MailboxHead } from '../../../src/evidence/views/trail.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { approver, grantRecords, owner } from '../../kit/plain/access-records.js';
import { openedOf } from './written-journal.js';

const signer = makeSignKey();
const startMs = Date.UTC(2026, 10, 20);
const start = { time: startMs, event: 'start', journal: 'J', format: 1, program: 'dovegate 1' } as const;
const daysOf = (parts: readonly LongPart[]): MailboxDay[] =>
  parts.flatMap((part) => (part.part === 'event' && part.event === 'day' ? JSON.parse(part.data) : []));

/** Signed; the first of two segments is compressed. Every third command is of bob@other.org, every 50th for all users. */
function journalOf(t: TestContext, count: number): string {
  const directory = temporaryDirectory(t);
  const ledger = new Ledger('dovegate 1', signer.secretPem, 'J');
  let text = ledger.seal(encodeBody(start));
  const half = count >> 1;
  const checkpoint = (time: number, more: object = {}): string =>
    ledger.sealSigned({ ...ledger.checkpoint(time), ...more });
  for (let at = 0; at < count; at += 1) {
    if (at === half) {
      text += checkpoint(startMs + at);
      writeFileSync(join(directory, '00000001.jsonl.gz'), gzipSync(text));
      text = checkpoint(startMs + at, { segment: '00000001.jsonl', segment_hash: ledger.hash });
    }
    const user = at % 3 === 0 ? 'bob@other.org' : 'alice@example.com';
    const users = at % 50 === 0 ? ['*'] : [user];
    const more = { principal: 'carol@support', command: 'quota get', user, users, args: ['--'] };
    const [id, time] = [`X${at}`, startMs + at];
    text += ledger.seal(
      encodeBody({ time, event: 'admission', id, effect: 'read', decision: 'allow', ...more }),
    );
    text += ledger.seal(encodeBody({ time, event: 'completion', id, outcome: 'ok', sent: true, cells: 1 }));
  }
  writeFileSync(join(directory, '00000002.jsonl'), text + checkpoint(startMs + count));
  return directory;
}

function reportOf(directory: string, mailbox: string, users?: readonly string[]): LongTask {
  const time = { fromMs: undefined, toMs: undefined, nowMs: startMs };
  const report = { mailbox, ...time, isContentOnly: false, host: 'mx1' };
  const limits = users === undefined ? undefined : { viewer: 'eve', text: 'eve sees a part only' };
  return { long: 'report', directory, ownKey: signer.key, report, form: 'page', users, limits };
}

async function read(task: LongTask): Promise<LongPart[]> {
  const parts: LongPart[] = [];
  await readLong(task, systemClock, (part) => Promise.resolve(void parts.push(part)));
  return parts;
}

void test('a report through a limited view has no row and no name of others, and is never complete', async (t) => {
  const directory = journalOf(t, 300);
  const limited = await read(reportOf(directory, 'alice@example.com', ['*@example.com']));
  const full = await read(reportOf(directory, 'alice@example.com'));
  const headOf = (parts: readonly LongPart[]): MailboxHead => {
    const found = parts.find((part) => part.part === 'event');
    return JSON.parse(found?.part === 'event' ? found.data : '');
  };
  assert.deepEqual([headOf(limited).isComplete, headOf(full).isComplete], [false, true]);
  assert.deepEqual([headOf(limited).counts.commands, headOf(full).counts.commands], [196, 202]);
  assert.equal(daysOf(limited).flatMap(({ lines }) => lines)[0]?.count, 196);
  assert.doesNotMatch(JSON.stringify(limited), /other\.org/);
  assert.deepEqual(limited.at(-1), { part: 'event', event: 'end', data: '{"commands":196}' });
  const counted = limited.find(({ part }) => part === 'counted');
  assert.deepEqual(counted, { part: 'counted', commands: 196 });
  // A name that others have is not offered either.
  const typo = await read(reportOf(directory, 'bob@example.com', ['*@example.com']));
  assert.doesNotMatch(JSON.stringify(typo), /other\.org/);
});

void test('a report of the page names who approved what its commands ran under, as far as its reader may see', async (t) => {
  const ledger = new Ledger('dovegate 1', signer.secretPem, 'J');
  const [alice, bob] = ['alice@example.com', 'bob@other.org'];
  const fetched = {
    user: alice,
    users: [alice],
    principal: owner,
    command: 'fetch',
    args: ['--', 'uid', 'all'],
  };
  const used = (id: string, grant: string): AuditRecord[] => {
    const of = { time: startMs + 9, id, grant };
    return [
      { ...of, event: 'admission', ...fetched, effect: 'read', decision: 'allow' },
      { ...of, event: 'completion', outcome: 'ok', sent: true, cells: 1 },
    ];
  };
  const records: AuditRecord[] = [
    ...grantRecords('G1', startMs, { users: [alice] }),
    ...used('X1', 'G1'),
    ...grantRecords('G2', startMs, { users: [alice, bob], reason: 'of both' }),
    ...used('X2', 'G2'),
    ...used('X3', 'G3'),
  ];
  const directory = openedOf(t, [start, ...records], ledger);
  appendFileSync(join(directory, '00000001.jsonl'), ledger.sealSigned(ledger.checkpoint(startMs + 10)));
  const notes = async (users?: readonly string[]): Promise<readonly string[]> => {
    const days = daysOf(await read(reportOf(directory, alice, users)));
    return days.flatMap(({ lines }) => lines.map(({ note, reason }) => `${note} | ${reason}`)).toSorted();
  };
  assert.deepEqual(await notes(), [
    `under grant G1, approved by ${approver} | ticket 4711`,
    `under grant G2, approved by ${approver} | of both`,
    'under grant G3, approvers are no longer in the kept records | ',
  ]);
  assert.deepEqual(await notes(['*@example.com']), [
    `under grant G1, approved by ${approver} | ticket 4711`,
    'under grant G2, approvers are not shown in this view | ',
    'under grant G3, approvers are not shown in this view | ',
  ]);
});
