import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countCells, ReplyDecoder } from '../../../src/protocol/reply/reply.js';
import { chunkings, cutEvery } from '../../kit/chunkings.js';

/** Replies as `body|code`, the last one without `|` when it is not over. */
function decode(chunks: readonly Buffer[], statusBytesMax = 100): string[] {
  const decoder = new ReplyDecoder({ statusBytesMax });
  const replies = [''];
  for (const chunk of chunks) {
    for (const event of decoder.push(chunk)) {
      const last = replies.length - 1;
      if (event.kind === 'body') replies[last] += event.bytes.toString('latin1');
      else replies.splice(last, 1, `${replies[last]}|${event.status.raw.toString()}`, '');
    }
  }
  if (replies.at(-1) === '') replies.pop();
  return replies;
}

void test('the first LF ends the body, the next one the status', () => {
  const bytes = Buffer.from('a\tb\t\n+\n\n-NOUSER\n{"x":1}\n+\nc\t\n-\nhalf');
  for (const { name, chunks } of chunkings(bytes)) {
    assert.deepEqual(decode(chunks), ['a\tb\t|+', '|-NOUSER', '{"x":1}|+', 'c\t|-', 'half'], name);
  }
});

void test('the body is slices of the chunk', () => {
  const chunk = Buffer.from('cell\t\n+\n');
  const [event] = new ReplyDecoder({ statusBytesMax: 10 }).push(chunk);
  assert.ok(event?.kind === 'body');
  assert.equal(event.bytes.buffer, chunk.buffer);
  assert.equal(event.bytes.byteOffset, chunk.byteOffset);
});

void test('isStarted, byte for byte', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 10 });
  const seen = cutEvery(Buffer.from('a\t\n+\n\n+\n{\n-\n'), 1).map((byte) => {
    decoder.push(byte);
    return decoder.isStarted ? 's' : '-';
  });
  assert.deepEqual(seen.join(' '), 's s s s - s s - s s s -');
});

// bounds.statusBytes
void test('a status line has a limit, a body has none', () => {
  const status = (length: number): Buffer => Buffer.from(`${'x'.repeat(100)}\n-${'C'.repeat(length - 1)}\n`);
  for (const { name, chunks } of chunkings(status(10))) assert.equal(decode(chunks, 10).length, 1, name);
  for (const bytes of [status(11), status(11).subarray(0, -1)]) {
    for (const { name, chunks } of chunkings(bytes)) {
      assert.throws(() => decode(chunks, 10), { name: 'WireFault', code: 'line-too-long' }, name);
    }
  }
});

void test('a status that is none', () => {
  for (const { name, chunks } of chunkings(Buffer.from('a\t\nOK\n'))) {
    assert.throws(() => decode(chunks), { name: 'WireFault', code: 'bad-status' }, name);
  }
});

void test('cells are counted across chunks', () => {
  const body = Buffer.from(`a\t\tlong ${'x'.repeat(100)}\t${'y'.repeat(24)}\t${'z'.repeat(23)}\trest`);
  for (const { name, chunks } of chunkings(body)) {
    const cells = chunks.reduce((sum, chunk) => sum + countCells(chunk), 0);
    assert.equal(cells, 5, name);
  }
});

void test('trap 7: a second status line is a reply of its own, in the same chunk or later', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 100 });
  const [first, second] = decoder.push(Buffer.from('\n-NOUSER\n\n-\n'));
  assert.ok(first?.kind === 'status' && second?.kind === 'status');
  assert.deepEqual([first.status.code, second.status.code], ['NOUSER', 'UNKNOWN']);
  decoder.push(Buffer.from('\n-NOUSER\n'));
  assert.equal(decoder.isStarted, false);
  decoder.push(Buffer.from('\n'));
  assert.equal(decoder.isStarted, true);
});

void test('trap 8: rows behind a status are the next reply', () => {
  const events = new ReplyDecoder({ statusBytesMax: 100 }).push(Buffer.from('\n+\ndoveadm\t1\t'));
  assert.deepEqual(
    events.map((event) => (event.kind === 'status' ? '+' : event.bytes.toString())),
    ['+', 'doveadm\t1\t'],
  );
});

void test('trap 9: the first LF ends the rows, whatever stands before it', () => {
  assert.deepEqual(decode([Buffer.from('{"alice@example.org":{"uid":"5000"}}\n+\n')]), [
    '{"alice@example.org":{"uid":"5000"}}|+',
  ]);
  assert.deepEqual(decode([Buffer.from('+\n+\n')]), ['+|+'], 'also what looks like a status');
});

void test('trap 12: the end of the input between replies is no fault, inside one it is', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 100 });
  assert.equal(decoder.isStarted, false);
  for (const part of ['a\t', '\n', '-NO']) {
    decoder.push(Buffer.from(part));
    assert.equal(decoder.isStarted, true);
  }
  decoder.push(Buffer.from('USER\n'));
  assert.equal(decoder.isStarted, false);
});
