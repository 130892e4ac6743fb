// Readings of the whole journal: progress, an end whatever happens, one of a person and few at once, and no name of others in a limited view.

import assert from 'node:assert/strict';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { systemClock } from '../../../src/adapters/host/clock.js';
import { createLooks, LookRefused } from '../../../src/adapters/views/looks.js';
import { type LongPart, type LongTask } from '../../../src/adapters/views/read-long.js';
import { bounds } from '../../../src/bounds/bounds.js';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import { Ledger, makeSignKey } from '../../../src/domain/audit/ledger.js';
import type { MailboxDay, MailboxHead } from '../../../src/domain/page/trail.js';
import { JournalFault } from '../../../src/ports/faults.js';
import { createFakeClock } from '../../kit/fake-clock.js';
import { temporaryDirectory } from '../journal/reading.js';

const signer = makeSignKey();
const startMs = Date.UTC(2026, 10, 20);

/** Signed; the first of two segments is compressed. Every third command is of bob@other.org, every 50th for all users. */
function journalOf(t: TestContext, count: number): string {
  const directory = temporaryDirectory(t);
  const ledger = new Ledger('dovegate 1', signer.secretPem, 'J');
  const start = { time: startMs, event: 'start', journal: 'J', format: 1, program: 'dovegate 1' } as const;
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
    const more = {
      principal: 'carol@support',
      command: 'quota get',
      effect: 'read',
      decision: 'allow',
    } as const;
    const id = `X${at}`;
    const time = startMs + at;
    text += ledger.seal(encodeBody({ time, event: 'admission', id, user, users, args: ['--'], ...more }));
    text += ledger.seal(encodeBody({ time, event: 'completion', id, outcome: 'ok', sent: true, cells: 1 }));
  }
  writeFileSync(join(directory, '00000002.jsonl'), text + checkpoint(startMs + count));
  return directory;
}

function verifyOf(directory: string): LongTask {
  return { long: 'verify', directory, ownKey: signer.key };
}

function reportOf(directory: string, mailbox: string, users?: readonly string[]): LongTask {
  const time = { fromMs: undefined, toMs: undefined, nowMs: startMs };
  const report = { mailbox, ...time, isContentOnly: false, host: 'mx1' };
  const limits = users === undefined ? undefined : { viewer: 'eve', text: 'eve sees a part only' };
  return { long: 'report', directory, ownKey: signer.key, report, form: 'page', users, limits };
}

async function all(parts: AsyncIterable<LongPart>): Promise<LongPart[]> {
  const found: LongPart[] = [];
  for await (const part of parts) found.push(part);
  return found;
}

function openLooks(t: TestContext) {
  const looks = createLooks(systemClock);
  t.after(() => looks.close());
  return looks;
}

const never = (): AbortSignal => new AbortController().signal;

void test('a check of the whole journal tells how far it is, and ends with what it found', async (t) => {
  const directory = journalOf(t, 1000);
  const parts = await all(openLooks(t).readLong(verifyOf(directory), 'a', never()));
  const last = parts.at(-1);
  assert.ok(last?.part === 'verified');
  const { isWhole, records, findings, fromSeq, toSeq } = last.result;
  assert.deepEqual([isWhole, records, findings, fromSeq, toSeq], [true, 2004, [], 1, 2004]);
  for (const part of parts.slice(0, -1)) {
    assert.ok(part.part === 'progress');
    assert.ok(part.progress.bytes <= part.progress.ofBytes && part.progress.ofBytes > 0);
  }
});

void test('a damaged journal is no failure of the check', async (t) => {
  const directory = journalOf(t, 1000);
  truncateSync(join(directory, '00000001.jsonl.gz'), 500);
  const last = (await all(openLooks(t).readLong(verifyOf(directory), 'a', never()))).at(-1);
  assert.ok(last?.part === 'verified');
  assert.equal(last.result.isWhole, false);
});

void test('a report through a limited view has no row and no name of others, and is never complete', async (t) => {
  const looks = openLooks(t);
  const directory = journalOf(t, 300);
  const limited = await all(
    looks.readLong(reportOf(directory, 'alice@example.com', ['*@example.com']), 'a', never()),
  );
  const full = await all(looks.readLong(reportOf(directory, 'alice@example.com'), 'a', never()));
  const headOf = (parts: readonly LongPart[]): MailboxHead => {
    const found = parts.find((part) => part.part === 'event');
    return JSON.parse(found?.part === 'event' ? found.data : '');
  };
  const daysOf = (parts: readonly LongPart[]): MailboxDay[] =>
    parts.flatMap((part) => (part.part === 'event' && part.event === 'day' ? JSON.parse(part.data) : []));
  assert.deepEqual([headOf(limited).isComplete, headOf(full).isComplete], [false, true]);
  assert.deepEqual([headOf(limited).counts.commands, headOf(full).counts.commands], [196, 202]);
  assert.equal(daysOf(limited).flatMap(({ lines }) => lines)[0]?.count, 196);
  assert.doesNotMatch(JSON.stringify(limited), /other\.org/);
  assert.deepEqual(limited.at(-1), { part: 'event', event: 'end', data: '{"commands":196}' });
  assert.deepEqual(
    limited.find(({ part }) => part === 'counted'),
    { part: 'counted', commands: 196 },
  );
  // A name that others have is not offered either.
  const typo = await all(
    looks.readLong(reportOf(directory, 'bob@example.com', ['*@example.com']), 'a', never()),
  );
  assert.doesNotMatch(JSON.stringify(typo), /other\.org/);
});

// bounds.longChecks
void test('one check at once, and who leaves makes room at once', async (t) => {
  const looks = openLooks(t);
  const directory = journalOf(t, 20_000);
  const leaving = new AbortController();
  const first = looks.readLong(verifyOf(directory), 'anna', leaving.signal);
  assert.equal((await first.next()).value?.part, 'progress');
  assert.throws(() => looks.readLong(verifyOf(directory), 'anna', never()), /of yours is being made/);
  assert.throws(
    () => looks.readLong(verifyOf(directory), 'bob', never()),
    (fault) =>
      fault instanceof LookRefused &&
      /^another .* is being made; try again when it is over$/.test(fault.message),
  );
  leaving.abort(new Error('gone'));
  const second = looks.readLong(verifyOf(directory), 'bob', never());
  await assert.rejects(first.next(), /gone/);
  assert.equal((await all(second)).at(-1)?.part, 'verified');
  assert.throws(() => looks.readLong(verifyOf(directory), 'c', AbortSignal.abort(new Error('gone'))), /gone/);
  // Nobody asks for the first part.
  const silent = new AbortController();
  void looks.readLong(verifyOf(directory), 'c', silent.signal);
  silent.abort(new Error('gone'));
  assert.equal((await all(looks.readLong(verifyOf(directory), 'd', never()))).at(-1)?.part, 'verified');
});

void test('a journal that is gone, and a daemon that stops', async (t) => {
  const looks = openLooks(t);
  const directory = journalOf(t, 20_000);
  rmSync(join(directory, '00000002.jsonl'));
  rmSync(directory, { recursive: true });
  await assert.rejects(all(looks.readLong(verifyOf(directory), 'a', never())), JournalFault);
  const reading = looks.readLong(verifyOf(journalOf(t, 20_000)), 'a', never());
  await reading.next();
  looks.close();
  await assert.rejects(all(reading), /dovegate is stopping/);
  assert.throws(() => looks.readLong(verifyOf(directory), 'a', never()), LookRefused);
});

// bounds.longReports
void test('two reports at once', async (t) => {
  const looks = openLooks(t);
  const directory = journalOf(t, 1_000);
  const report = reportOf(directory, 'alice@example.com');
  const first = looks.readLong(report, 'anna', never());
  const second = looks.readLong(report, 'bob', never());
  assert.throws(() => looks.readLong(report, 'carol', never()), /: another report is being made; try again/);
  await all(first);
  const third = looks.readLong(report, 'carol', never());
  await Promise.all([all(second), all(third)]);
});

// bounds.longMs
void test('a reading that takes more than an hour is ended', async (t) => {
  const clock = createFakeClock();
  const looks = createLooks(clock);
  t.after(() => looks.close());
  const reading = looks.readLong(verifyOf(journalOf(t, 20_000)), 'a', never());
  const part = reading.next();
  await clock.advance(bounds.longMs - 1);
  assert.equal((await part).value?.part, 'progress');
  const next = assert.rejects(all(reading), /longer than 60 minutes/);
  await clock.advance(1);
  await next;
});

// bounds.longUntakenMs
void test('a reading of which nobody takes the next part is ended', async (t) => {
  const clock = createFakeClock();
  const looks = createLooks(clock);
  t.after(() => looks.close());
  for (const [passedMs, isEnded] of [
    [bounds.longUntakenMs - 1, false],
    [bounds.longUntakenMs, true],
  ] as const) {
    const reading = looks.readLong(verifyOf(journalOf(t, 20_000)), 'a', never());
    await reading.next();
    await clock.advance(passedMs);
    if (isEnded) await assert.rejects(all(reading), /nobody took the answer/);
    else assert.equal((await all(reading)).at(-1)?.part, 'verified');
  }
});
