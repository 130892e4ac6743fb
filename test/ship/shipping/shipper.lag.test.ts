// Goal: since when a receiver has not had everything is known within a second, however long it is away, in little memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLag } from '../../../src/ship/shipping/shipper.js';

void test('the oldest record that has not left counts', () => {
  const lag = createLag();
  assert.equal(lag.ms(0, 500), 0);
  lag.note(10, 0, 1_000);
  lag.note(20, 0, 5_000);
  assert.equal(lag.ms(0, 6_000), 5_000);
  assert.equal(lag.ms(9, 6_000), 5_000);
  assert.equal(lag.ms(10, 6_000), 1_000);
  assert.equal(lag.ms(20, 6_000), 0);
  // Nothing new, and what has left already, begins nothing.
  lag.note(20, 20, 7_000);
  assert.equal(lag.ms(20, 9_000), 0);
});

void test('records of one second count from its beginning: never less than it is', () => {
  const lag = createLag();
  lag.note(1, 0, 0);
  lag.note(2, 0, 900);
  assert.equal(lag.ms(1, 1_000), 1_000);
});

void test('a receiver that is away for days costs no memory to speak of, and catches up as it was', () => {
  const lag = createLag();
  const seconds = 3 * 86_400;
  for (let at = 0; at < seconds; at += 1) lag.note(at + 1, 0, at * 1_000);
  const nowMs = seconds * 1_000;
  assert.equal(lag.ms(0, nowMs), nowMs);
  const half = lag.ms(seconds / 2, nowMs);
  // Moments were joined: the lag may be told as more than it is, by one of them, and never as less.
  assert.ok(half >= nowMs / 2 && half < nowMs * 0.6, `${half}`);
  assert.equal(lag.ms(seconds, nowMs), 0);
});
