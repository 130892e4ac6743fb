// Threads that read the journal for requests: a few at once, one of each person, an end for what nobody waits for, and a bound for answers that
// nobody takes.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../../../src/adapters/host/clock.js';
import { createLooks, LookRefused, type Looks, placesMax } from '../../../src/adapters/views/looks.js';
import type { ReadTask } from '../../../src/adapters/views/read-trail.js';
import { bounds } from '../../../src/bounds/bounds.js';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import { Ledger } from '../../../src/domain/audit/ledger.js';
import { JournalFault } from '../../../src/ports/faults.js';
import { createFakeClock } from '../../kit/fake-clock.js';
import { temporaryDirectory } from '../journal/reading.js';

function journalOf(t: TestContext, count = 10): string {
  const directory = temporaryDirectory(t);
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  let text = '';
  for (let at = 0; at < count; at += 1)
    text += ledger.seal(encodeBody({ time: at, event: 'admission', id: `X${at}`, users: ['a@b'], args: [] }));
  writeFileSync(join(directory, '00000001.jsonl'), text);
  return directory;
}

function taskOf(
  directory: string,
  asked: ReadTask['asked'] = { look: 'search', filter: {}, cursor: undefined },
) {
  return { directory, asked, users: ['*@b'], ownKey: '' };
}

function openLooks(t: TestContext, clock = systemClock): Looks {
  const looks = createLooks(clock);
  t.after(() => looks.close());
  return looks;
}

const never = (): AbortSignal => new AbortController().signal;

void test('an answer of a thread, at a lower priority than ours; a thread is used again', async (t) => {
  const looks = openLooks(t);
  const directory = journalOf(t);
  const first = await looks.read(taskOf(directory), 'a', never());
  assert.equal(first.rows, 10);
  const nices = (): string[] =>
    readdirSync('/proc/self/task').map((id) =>
      String(readFileSync(`/proc/self/task/${id}/stat`, 'utf8').split(') ')[1]?.split(' ')[16]),
    );
  const lowered = nices().filter((each) => each === '19').length;
  assert.equal(lowered, 1);
  assert.deepEqual(await looks.read(taskOf(directory), 'b', never()), first);
  assert.equal(nices().filter((each) => each === '19').length, 1);
});

void test('a journal that cannot be read is a fault, and the next request is answered', async (t) => {
  const looks = openLooks(t);
  await assert.rejects(looks.read(taskOf('/nowhere/at/all'), 'a', never()), JournalFault);
  assert.equal((await looks.read(taskOf(journalOf(t)), 'a', never())).rows, 10);
});

// bounds.lookPatienceMs, bounds.lookPlaces
void test('one place for a person, and few for all; who waits too long is told so, who leaves takes none', async (t) => {
  const clock = createFakeClock();
  const looks = openLooks(t, clock);
  const directory = journalOf(t);
  // Not settled before a turn of the event loop, so all of these are asked at once.
  const running = Array.from({ length: placesMax }, (_, at) =>
    looks.read(taskOf(directory), `p${at}`, never()),
  );
  const own = looks.read(taskOf(directory), 'p0', never());
  const late = looks.read(taskOf(directory), 'late', never());
  const leaving = new AbortController();
  const left = looks.read(taskOf(directory), 'left', leaving.signal);
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  clock.advanceNow(3_000);
  await assert.rejects(own, LookRefused);
  await assert.rejects(late, /3 searches run already/);
  for (const each of await Promise.all(running)) assert.equal(each.rows, 10);
  assert.equal((await looks.read(taskOf(directory), 'p0', never())).rows, 10);
});

// bounds.lookMs
void test('who leaves ends the thread that reads for him, and what takes too long is ended', async (t) => {
  const clock = createFakeClock();
  const looks = openLooks(t, clock);
  // Large enough that it is not answered at once.
  const directory = journalOf(t, 20_000);
  const leaving = new AbortController();
  const left = looks.read(taskOf(directory), 'a', leaving.signal);
  await systemClock.nextTurn();
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  const slow = looks.read(taskOf(directory), 'a', never());
  await systemClock.nextTurn();
  clock.advanceNow(10_000);
  await assert.rejects(slow, /longer than 10 s/);
  assert.match((await looks.read(taskOf(directory), 'a', never())).text, /"end":/);
});

// bounds.personLooks
void test('answers that nobody takes are few for each person', async (t) => {
  const looks = openLooks(t);
  const directory = journalOf(t);
  const reading = Array.from({ length: 4 }, () => new AbortController());
  for (const { signal } of reading) assert.equal((await looks.read(taskOf(directory), 'a', signal)).rows, 10);
  await assert.rejects(looks.read(taskOf(directory), 'a', never()), /4 requests of yours are not over/);
  assert.equal((await looks.read(taskOf(directory), 'b', never())).rows, 10);
  reading[0]?.abort(new Error('taken'));
  assert.equal((await looks.read(taskOf(directory), 'a', never())).rows, 10);
});

// bounds.lookBurst
void test('who asks in a loop is told to wait, and after the end nothing is read', async (t) => {
  const looks = openLooks(t, createFakeClock());
  const directory = journalOf(t, 1);
  const gone = AbortSignal.abort(new Error('gone'));
  for (let count = 0; count < 300; count += 1)
    await assert.rejects(looks.read(taskOf(directory), 'a', gone), /gone/);
  await assert.rejects(looks.read(taskOf(directory), 'a', never()), /^Error: a asks too often; wait 200 ms$/);
  assert.equal((await looks.read(taskOf(directory), 'b', never())).rows, 1);
  looks.close();
  await assert.rejects(looks.read(taskOf(directory), 'c', never()), LookRefused);
});

// bounds.lookBytes
void test('an answer has so many bytes, and goes on with a cursor', async (t) => {
  const directory = temporaryDirectory(t);
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  const args = Array.from({ length: 40 }, () => 'x'.repeat(100));
  let text = '';
  for (let at = 0; at < 1_500; at += 1)
    text +=
      ledger.seal(encodeBody({ time: at, event: 'admission', id: `X${at}`, users: ['a@b'], args })) +
      ledger.seal(encodeBody({ time: at, event: 'completion', id: `X${at}`, outcome: 'ok' }));
  writeFileSync(join(directory, '00000001.jsonl'), text);
  const answer = await openLooks(t).read(taskOf(directory), 'a', never());
  assert.ok(answer.rows > 500 && answer.rows < 1_500, `${answer.rows} rows`);
  // And the row that crosses it, and the cursor.
  assert.ok(answer.text.length <= bounds.lookBytes + 65_536, `${answer.text.length} bytes`);
  assert.match(answer.text, /"cursor":\{/);
});

// bounds.lookBytes
void test('of commands without an end no more is shown, and a note says how many are left out', async (t) => {
  const directory = temporaryDirectory(t);
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  const args = Array.from({ length: 40 }, () => 'x'.repeat(100));
  let text = '';
  for (let at = 0; at < 1_500; at += 1)
    text += ledger.seal(encodeBody({ time: at, event: 'admission', id: `X${at}`, users: ['a@b'], args }));
  writeFileSync(join(directory, '00000001.jsonl'), text);
  const answer = await openLooks(t).read(taskOf(directory), 'a', never());
  assert.ok(answer.text.length <= bounds.lookBytes + 65_536, `${answer.text.length} bytes`);
  assert.match(answer.text, new RegExp(`${1_500 - answer.rows} commands without an end are left out`));
});

/** A thread that reviews: it says nothing, or takes memory until it ends. */
function reviewThread(t: TestContext, what: 'silent' | 'greedy'): URL {
  const file = join(temporaryDirectory(t), 'thread.mjs');
  const greedy = `
    const held = [];
    for (let at = 0; at < 100; at += 1) held.push(new Array(1 << 20).fill(at / 3));
    parentPort.postMessage({ kind: 'held', count: held.length });`;
  writeFileSync(
    file,
    `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', () => {${what === 'greedy' ? greedy : ''}});`,
  );
  return pathToFileURL(file);
}

// bounds.reviewMs
void test('a review that takes too long is ended', async (t) => {
  const clock = createFakeClock();
  const looks = createLooks(clock, reviewThread(t, 'silent'));
  t.after(() => looks.close());
  let isOver = false;
  const slow = looks.review({ kind: 'x' }, 'a', never()).finally(() => {
    isOver = true;
  });
  slow.catch(() => undefined);
  await systemClock.nextTurn();
  await clock.advance(bounds.reviewMs - 1);
  await systemClock.nextTurn();
  assert.equal(isOver, false);
  await clock.advance(1);
  await assert.rejects(slow, /longer than 15 s/);
});

// bounds.reviewHeapMiB
void test('a review that takes too much memory ends, and nothing else does', async (t) => {
  const looks = createLooks(createFakeClock(), reviewThread(t, 'greedy'));
  t.after(() => looks.close());
  await assert.rejects(looks.review({ kind: 'x' }, 'a', never()), /memory/);
  assert.equal((await looks.read(taskOf(journalOf(t)), 'a', never())).rows, 10);
});

// bounds.lookHeapMiB
void test('a search has 128 MiB of heap: one that takes more ends, and nothing else does', async (t) => {
  const file = join(temporaryDirectory(t), 'thread.mjs');
  // The task names a directory: here the MiB that its thread holds.
  writeFileSync(
    file,
    `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ directory }) => {
      const held = [];
      for (let mib = 0; mib < Number(directory); mib += 1) held.push(new Array(1 << 17).fill(mib / 3));
      parentPort.postMessage({ text: '', rows: held.length });
    });`,
  );
  const looks = createLooks(createFakeClock(), undefined, pathToFileURL(file));
  t.after(() => looks.close());
  assert.equal((await looks.read(taskOf('64'), 'a', never())).rows, 64);
  await assert.rejects(looks.read(taskOf('192'), 'a', never()), /memory/);
  assert.equal((await looks.read(taskOf('64'), 'a', never())).rows, 64);
});

void test('after the end no thread is started for who waited for a place', async (t) => {
  const directory = journalOf(t, 20_000);
  const looks = openLooks(t);
  const running = Array.from({ length: placesMax }, (_, at) =>
    looks.read(taskOf(directory), `p${at}`, never()),
  );
  const waiting = looks.read(taskOf(directory), 'late', never());
  await systemClock.nextTurn();
  const all = Promise.allSettled([...running, waiting]);
  looks.close();
  const results = await all;
  for (const { status } of results) assert.equal(status, 'rejected');
  await assert.rejects(waiting, /^Error: dovegate is stopping$/);
});
