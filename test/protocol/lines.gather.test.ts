import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gather } from '../../src/protocol/lines.js';

void test('pieces come back as one buffer, and the gather is empty', () => {
  const gather = new Gather(100);
  const piece = Buffer.from('one');
  gather.append(piece);
  gather.append(Buffer.from(' two'));
  piece.fill(0x78);
  assert.equal(gather.length, 7);
  assert.equal(gather.take().toString(), 'one two');
  assert.equal(gather.length, 0);
  assert.equal(gather.take().length, 0);
});

void test('what was taken is not written to again', () => {
  const gather = new Gather(100);
  gather.append(Buffer.from('first'));
  const taken = gather.take();
  gather.append(Buffer.from('other'));
  assert.equal(taken.toString(), 'first');
});

void test('the memory doubles up to the limit, and not above it', () => {
  // Above the size of Node's pool (it depends on the release) a buffer has memory of its own, which tells how much was taken.
  const bytesMax = Buffer.poolSize + 1_000;
  const own = new Gather(bytesMax);
  for (let count = 0; count < bytesMax; count += 1) own.append(Buffer.of(count & 0xff));
  assert.equal(own.take().buffer.byteLength, bytesMax);
});
