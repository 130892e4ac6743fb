// Looks at the journal for people: a few at once of each person, with a bound for answers that nobody takes, and an end for the thread of
// what nobody waits for.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../../src/host/machine/clock.js';
import { JournalFault } from '../../src/host/ports/faults.js';
import { encodeBody } from '../../src/journal/records/encode.js';
import { Ledger } from '../../src/journal/records/ledger.js';
import { Refusal } from '../../src/page/http/page-request.js';
import { createLooks, type Looks } from '../../src/page/looks.js';
import { temporaryDirectory } from '../journal/files/reading.js';
import { createFakeClock } from '../kit/plain/fake-clock.js';

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
      looks.read(JSON.parse(JSON.stringify({ parts: 1, ...order })), person, signal),
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

void test('a person has a few at once, until the answers were taken; who leaves the queue takes no place', async (t) => {
  const { looks, read, readLong } = desk(t);
  const takings = Array.from({ length: 4 - 1 }, () => new AbortController());
  for (const { signal } of takings) await read('a', {}, signal);
  const leaving = new AbortController();
  // One that nobody reads on.
  await readLong('verify', 'a', { parts: 3 }, leaving.signal).next();
  let isOver = false;
  const next = read('a').finally(() => (isOver = true));
  const gone = new AbortController();
  const left = read('a', {}, gone.signal);
  gone.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  // Others do not wait for a.
  await read('b');
  assert.equal(isOver, false);
  leaving.abort(new Error('gone'));
  await next;
  // Who waits for a place at the end gets none.
  const others = Array.from({ length: 4 + 1 }, () => read('c', stuck));
  looks.close();
  for (const each of others) await assert.rejects(each, /^Error: dovegate is stopping$/);
  await assert.rejects(read('a'), Refusal);
});

void test('who leaves ends the thread that reads for him', async (t) => {
  const { read } = desk(t);
  const first = await read('a');
  const leaving = new AbortController();
  const left = read('b', stuck, leaving.signal);
  await systemClock.nextTurn();
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  assert.notEqual(await read('c'), first);
});

void test('a thread that takes too much memory ends, and nothing else does', async (t) => {
  const { read } = desk(t);
  await assert.rejects(read('a', { mib: 450 }), /memory/);
  await read('b', { mib: 300 });
});

void test('who leaves ends a long reading, whatever was taken of it', async (t) => {
  const { readLong } = desk(t);
  const leaving = new AbortController();
  const running = readLong('verify', 'a', { parts: 3 }, leaving.signal);
  assert.equal((await running.next()).done, false);
  leaving.abort(new Error('gone'));
  assert.equal(await count(readLong('report', 'a', { parts: 3 })), 3);
  await assert.rejects(running.next(), /gone/);
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
  const parts = new Set<string>();
  for await (const { part } of looks.readLong({ long: 'verify', directory, ownKey: '' }, 'a', never()))
    parts.add(part);
  // Its progress is told again where it takes long.
  assert.deepEqual([...parts], ['progress', 'verified']);
  const check = { kind: 'check', policy: 'p', yaml: 'allow: []', mailUsers: { characters: 'abc' } } as const;
  assert.equal((await looks.review(check, 'c', never())).kind, 'checked');
});
