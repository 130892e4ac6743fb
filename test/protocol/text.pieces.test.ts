// Goal: a text goes out so that a server which gives it up behind any piece finds no command, or not at all. Phases: any text at any cutting,
// with and without a spotter; long command lines. What must not happen: a piece that is given out beside one that may not be sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCommandSpotter } from '../../src/domain/commands/catalog.js';
import { WireFault } from '../../src/ports/faults.js';
import { wholeBytesMax } from '../../src/ports/transport.js';
import { DotDecoder, DotEncoder, slicesOfLine } from '../../src/protocol/text.js';
import { chunkings } from '../kit/chunkings.js';

const isRefused = (fault: unknown): boolean => fault instanceof WireFault && fault.code === 'bad-command';

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
  for (const length of [1, wholeBytesMax, wholeBytesMax + 1, 40_000]) {
    const line = Buffer.alloc(length, 'l');
    const slices = slicesOfLine(line);
    assert.equal(slices.length, Math.ceil(length / wholeBytesMax));
    assert.ok(Buffer.concat(slices).equals(line));
  }
});
