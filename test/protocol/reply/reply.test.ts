import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countCells, parseCells, ReplyDecoder } from '../../../src/protocol/reply/reply.js';
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

void test('a status says how many bytes stand behind it', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 10 });
  const rests = decoder
    .push(Buffer.from('\n+\ndoveadm\t1\t'))
    .flatMap((event) => (event.kind === 'status' ? [event.restBytes] : []));
  assert.deepEqual(rests, [10]);
  assert.ok(decoder.isStarted);
});

void test('midCell, isStarted and the end, byte for byte', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 10 });
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
    const cells = chunks.reduce((sum, chunk) => sum + countCells(chunk), 0);
    assert.equal(cells, 5, name);
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

void test('trap 7: a second status line is a reply of its own, in the same chunk or later', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 100 });
  const [first, second] = decoder.push(Buffer.from('\n-NOUSER\n\n-\n'));
  assert.ok(first?.kind === 'status' && second?.kind === 'status');
  assert.deepEqual(
    [first.status.code, first.restBytes],
    ['NOUSER', 3],
    'the first one says that something follows',
  );
  assert.deepEqual([second.status.code, second.restBytes], ['UNKNOWN', 0]);
  decoder.push(Buffer.from('\n-NOUSER\n'));
  assert.equal(decoder.isStarted, false);
  decoder.push(Buffer.from('\n'));
  assert.equal(decoder.isStarted, true);
});

void test('trap 8: rows behind a status are told', () => {
  const events = new ReplyDecoder({ statusBytesMax: 100 }).push(Buffer.from('\n+\ndoveadm\t1\t'));
  assert.deepEqual(
    events.map((event) => (event.kind === 'status' ? event.restBytes : event.bytes.toString())),
    [10, 'doveadm\t1\t'],
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
  decoder.end();
  for (const part of ['a\t', '\n', '-NO']) {
    decoder.push(Buffer.from(part));
    assert.throws(() => decoder.end(), { code: 'truncated' });
  }
  decoder.push(Buffer.from('USER\n'));
  decoder.end();
});

void test('trap 24: the decoder knows when to end a reply would cut a cell', () => {
  const midCellAfter = (...parts: string[]): boolean => {
    const decoder = new ReplyDecoder({ statusBytesMax: 100 });
    for (const part of parts) decoder.push(Buffer.from(part));
    return decoder.midCell;
  };
  assert.equal(midCellAfter(), false);
  assert.equal(midCellAfter('User quota\tSTOR'), true);
  assert.equal(midCellAfter('User quota\tSTOR', 'AGE\t'), false);
  assert.equal(midCellAfter('a\x01', 't'), true, 'an escaped TAB ends no cell');
  assert.equal(midCellAfter('a\tb\t\n'), false);
  assert.equal(midCellAfter('a', '\n-UNKNOWN\n'), false, 'the next reply starts anew');
  assert.equal(midCellAfter('a', '\n-UNKNOWN\n\n'), false, 'also without a body');
});
