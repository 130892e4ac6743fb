import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCellCounter, createReplyDecoder, parseCells } from '../../src/wire/reply.js';
import { chunkings, cutEvery } from '../kit/chunkings.js';

/** Replies as `body|code`, the last one without `|` when it is not over. */
function decode(chunks: readonly Buffer[], statusBytesMax = 100): string[] {
  const decoder = createReplyDecoder({ statusBytesMax });
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
  const [event] = createReplyDecoder({ statusBytesMax: 10 }).push(chunk);
  assert.ok(event?.kind === 'body');
  assert.equal(event.bytes.buffer, chunk.buffer);
  assert.equal(event.bytes.byteOffset, chunk.byteOffset);
});

void test('a status says how many bytes stand behind it', () => {
  const decoder = createReplyDecoder({ statusBytesMax: 10 });
  const rests = decoder
    .push(Buffer.from('\n+\ndoveadm\t1\t'))
    .flatMap((event) => (event.kind === 'status' ? [event.restBytes] : []));
  assert.deepEqual(rests, [10]);
  assert.ok(decoder.isStarted);
});

void test('midCell, isStarted and the end, byte for byte', () => {
  const decoder = createReplyDecoder({ statusBytesMax: 10 });
  const seen = cutEvery(Buffer.from('a\t\n+\n\n+\n{\n-\n'), 1).map((byte) => {
    decoder.push(byte);
    return (decoder.midCell ? 'm' : '-') + (decoder.isStarted ? 's' : '-');
  });
  assert.deepEqual(seen.join(' '), 'ms -s -s -s -- -s -s -- ms ms ms --');
  decoder.end();
  decoder.push(Buffer.from('a\t'));
  assert.throws(() => decoder.end(), { name: 'WireFault', code: 'truncated' });
});

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
    const counter = createCellCounter();
    for (const chunk of chunks) counter.push(chunk);
    assert.equal(counter.cells, 5, name);
  }
});

void test('cells are unescaped as Dovecot does it', () => {
  const cells = (text: string): string[] => parseCells(Buffer.from(text)).map(String);
  assert.deepEqual(cells('a\t\tb\x01tc\x01X\t'), ['a', '', 'b\tcX']);
  assert.deepEqual(cells('{"x":1}'), ['{"x":1}']);
  assert.deepEqual(cells(''), []);
  assert.throws(() => parseCells(Buffer.from('a\tb\tc\t'), { cellsMax: 2 }), { code: 'line-too-long' });
  assert.equal(parseCells(Buffer.from('a\tb\t'), { cellsMax: 2 }).length, 2);
});
