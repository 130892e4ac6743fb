import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProgress } from '../../../src/cli/output/screen.js';
import { createFakeClock } from '../../kit/fake-clock.js';

void test('what takes long is shown, now and then, and taken away', async () => {
  const clock = createFakeClock();
  const texts: string[] = [];
  const progress = createProgress(clock, (text) => texts.push(text));
  progress.received(100);
  await clock.advance(1_900);
  progress.received(100);
  assert.deepEqual(texts, [], 'not at once');
  await clock.advance(200);
  progress.row();
  progress.sent(3 * 1024 * 1024);
  progress.received(1_848);
  await clock.advance(600);
  progress.received(1);
  progress.clear();
  progress.clear();
  assert.deepEqual(texts, [
    '\r\x1b[K3.0 MiB sent, 200 bytes, 1 rows, 2 s',
    '\r\x1b[K3.0 MiB sent, 2.0 KiB, 1 rows, 3 s',
    '\r\x1b[K',
  ]);
});

void test('without a terminal nobody sees it', async () => {
  const clock = createFakeClock();
  const progress = createProgress(clock, undefined);
  await clock.advance(10_000);
  progress.received(1);
  progress.clear();
});
