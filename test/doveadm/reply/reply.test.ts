import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { wordOfExitCode } from '../../../src/client/http-session.js';
import {
  countCells,
  encodeLogLine,
  exitCodeOf,
  formatStatus,
  LogDecoder,
  type LogLine,
  type LogType,
  parseStatus,
  ReplyDecoder,
} from '../../../src/doveadm/reply/reply.js';
import { chunkings, cutAtRandom, cutEvery, seededRandom } from '../../kit/plain/chunkings.js';

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
      const message = 'a status line has more than 10 bytes';
      assert.throws(() => decode(chunks, 10), { name: 'WireFault', code: 'line-too-long', message }, name);
    }
  }
});

void test('a status that is none', () => {
  for (const { name, chunks } of chunkings(Buffer.from('a\t\nOK\n'))) {
    const message = 'a status line that begins with neither + nor -';
    assert.throws(() => decode(chunks), { name: 'WireFault', code: 'bad-status', message }, name);
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
  const seen = events.map((event) => (event.kind === 'status' ? '+' : event.bytes.toString()));
  assert.deepEqual(seen, ['+', 'doveadm\t1\t']);
});

void test('trap 9: the first LF ends the rows, whatever stands before it', () => {
  const json = '{"alice@example.org":{"uid":"5000"}}';
  assert.deepEqual(decode([Buffer.from(`${json}\n+\n`)]), [`${json}|+`]);
  assert.deepEqual(decode([Buffer.from('+\n+\n')]), ['+|+'], 'also what looks like a status');
});

void test('trap 12: the end of the input between replies is no fault, inside one it is', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 100 });
  assert.equal(decoder.isStarted, false);
  for (const [part, held] of [
    ['a\t', 0],
    ['\n', 0],
    ['-NO', 3],
  ] as const) {
    decoder.push(Buffer.from(part));
    assert.deepEqual([decoder.isStarted, decoder.pendingBytes], [true, held]);
  }
  decoder.push(Buffer.from('USER\n'));
  assert.deepEqual([decoder.isStarted, decoder.pendingBytes], [false, 0]);
});

function decodeOfLogLine(chunks: readonly Buffer[], lineBytesMax = 1000): LogLine[] {
  const decoder = new LogDecoder({ lineBytesMax });
  const lines = chunks.flatMap((chunk) => decoder.push(chunk));
  return [...lines, ...decoder.end()];
}

const types: LogType[] = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

void test('a byte for the type, a text, LF', () => {
  const bytes = Buffer.from('\x01d\n\x02i\n\x03w\n\x04e\n\x05f\n\x06p\n\x04\n');
  for (const { name, chunks } of chunkings(bytes)) {
    const lines = types.map((type) => ({ type, text: type.slice(0, 1), isCut: false }));
    assert.deepEqual(decodeOfLogLine(chunks), [...lines, { type: 'error', text: '', isCut: false }], name);
  }
});

void test('a type that is none is an error line with all of its text', () => {
  for (const text of ['no type', '\x07bell', '\0', '']) {
    assert.deepEqual(decodeOfLogLine([Buffer.from(`${text}\n`)]), [{ type: 'error', text, isCut: false }]);
  }
});

// bounds.logLineBytes
void test('what is too long is cut, and the next line is whole again', () => {
  const bytes = Buffer.from('\x041234567\n\x0412345678\n\x03next\n');
  const [whole, cut] = [false, true].map((isCut) => ({ type: 'error', text: '1234567', isCut }));
  const next = { type: 'warning', text: 'next', isCut: false };
  for (const { name, chunks } of chunkings(bytes))
    assert.deepEqual(decodeOfLogLine(chunks, 8), [whole, cut, next], name);
});

void test('a line without LF is told at the end, as cut', () => {
  for (const { name, chunks } of chunkings(Buffer.from('\x04half'))) {
    assert.deepEqual(decodeOfLogLine(chunks), [{ type: 'error', text: 'half', isCut: true }], name);
  }
  assert.deepEqual(decodeOfLogLine([]), []);
  const decoder = new LogDecoder({ lineBytesMax: 4 });
  for (const [text, held] of [
    ['\x04ha', 3],
    ['lf', 4],
    ['\n', 0],
  ] as const) {
    decoder.push(Buffer.from(text));
    assert.equal(decoder.pendingBytes, held);
  }
});

void test('a message of several lines becomes several log lines', () => {
  assert.equal(encodeLogLine('error', 'one\ntwo').toString(), '\x04one\n\x04two\n');
});

void test('round trip', () => {
  const message = fc.record({ type: fc.constantFrom(...types), text: fc.string({ unit: 'binary' }) });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.integer(), (messages, seed) => {
      const bytes = Buffer.concat(messages.map(({ type, text }) => encodeLogLine(type, text)));
      const expected = messages.flatMap(({ type, text }) =>
        text.split('\n').map((line) => ({ type, text: Buffer.from(line).toString(), isCut: false })),
      );
      assert.deepEqual(decodeOfLogLine(cutAtRandom(bytes, seededRandom(seed))), expected);
    }),
  );
});

const parse = (text: string): { kind: string; code: string; referral?: object } => {
  const { raw, ...status } = parseStatus(Buffer.from(text));
  assert.equal(raw.toString(), text);
  return status;
};

void test('what begins with + went well', () => {
  for (const text of ['+', '+ extra', '+\r']) assert.deepEqual(parse(text), { kind: 'ok', code: '' });
});

void test('trap 10: everything behind - failed, known or not', () => {
  assert.deepEqual(parse('-NOUSER'), { kind: 'failed', code: 'NOUSER' });
  assert.deepEqual(parse('-NOUSER\r'), { kind: 'failed', code: 'NOUSER' });
  assert.deepEqual(parse('-'), { kind: 'failed', code: 'UNKNOWN' });
  assert.deepEqual(parse('-\r'), { kind: 'failed', code: 'UNKNOWN' });
  assert.deepEqual(parse('-75'), { kind: 'failed', code: '75' });
  assert.deepEqual(parse('-WHAT ever'), { kind: 'failed', code: 'WHAT' });
  assert.deepEqual(parse('-+'), { kind: 'failed', code: '+' });
});

void test('a code that could not be written is not told', () => {
  for (const text of ['-NO\tUSER', '-NO\0USER', '-\x1b[2J', '-Ü', '- x', '-\ufffd', '-A\rB']) {
    const { code } = parse(text);
    assert.equal(code, 'UNKNOWN', JSON.stringify(text));
    assert.equal(formatStatus(code).toString(), '-UNKNOWN\n');
  }
});

void test('a referral is split at the last @', () => {
  assert.deepEqual(parse('-REFERRAL moved@example.org@192.0.2.7:24245'), {
    kind: 'referral',
    code: 'REFERRAL',
    referral: { user: 'moved@example.org', host: '192.0.2.7:24245' },
  });
  assert.deepEqual(parse('-REFERRAL moved@host\r').referral, { user: 'moved', host: 'host' });
});

void test('trap 31: a referral to nowhere is one all the same', () => {
  for (const text of ['-REFERRAL', '-REFERRAL ', '-REFERRAL moved', '-REFERRAL @host', '-REFERRAL moved@']) {
    assert.deepEqual(parse(text), { kind: 'referral', code: 'REFERRAL' }, text);
  }
  assert.equal(parse('-REFERRALS a@b').kind, 'failed');
});

void test('the exit code of each word, and the word of each exit code', () => {
  const words = 'NOUSER NOTFOUND USAGE DATAERR NOPERM TEMPFAIL PROTOCOL CHANGED EXPIRED CANTCREAT'.split(' ');
  const exitCodes = [67, 68, 64, 65, 77, 75, 76, 2, 1003, 73];
  assert.deepEqual(words.map(exitCodeOf), exitCodes);
  assert.deepEqual(exitCodes.map(wordOfExitCode), words);
  assert.deepEqual(['', 'REFERRAL', 'UNKNOWN', '75', 'toString'].map(exitCodeOf), [0, 75, -1, -1, -1]);
  for (const code of [0, -1, 1, '75', undefined]) assert.equal(wordOfExitCode(code), undefined);
});

void test('neither + nor - is no status', () => {
  for (const text of ['', 'OK', ' +', '\0', '\r', 'a\tb']) {
    assert.throws(() => parseStatus(Buffer.from(text)), { name: 'WireFault', code: 'bad-status' }, text);
  }
});

void test('written with LF, and only what is one line', () => {
  assert.equal(formatStatus('').toString(), '+\n');
  assert.equal(formatStatus('NOPERM').toString(), '-NOPERM\n');
  for (const code of ['A\nB', 'A\r', '\0', 'Ü']) assert.throws(() => formatStatus(code), RangeError);
});
