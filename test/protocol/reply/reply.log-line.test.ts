import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeLogLine, LogDecoder, type LogLine, type LogType } from '../../../src/protocol/reply/reply.js';
import { chunkings, cutAtRandom, seededRandom } from '../../kit/chunkings.js';

function decode(chunks: readonly Buffer[], lineBytesMax = 1000): LogLine[] {
  const decoder = new LogDecoder({ lineBytesMax });
  const lines = chunks.flatMap((chunk) => decoder.push(chunk));
  return [...lines, ...decoder.end()];
}

const types: LogType[] = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

void test('a byte for the type, a text, LF', () => {
  const bytes = Buffer.from('\x01d\n\x02i\n\x03w\n\x04e\n\x05f\n\x06p\n\x04\n');
  for (const { name, chunks } of chunkings(bytes)) {
    assert.deepEqual(
      decode(chunks),
      [
        ...types.map((type) => ({ type, text: type.slice(0, 1), isCut: false })),
        { type: 'error', text: '', isCut: false },
      ],
      name,
    );
  }
});

void test('a type that is none is an error line with all of its text', () => {
  for (const text of ['no type', '\x07bell', '\0', '']) {
    assert.deepEqual(decode([Buffer.from(`${text}\n`)]), [{ type: 'error', text, isCut: false }]);
  }
});

// bounds.logLineBytes
void test('what is too long is cut, and the next line is whole again', () => {
  const bytes = Buffer.from('\x041234567\n\x0412345678\n\x03next\n');
  for (const { name, chunks } of chunkings(bytes)) {
    assert.deepEqual(
      decode(chunks, 8),
      [
        { type: 'error', text: '1234567', isCut: false },
        { type: 'error', text: '1234567', isCut: true },
        { type: 'warning', text: 'next', isCut: false },
      ],
      name,
    );
  }
});

void test('a line without LF is told at the end, as cut', () => {
  for (const { name, chunks } of chunkings(Buffer.from('\x04half'))) {
    assert.deepEqual(decode(chunks), [{ type: 'error', text: 'half', isCut: true }], name);
  }
  assert.deepEqual(decode([]), []);
});

void test('a message of several lines becomes several log lines', () => {
  assert.equal(encodeLogLine('error', 'one\ntwo').toString(), '\x04one\n\x04two\n');
});

void test('round trip', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ type: fc.constantFrom(...types), text: fc.string({ unit: 'binary' }) }), {
        maxLength: 5,
      }),
      fc.integer(),
      (messages, seed) => {
        const bytes = Buffer.concat(messages.map(({ type, text }) => encodeLogLine(type, text)));
        const expected = messages.flatMap(({ type, text }) =>
          text.split('\n').map((line) => ({ type, text: Buffer.from(line).toString(), isCut: false })),
        );
        assert.deepEqual(decode(cutAtRandom(bytes, seededRandom(seed))), expected);
      },
    ),
  );
});
