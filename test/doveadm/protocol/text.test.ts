import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createCommandSpotter } from '../../../src/doveadm/commands/catalog.js';
import { DotDecoder, DotEncoder, slicesOfLine } from '../../../src/doveadm/protocol/text.js';
import { WireFault } from '../../../src/host/ports/faults.js';
import { wholeBytesMax } from '../../../src/host/ports/transport.js';
import { chunkings, cutAtRandom, seededRandom } from '../../kit/plain/chunkings.js';
import { connectionsOf, vectorsIn } from '../../kit/plain/vectors.js';

function decode(
  chunks: readonly Buffer[],
  inputBytesMax = 1e6,
): { text: string; rest: string; isDone: boolean } {
  const decoder = new DotDecoder({ inputBytesMax });
  let text = '';
  let rest = '';
  let isDone = false;
  for (const chunk of chunks) {
    const progress = decoder.push(chunk);
    text += Buffer.concat(progress.parts).toString('latin1');
    rest += progress.rest.toString('latin1');
    isDone = progress.isDone;
  }
  return { text, rest, isDone };
}

function encode(chunks: readonly Buffer[]): Buffer {
  const encoder = new DotEncoder(undefined);
  return Buffer.concat([...chunks.flatMap((chunk) => encoder.push(chunk)), ...encoder.end()]);
}

void test('traps 19, 20: what Dovecot makes of an input; the last line end is no data, nor is what follows the dot', () => {
  for (const [input, text] of [
    ['a\n.\n', 'a'],
    ['a\n\n.\n', 'a\n'],
    ['a\r\n.\r\n', 'a'],
    ['a\r\n.\n', 'a'],
    ['a\n.\r\n', 'a'],
    ['.\n', ''],
    ['.\r\n', ''],
    ['\r\n.\r\n', ''],
    ['\n.\n', ''],
    ['..\n.\n', '.'],
    ['.y\n.\n', 'y'],
    ['a\n..\n.x\n...\n.\n', 'a\n.\nx\n..'],
    ['a\r\n..\r\n.x\r\n.\r\n', 'a\r\n.\r\nx'],
    ['a\r.\n.\n', 'a\r.'],
    ['a\r\r\n.\n', 'a\r'],
    ['a\n.\rb\n.\n', 'a\n\rb'],
    ['a\n.\r\r\n.\n', 'a\n\r'],
    ['.\r.\n.\n', '\r.'],
    ['a.\n.\n', 'a.'],
    ['a\n .\n.\n', 'a\n .'],
    ['\0\xff\n.\n', '\0\xff'],
  ] as const) {
    for (const { name, chunks } of chunkings(Buffer.from(`${input}\tnext\n`, 'latin1'))) {
      const expected = { text, rest: '\tnext\n', isDone: true };
      assert.deepEqual(decode(chunks), expected, `${JSON.stringify(input)} ${name}`);
    }
  }
});

void test('no end before the dot', () => {
  // [input, bytes of it that are held: what may belong to the end]
  for (const [input, held] of [
    ['', 0],
    ['a', 0],
    ['a\r', 1],
    ['a\n', 1],
    ['a\r\n', 2],
    ['.', 1],
    ['a\n.', 2],
    ['a\r\n.\r', 4],
    ['a\n.\ra\n', 1],
    ['.a\n', 1],
  ] as const) {
    for (const { name, chunks } of chunkings(Buffer.from(input))) {
      const decoder = new DotDecoder({ inputBytesMax: 100 });
      for (const chunk of chunks) assert.equal(decoder.push(chunk).isDone, false, name);
      assert.equal(decoder.pendingBytes, held, `${JSON.stringify(input)} ${name}`);
    }
  }
  const decoder = new DotDecoder({ inputBytesMax: 100 });
  assert.ok(decoder.push(Buffer.from('.\n')).isDone);
  assert.deepEqual(decoder.push(Buffer.from('x')), { parts: [], isDone: true, rest: Buffer.from('x') });
});

void test('the limit counts the text, not the stuffing', () => {
  const input = (text: string): Buffer => encode([Buffer.from(text)]);
  for (const { name, chunks } of chunkings(input('.\n.\n.\n.\n'))) {
    assert.equal(decode(chunks, 8).isDone, true, name);
    const message = 'an input has more than 7 bytes';
    assert.throws(() => decode(chunks, 7), { name: 'WireFault', code: 'line-too-long', message }, name);
  }
});

void test('text leaves as slices', () => {
  const chunk = Buffer.from('one\r\n..two\r\nthree');
  const { parts } = new DotDecoder({ inputBytesMax: 100 }).push(chunk);
  assert.deepEqual(parts.map(String), ['one\r\n', '.two\r\nthree']);
  assert.ok(parts.every((part) => part.buffer === chunk.buffer));
});

void test('trap 19: written with a dot before every line, and the end as the real client writes it', () => {
  for (const [text, wire] of [
    ['', '\r\n.\r\n'],
    ['no newline', '.no newline\r\n.\r\n'],
    ['keep;\r\n', '.keep;\r\n\r\n.\r\n'],
    ['.a\n..b\n', '..a\n...b\n\r\n.\r\n'],
    ['a\n\n\r\nb', '.a\n\n\r\n.b\r\n.\r\n'],
    ['\rb\n\r\r\nc\r', '\rb\n\r\r\n.c\r\r\n.\r\n'],
    ['a\nb\nc\n', '.a\n.b\n.c\n\r\n.\r\n'],
    ['.\n..\n.y', '..\n...\n..y\r\n.\r\n'],
  ] as const) {
    for (const { name, chunks } of chunkings(Buffer.from(text))) {
      assert.equal(encode(chunks).toString(), wire, `${JSON.stringify(text)} ${name}`);
    }
  }
});

void test('no line that is written is a command line, whatever the text says', () => {
  const soup = fc
    .array(fc.constantFrom('\t', 'v', 'D', 'x', '\r', '\n', '\r\n', '.', 'a\tmailbox list', '\0', '\x01'), {
      maxLength: 30,
    })
    .map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(soup, (text) => {
      for (const line of encode([Buffer.from(text)])
        .toString()
        .split('\n'))
        assert.match(line, /^(?:[.\r]|$)/);
    }),
    { numRuns: 2000 },
  );
});

void test('round trip: any soup of dots and line ends, byte for byte, at random cuts of both sides', () => {
  const soup = fc
    .array(fc.constantFrom('.', '\r', '\n', '\r\n', '\n.', 'a', '\0', '\xff'), { maxLength: 30 })
    .map((pieces) => Buffer.from(pieces.join(''), 'latin1'));
  fc.assert(
    fc.property(soup, fc.integer(), (text, seed) => {
      const random = seededRandom(seed);
      const wire = encode(cutAtRandom(text, random));
      const decoded = decode(cutAtRandom(Buffer.concat([wire, Buffer.from('rest')]), random));
      assert.deepEqual(decoded, { text: text.toString('latin1'), rest: 'rest', isDone: true });
    }),
    { numRuns: 1000 },
  );
});

/** The same rules a byte at a time, as a model: slow, and simple enough to be believed. */
function model(input: string): { text: string; isDone: boolean; rest: string } {
  let text = '';
  let line = '';
  let lineEnd = '';
  for (let at = 0; at < input.length; at += 1) {
    line += input.charAt(at);
    if (!line.endsWith('\n')) continue;
    const content = line.replace(/\r?\n$/, '');
    if (content === '.') return { text, isDone: true, rest: input.slice(at + 1) };
    text += lineEnd + content.replace(/^\./, '');
    lineEnd = line.slice(content.length);
    line = '';
  }
  return { text, isDone: false, rest: '' };
}

void test('the decoder and a model of lines agree on any soup', () => {
  const soup = fc
    .array(fc.constantFrom('.', '\r', '\n', '\r\n', '\n.', '\n.\r', 'a'), { maxLength: 30 })
    .map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(soup, fc.integer(), (input, seed) => {
      const expected = model(input);
      const decoded = decode(cutAtRandom(Buffer.from(input), seededRandom(seed)));
      assert.equal(decoded.isDone, expected.isDone);
      if (expected.isDone) assert.deepEqual(decoded, expected);
      else assert.ok(decoded.text.startsWith(expected.text), 'complete lines are given out');
    }),
    { numRuns: 3000 },
  );
});

/** The pieces of a text that is encoded as it comes. */
function toPieces(chunks: readonly Buffer[], bytesMax: number): Buffer[] {
  const encoder = new DotEncoder(undefined, bytesMax);
  return [...chunks.flatMap((chunk) => encoder.push(chunk)), ...encoder.end()];
}

/**
 * What a server does with a line of which it sees this much: nothing that a text could want. See test/whole/dovecot/stalled-upload.test.ts.
 */
function isHarmless(line: string): boolean {
  const [flags = '', ...fields] = line.split('\t');
  return fields.length < 2 || /[^Dvx\x01]/.test(flags);
}

void test('behind every piece stands what is no command, and nothing is lost', () => {
  const alphabet = '\t \x01 D v x \n \r . a b \0'.split(' ');
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...alphabet), fc.constant('\tbob\tkick\t')), { maxLength: 200 }),
      fc.integer(),
      fc.integer({ min: 4, max: 40 }),
      (words, seed, bytesMax) => {
        const text = Buffer.from(words.join(''), 'latin1');
        let pieces: Buffer[];
        try {
          pieces = toPieces(cutAtRandom(text, seededRandom(seed)), bytesMax);
        } catch (fault) {
          // Only where nothing but what begins a command fills a piece.
          assert.match(encode([text]).toString('latin1'), new RegExp(`[\\t\\x01Dvx]{${bytesMax}}`));
          assert.ok(fault instanceof WireFault && fault.code === 'bad-command');
          return;
        }
        const sent = Buffer.concat(pieces);
        assert.ok(sent.equals(encode([text])));
        let at = 0;
        for (const piece of pieces) {
          assert.ok(piece.length <= bytesMax);
          at += piece.length;
          const rest = sent.toString('latin1', at).split('\n')[0] ?? '';
          assert.ok(isHarmless(rest), JSON.stringify({ rest, piece: String(piece) }));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

void test('pieces: whole lines, at most as many bytes as may be, and no line waits for the next', () => {
  const cutter = new DotEncoder(undefined, 10);
  const shown = (pieces: readonly Buffer[]): string[] => pieces.map(String);
  assert.deepEqual(shown(cutter.push(Buffer.from('a\nb\nc'))), ['.a\n.b\n']);
  assert.deepEqual(shown(cutter.push(Buffer.from('c\n'))), ['.cc\n']);
  assert.deepEqual(shown(cutter.push(Buffer.from('123456\n1234567890abc'))), ['.123456\n', '.123456789']);
  assert.deepEqual(shown(cutter.end()), ['0abc\r\n.\r\n']);
});

const isRefused = {
  name: 'WireFault',
  code: 'bad-command',
  message: 'a line of an input could be taken for a command wherever it is cut',
};

void test('a line that is longer than a piece: letters that could be flags decide later, and only in front of a TAB they are some', () => {
  const long = 'x'.repeat(100);
  for (const end of ['y\tbob\tkick\n', '\n\tbob\tkick\n', '\0\tbob\tkick\n', '']) {
    const text = Buffer.from(`${long}${end}`);
    assert.ok(Buffer.concat(toPieces([text], 30)).equals(encode([text])), end);
  }
  for (const rest of ['\tbob\tkick', '\x01D', '\t']) {
    assert.throws(() => toPieces([Buffer.from(`${long}${rest}\n`)], 30), isRefused);
    assert.throws(() => toPieces([Buffer.from(`${'\t'.repeat(100)}${rest}\n`)], 30), isRefused);
  }
});

// Goal: a text goes out so that a server which gives it up behind any piece finds no command, or not at all. Phases: any text at any
// cutting, with and without a spotter; long command lines. What must not happen: a piece that is given out beside one that may not be sent.

/** What the other end reads. */
function readBack(pieces: readonly Buffer[]): string {
  const { parts, isDone, rest } = new DotDecoder({ inputBytesMax: 10_000_000 }).push(Buffer.concat(pieces));
  assert.ok(isDone && rest.length === 0);
  return Buffer.concat(parts).toString();
}

void test('whole lines, short enough to leave whole, and nothing is lost at any cutting', () => {
  const text = 'Subject: x\r\n\r\n.\n\tbob\tkick\tall\r\nhalf';
  for (const { name, chunks } of chunkings(Buffer.from(text))) {
    const encoding = new DotEncoder(undefined);
    const early = chunks.flatMap((chunk) => encoding.push(chunk));
    for (const piece of early) assert.equal(piece.at(-1), 0x0a, name);
    assert.ok(!String(Buffer.concat(early)).includes('half'));
    assert.equal(readBack([...early, ...encoding.end()]), text, name);
  }
  const long = 'a line of words\n'.repeat(100_000);
  const encoding = new DotEncoder(undefined);
  const pieces = [...encoding.push(Buffer.from(long)), ...encoding.end()];
  for (const piece of pieces) assert.ok(piece.length <= wholeBytesMax && piece.at(-1) === 0x0a);
  assert.equal(readBack(pieces), long);
});

void test('where pieces may be cut, a line that holds a command is refused, and all that came with it', () => {
  const text = Buffer.from(`${'words\n'.repeat(10_000)}some words\tbob\tkick\tall\n`);
  assert.throws(() => new DotEncoder(createCommandSpotter()).push(text), isRefused);
  assert.ok(new DotEncoder(undefined).push(text).length > 1);
  const atEnd = new DotEncoder(createCommandSpotter());
  assert.deepEqual(atEnd.push(Buffer.from('some words\tbob\tkick')), []);
  assert.throws(() => atEnd.end(), isRefused);
  const harmless = new DotEncoder(createCommandSpotter());
  const pieces = [...harmless.push(Buffer.from('\tname\tbob\tkicks')), ...harmless.end()];
  assert.equal(readBack(pieces), '\tname\tbob\tkicks');
});

void test('a line that no cut makes safe is refused over any transport', () => {
  for (const line of [`${'x'.repeat(40_000)}\tbob\tkick\n`, `${'\t'.repeat(40_000)}\n`])
    assert.throws(() => new DotEncoder(undefined).push(Buffer.from(`first\n${line}`)), isRefused);
});

void test('a command line of any length, in slices', () => {
  for (const length of [0, 1, wholeBytesMax, wholeBytesMax + 1, 40_000]) {
    const line = Buffer.alloc(length, 'l');
    const slices = slicesOfLine(line);
    assert.equal(slices.length, Math.ceil(length / wholeBytesMax));
    assert.ok(Buffer.concat(slices).equals(line));
  }
});

// What Dovecot stored of an input, as a fetch on the same connection tells it, against what our decoder makes of it.
for (const family of ['save-dots', 'save-lf', 'save-binary']) {
  void test(`${family}: the mail that was stored`, () => {
    const vectors = vectorsIn(family);
    assert.equal(vectors.length, 5);
    for (const vector of vectors) {
      const [steps = []] = connectionsOf(vector);
      const writes = steps.flatMap(({ dir, hex }) => (dir === 'c2s' && hex ? [Buffer.from(hex, 'hex')] : []));
      const save = writes.find((bytes) => bytes.includes('\tsave\t'));
      assert.ok(save !== undefined);
      const { parts, isDone } = new DotDecoder({ inputBytesMax: 1000 }).push(
        save.subarray(save.indexOf('\n') + 1),
      );
      assert.ok(isDone);
      const cell = vector.expect?.replies?.[1]?.cells?.[0];
      assert.ok(typeof cell === 'string' || (cell !== undefined && 'hex' in cell), vector.name);
      const stored = typeof cell === 'string' ? cell : Buffer.from(cell.hex, 'hex').toString('latin1');
      // These servers store and fetch lines with a bare LF.
      assert.equal(Buffer.concat(parts).toString('latin1').replaceAll('\r\n', '\n'), stored, vector.name);
    }
  });
}
