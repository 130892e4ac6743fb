// Looks at the journal for people: a few at once, and fewer of each person; a bound for answers that nobody takes; an end for the thread of
// what nobody waits for, or what takes too long.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../../src/adapters/host/clock.js';
import { bounds } from '../../src/bounds/bounds.js';
import { encodeBody } from '../../src/domain/audit/encode.js';
import { Ledger } from '../../src/domain/audit/ledger.js';
import { createLooks, LookRefused, type Looks } from '../../src/page/looks.js';
import { JournalFault } from '../../src/ports/faults.js';
import { temporaryDirectory } from '../adapters/journal/reading.js';
import { createFakeClock } from '../kit/fake-clock.js';

/** Does what a task says: takes memory, tells its number so many times, and ends. */
const thread = `
import { parentPort, threadId } from 'node:worker_threads';
parentPort.on('message', ({ mib = 0, parts, isSilent, fails }) => {
  if (parts === undefined) return;
  if (fails) throw new Error('no such file');
  const held = [];
  for (let at = 0; at < mib; at += 1) held.push(new Array(1 << 17).fill(at / 3));
  for (let at = 0; at < parts; at += 1) parentPort.postMessage({ part: threadId });
  if (!isSilent) parentPort.postMessage({ isOver: true });
});`;

interface Order {
  readonly asked?: { readonly look: 'search' | 'histogram' };
  readonly mib?: number;
  readonly parts?: number;
  readonly isSilent?: boolean;
  readonly fails?: boolean;
}

function desk(t: TestContext) {
  const clock = createFakeClock();
  const file = join(temporaryDirectory(t), 'thread.mjs');
  writeFileSync(file, thread);
  const looks = createLooks(clock, pathToFileURL(file));
  t.after(() => looks.close());
  return {
    clock,
    looks,
    /** The number of the thread that answered. */
    read: (person: string, order: Order = {}, signal = never()): Promise<unknown> =>
      looks.read(
        JSON.parse(JSON.stringify({ parts: 1, asked: { look: 'search' }, ...order })),
        person,
        signal,
      ),
    readLong: (long: 'verify' | 'report', person: string, order: Order = {}, signal = never()) =>
      looks.readLong(JSON.parse(JSON.stringify({ long, parts: 1, ...order })), person, signal),
  };
}

const never = (): AbortSignal => new AbortController().signal;
const stuck: Order = { isSilent: true };

async function count(parts: AsyncIterable<unknown>): Promise<number> {
  let found = 0;
  for await (const _ of parts) found += 1;
  return found;
}

void test('a thread is used again, one that fails is not', async (t) => {
  const { read } = desk(t);
  const first = await read('a');
  assert.equal(await read('b'), first);
  await assert.rejects(read('c', { fails: true }), JournalFault);
  assert.notEqual(await read('d'), first);
});

// bounds.lookPatienceMs, bounds.lookPlaces
void test('few places for all; who waits too long is told so, who leaves takes none', async (t) => {
  const { clock, looks, read } = desk(t);
  const gone = new AbortController();
  const running = ['a', 'b', 'c'].map((person) => read(person, stuck, gone.signal));
  const late = read('late');
  const leaving = new AbortController();
  const left = read('left', {}, leaving.signal);
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  await clock.advance(bounds.lookPatienceMs - 1);
  const next = read('next');
  clock.advanceNow(1);
  await assert.rejects(
    late,
    (fault) => fault instanceof LookRefused && /\(3, and 2 of one/.test(fault.message),
  );
  gone.abort(new Error('gone'));
  for (const each of running) await assert.rejects(each, /gone/);
  assert.equal(typeof (await next), 'number');
  // Who waits for a place at the end gets none.
  const others = ['a', 'b', 'c', 'd'].map((person) => read(person, stuck));
  looks.close();
  for (const each of others) await assert.rejects(each, /^Error: dovegate is stopping$/);
  await assert.rejects(read('a'), LookRefused);
});

// bounds.personLooks
void test('answers that nobody takes are few for each person', async (t) => {
  const { clock, read } = desk(t);
  const takings = [new AbortController(), new AbortController()];
  for (const { signal } of takings) await read('a', {}, signal);
  const third = read('a');
  await read('b');
  clock.advanceNow(bounds.lookPatienceMs);
  await assert.rejects(third, /try again in a moment/);
  takings[0]?.abort(new Error('taken'));
  await read('a');
});

// bounds.lookMs
void test('who leaves ends the thread that reads for him, and what takes too long is ended', async (t) => {
  const { clock, read } = desk(t);
  const first = await read('a');
  const leaving = new AbortController();
  const left = read('b', stuck, leaving.signal);
  await systemClock.nextTurn();
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  assert.notEqual(await read('c'), first);
  const slow = read('d', stuck);
  await clock.advance(bounds.lookMs - 1);
  assert.equal(await Promise.race([slow, systemClock.nextTurn()]), undefined);
  clock.advanceNow(1);
  await assert.rejects(slow, /longer than 15 s/);
});

// bounds.histograms, bounds.histogramMs: with as much again for late ends, it is over before a thread is ended.
void test('histograms have places of their own, one of each person', async (t) => {
  const { clock, read } = desk(t);
  const histogram: Order = { ...stuck, asked: { look: 'histogram' } };
  const gone = new AbortController();
  const running = ['a', 'b'].map((person) => read(person, histogram, gone.signal));
  const others = [read('a', histogram), read('c', histogram)];
  for (const person of ['a', 'b', 'c']) await read(person);
  clock.advanceNow(bounds.lookPatienceMs);
  for (const each of others)
    await assert.rejects(each, /as many histograms run as may at once \(2, and 1 of one/);
  gone.abort(new Error('gone'));
  for (const each of running) await assert.rejects(each, /gone/);
  await read('c', { asked: { look: 'histogram' } });
  assert.ok(bounds.histogramMs * 2 < bounds.lookMs);
});

// bounds.lookBurst
void test('who asks in a loop is told to wait', async (t) => {
  const { read } = desk(t);
  const taken = new AbortController();
  for (let at = 0; at < bounds.lookBurst; at += 1) {
    const look = new AbortController();
    const asked = read('a', {}, look.signal);
    look.abort(new Error('gone'));
    await assert.rejects(asked, /gone/);
  }
  await assert.rejects(read('a', {}, taken.signal), /^Error: a asks too often; wait 200 ms$/);
  await read('b');
});

// bounds.lookHeapMiB
void test('a thread that takes too much memory ends, and nothing else does', async (t) => {
  const { read } = desk(t);
  await assert.rejects(read('a', { mib: 450 }), /memory/);
  await read('b', { mib: 300 });
});

// bounds.longChecks, bounds.longReports
void test('one check and two reports at once, one of a person; who leaves makes room, whatever was taken', async (t) => {
  const { clock, readLong } = desk(t);
  for (const [long, most] of [
    ['verify', 1],
    ['report', 2],
  ] as const) {
    const leaving = new AbortController();
    const running = Array.from({ length: most }, (_, at) =>
      readLong(long, `p${at}`, { parts: 3 }, leaving.signal),
    );
    for (const each of running) assert.equal((await each.next()).done, false);
    const refused = [readLong(long, 'p0').next(), readLong(long, 'late').next()];
    clock.advanceNow(bounds.lookPatienceMs);
    for (const each of refused) await assert.rejects(each, /try again in a moment/);
    // Nobody asks for the second part, and the first one of this was never asked for.
    void readLong(long, 'silent');
    leaving.abort(new Error('gone'));
    assert.equal(await count(readLong(long, 'p0', { parts: 3 })), 3);
    for (const each of running) await assert.rejects(each.next(), /gone/);
  }
});

// bounds.longMs
void test('a reading that takes more than an hour is ended', async (t) => {
  const { clock, readLong } = desk(t);
  const reading = readLong('verify', 'a', stuck);
  await reading.next();
  const next = reading.next();
  await clock.advance(bounds.longMs - 1);
  assert.equal(await Promise.race([next, systemClock.nextTurn()]), undefined);
  clock.advanceNow(1);
  await assert.rejects(next, /longer than 3600 s/);
});

void test('the threads of the page: a search, a check with its progress, a text of a policy', async (t) => {
  const directory = temporaryDirectory(t);
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  const record = { event: 'admission', users: ['a@b'], args: [] } as const;
  const lines = Array.from({ length: 10 }, (_, at) =>
    ledger.seal(encodeBody({ ...record, time: at, id: `X${at}` })),
  );
  writeFileSync(join(directory, '00000001.jsonl'), lines.join(''));
  const looks: Looks = createLooks(systemClock);
  t.after(() => looks.close());
  const asked = { look: 'search', filter: {}, cursor: undefined } as const;
  const search = { directory, asked, users: ['*@b'], ownKey: '' };
  const { rows, text } = await looks.read(search, 'a', never());
  assert.deepEqual([rows, text.split('\n').length], [10, 12]);
  const nowhere = { ...search, directory: '/nowhere/at/all' };
  await assert.rejects(looks.read(nowhere, 'b', never()), /^JournalFault: the journal cannot be read: /);
  const parts: string[] = [];
  for await (const { part } of looks.readLong({ long: 'verify', directory, ownKey: '' }, 'a', never()))
    parts.push(part);
  assert.deepEqual(parts, ['progress', 'verified']);
  const check = { kind: 'check', policy: 'p', yaml: 'allow: []', names: { characters: 'abc' } } as const;
  assert.equal((await looks.review(check, 'c', never())).kind, 'checked');
});
