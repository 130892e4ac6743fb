import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { Abortable, unlessAborted } from '../../../src/host/concurrency/abortable.js';

test('the first reason counts, for a signal made before and one made after', () => {
  const early = new Abortable();
  const { signal } = early;
  assert.equal(signal.aborted, false);
  early.abort('first');
  early.abort('second');
  assert.equal(early.isAborted, true);
  assert.equal(signal.aborted, true);
  assert.equal(signal.reason, 'first');

  const late = new Abortable();
  late.abort('first');
  assert.equal(late.signal.aborted, true);
  assert.equal(late.signal.reason, 'first');
  assert.equal(late.signal, late.signal);
});

test('nothing is aborted by being asked for its signal', () => {
  const abortable = new Abortable();
  assert.equal(abortable.isAborted, false);
  assert.equal(abortable.signal.aborted, false);
  assert.equal(abortable.isAborted, false);
});

test('who listens is told once; who has left, and who comes after it, is not', () => {
  const abortable = new Abortable();
  const told: string[] = [];
  const listeners = ['a', 'b', 'c', 'd'].map((name) => ({
    aborted: (reason: unknown): void => void told.push(`${name} ${String(reason)}`),
  }));
  for (const listener of listeners) abortable.listen(listener);
  for (const at of [0, 2]) {
    const listener = listeners[at];
    if (listener !== undefined) abortable.unlisten(listener);
  }
  const [first] = listeners;
  assert.ok(first);
  abortable.abort('gone');
  abortable.listen(first);
  abortable.abort('again');
  assert.deepEqual(told, ['b gone', 'd gone']);
});

test('a wait that an abort ends, and one of many that leaves nothing on the signal', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  for (let at = 0; at < 1_000; at += 1) assert.equal(await unlessAborted(Promise.resolve(at), signal), at);
  await assert.rejects(unlessAborted(Promise.reject(new Error('broken')), signal), /broken/);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  let refuse: (fault: Error) => void = () => undefined;
  const late = new Promise<number>((_, reject) => {
    refuse = reject;
  });
  const waiting = unlessAborted(late, signal);
  controller.abort();
  assert.equal(await waiting, undefined);
  // Nobody is left to hear of it, and it must not end the process.
  refuse(new Error('too late'));
  assert.equal(await unlessAborted(new Promise<number>(() => undefined), signal), undefined);
});
