import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  decodeUtf8,
  escapeText,
  Gather,
  LineSplitter,
  unescapeLenient,
  unescapeText,
} from '../../../src/doveadm/protocol/lines.js';
import { chunkings } from '../../kit/plain/chunkings.js';

function readAll(lines: LineSplitter): string[] {
  const read: string[] = [];
  for (let line = lines.next(); line !== undefined; line = lines.next()) read.push(line.toString('latin1'));
  return read;
}

void test('lines end in LF, and one CR before it goes', () => {
  const bytes = Buffer.from('one\ntwo\r\n\nthree\r\r\n\r\nfo\rur\nrest');
  for (const { name, chunks } of chunkings(bytes)) {
    const lines = new LineSplitter({ lineBytesMax: 100 });
    const read = chunks.flatMap((chunk) => {
      lines.push(chunk);
      return readAll(lines);
    });
    assert.deepEqual(read, ['one', 'two', '', 'three\r', '', 'fo\rur'], name);
    assert.equal(lines.pendingBytes, 4, name);
    assert.equal(lines.takeRest().toString(), 'rest', name);
    assert.equal(lines.pendingBytes, 0, name);
  }
});

void test('all chunks may come before the first line is asked for', () => {
  const bytes = Buffer.from('a\nbb\nccc\nd');
  for (const { name, chunks } of chunkings(bytes)) {
    const lines = new LineSplitter({ lineBytesMax: 3 });
    for (const chunk of chunks) lines.push(chunk);
    assert.equal(lines.pendingBytes, bytes.length, name);
    assert.equal(lines.next()?.toString(), 'a', name);
    assert.equal(lines.takeRest().toString(), 'bb\nccc\nd', name);
    assert.equal(lines.next(), undefined, name);
  }
});

void test('the rest can be taken after any line, and what comes later is lines again', () => {
  const lines = new LineSplitter({ lineBytesMax: 100 });
  lines.push(Buffer.from('STARTTLS\n\x16\x03\x01'));
  assert.equal(lines.next()?.toString(), 'STARTTLS');
  assert.equal(lines.takeRest().toString('hex'), '160301');
  lines.push(Buffer.from('PLAIN\n'));
  assert.deepEqual(readAll(lines), ['PLAIN']);
});

void test('a line is a slice of the chunk that holds all of it', () => {
  const lines = new LineSplitter({ lineBytesMax: 100 });
  const chunk = Buffer.from('whole\n');
  lines.push(chunk);
  const line = lines.next();
  assert.equal(line?.buffer, chunk.buffer);
  assert.equal(line?.byteOffset, chunk.byteOffset);
});

void test('a pushed chunk whose line is not complete may be overwritten once it was asked for', () => {
  const lines = new LineSplitter({ lineBytesMax: 100 });
  const chunk = Buffer.from('begin');
  lines.push(chunk);
  assert.equal(lines.next(), undefined);
  chunk.fill(0);
  lines.push(Buffer.from('ning\n'));
  assert.equal(lines.next()?.toString(), 'beginning');
});

void test('a line of lineBytesMax passes, one byte more is too long, complete or not', () => {
  for (const [text, isTooLong] of [
    ['12345678\n', false],
    ['12345678', false],
    ['1234567\r\n', false],
    ['123456789\n', true],
    ['123456789', true],
    ['12345678\r\n', true],
  ] as const) {
    for (const { name, chunks } of chunkings(Buffer.from(text))) {
      const lines = new LineSplitter({ lineBytesMax: 8 });
      const read = (): void => {
        for (const chunk of chunks) {
          lines.push(chunk);
          lines.next();
        }
      };
      if (isTooLong) {
        const message = 'a line has more than 8 bytes';
        assert.throws(read, { name: 'WireFault', code: 'line-too-long', message }, `${text} ${name}`);
        assert.equal(lines.pendingBytes, 0);
        lines.push(Buffer.from('next\n'));
        assert.throws(() => lines.next(), { code: 'line-too-long' }, 'it stays so');
      } else {
        read();
      }
    }
  }
});

void test('lines before one that is too long are read', () => {
  const lines = new LineSplitter({ lineBytesMax: 4 });
  lines.push(Buffer.from('good\nworse\n'));
  assert.equal(lines.next()?.toString(), 'good');
  assert.throws(() => lines.next(), { code: 'line-too-long' });
});

void test('a reader that is always behind does not lose lines', () => {
  const lines = new LineSplitter({ lineBytesMax: 10 });
  const read: string[] = [];
  for (let count = 0; count < 1000; count += 1) {
    lines.push(Buffer.from(`${count}\n`));
    if (count >= 100) read.push(lines.next()?.toString() ?? 'none');
  }
  const numbers = Array.from({ length: 900 }, (_, count) => String(count));
  assert.deepEqual(read, numbers);
  assert.equal(lines.pendingBytes, 400);
});

void test('trap 29: at the end of the input complete lines count, and one without LF does not', () => {
  const lines = new LineSplitter({ lineBytesMax: 100 });
  lines.push(Buffer.from('\tu\tone\n\tu\ttwo\n\tu\thalf'));
  assert.deepEqual(readAll(lines), ['\tu\tone', '\tu\ttwo']);
  assert.equal(lines.pendingBytes, '\tu\thalf'.length);
});

const soup = fc
  .array(fc.constantFrom('\0', '\x01', '\t', '\r', '\n', '0', '1', 't', 'r', 'n', 'x', 'ü'), {
    maxLength: 40,
  })
  .map((letters) => letters.join(''));

void test('NUL, SOH, TAB, CR and LF are escaped, and nothing else', () => {
  assert.equal(escapeText('a\0b\x01c\td\re\nf'), 'a\x010b\x011c\x01td\x01re\x01nf');
  assert.equal(escapeText('\x02\x1f\x7f Ünïcode'), '\x02\x1f\x7f Ünïcode');
  assert.equal(escapeText('').length, 0);
});

void test('a field without SOH is not copied', () => {
  const plain = Buffer.from('nothing special');
  assert.equal(unescapeLenient(plain), plain);
});

void test('round trip', () => {
  fc.assert(
    fc.property(soup, (text) => {
      const escaped = escapeText(text);
      assert.ok(!/[\0\t\r\n]/.test(escaped));
      assert.equal(unescapeText(escaped), text);
      assert.equal(unescapeLenient(Buffer.from(escaped)).toString(), text);
    }),
  );
});

void test('strict: SOH at the end, and SOH before another byte than 0 1 t r n', () => {
  for (const field of ['\x01', 'a\x01', 'a\x01X', '\x01\x01', '\x012', '\x01T', 'a\x01tb\x01']) {
    const message = 'a field has an escape sequence that is none';
    assert.throws(() => unescapeText(field), { name: 'WireFault', code: 'bad-escape', message }, field);
  }
});

void test('lenient, as Dovecot: SOH X is X, SOH at the end is nothing', () => {
  assert.equal(unescapeLenient(Buffer.from('fe\x01Xtch')).toString(), 'feXtch');
  assert.equal(unescapeLenient(Buffer.from('fetch\x01')).toString(), 'fetch');
  assert.equal(unescapeLenient(Buffer.from('\x01\x01t')).toString(), '\x01t');
});

void test('strict and lenient agree wherever strict takes the field', () => {
  fc.assert(
    fc.property(soup, (text) => {
      let strict: string;
      try {
        strict = unescapeText(text);
      } catch {
        return;
      }
      assert.equal(unescapeLenient(Buffer.from(text)).toString(), strict);
    }),
  );
});

void test('text is UTF-8 or nothing, and a byte order mark stays', () => {
  assert.equal(decodeUtf8(Buffer.from('Ünïcode')), 'Ünïcode');
  assert.equal(decodeUtf8(Buffer.from('efbbbf61', 'hex')), '\ufeffa');
  for (const hex of ['ff', 'c3', 'c080', 'eda080', 'f4908080']) {
    assert.equal(decodeUtf8(Buffer.from(hex, 'hex')), undefined, hex);
  }
});

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
