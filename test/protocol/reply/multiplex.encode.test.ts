import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Framing } from '../../../src/protocol/minors.js';
import { createMultiplexDecoder, MultiplexEncoder } from '../../../src/protocol/reply/multiplex.js';
import { cutAtRandom, seededRandom } from '../../kit/chunkings.js';

const hex = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString('hex');
const text = (value: string): Buffer => Buffer.from(value, 'latin1');

void test('none: channel 0 as it is, and nothing of the others', () => {
  const encoder = new MultiplexEncoder('none');
  const part = text('a\t');
  assert.deepEqual(encoder.frame(0, [part, text('')]), [part]);
  assert.deepEqual(encoder.frame(0x4c, [part]), []);
});

void test('packet: one header for one write', () => {
  const encoder = new MultiplexEncoder('packet');
  const [first, second] = [text('a\t'), text('\n+\n')];
  const framed = encoder.frame(0, [first, text(''), second]);
  assert.equal(hex(framed), '000000000561090a2b0a');
  assert.equal(framed[1], first);
  assert.equal(framed[2], second);
  assert.equal(hex(encoder.frame(0x4c, [text('\x04x\n')])), '4c0000000304780a');
  assert.deepEqual(encoder.frame(0, []), []);
  assert.deepEqual(encoder.frame(0, [text('')]), []);
});

void test('stream: the header once, a switch when the channel changes', () => {
  const encoder = new MultiplexEncoder('stream');
  assert.deepEqual(encoder.frame(0, [text('')]), []);
  assert.equal(hex(encoder.frame(0, [text('a')])), 'ffffffffff000203fe61');
  assert.equal(hex(encoder.frame(0, [text('b')])), '62');
  assert.equal(hex(encoder.frame(0x4c, [text('c')])), '03fe004c63');
  assert.deepEqual(encoder.frame(0, []), []);
  assert.equal(hex(encoder.frame(0x4c, [text('d')])), '64');
  assert.equal(hex(encoder.frame(0, [text('e')])), '03fe000065');
});

void test('stream: a first byte for another channel comes behind the header', () => {
  assert.equal(hex(new MultiplexEncoder('stream').frame(0x4c, [text('x')])), 'ffffffffff000203fe03fe004c78');
});

void test('stream: 03 FE and a 03 at the end are escaped, other 03 are not', () => {
  const encode = (value: string): string =>
    hex(new MultiplexEncoder('stream').frame(0, [text(value)])).slice(18);
  assert.equal(encode('a\x03b'), '610362');
  assert.equal(encode('a\x03\xfeb'), '6103fe01fe62');
  assert.equal(encode('\x03\x03\xfe\x03\xfe'), '0303fe01fe03fe01fe');
  assert.equal(encode('\x03'), '03fe01');
});

void test('stream: payload that needs no escape is not copied', () => {
  const part = text('plain \x03 and \xfe');
  const framed = new MultiplexEncoder('stream').frame(0, [part]);
  assert.equal(framed.at(-1), part);
});

const nasty = fc
  .array(fc.constantFrom(0x03, 0xfe, 0x00, 0x01, 0xff, 0x61), { maxLength: 12 })
  .map((bytes) => Buffer.from(bytes));
const writes = fc.array(
  fc.record({ channel: fc.constantFrom(0, 0x4c, 0xfe, 0x03), parts: fc.array(nasty, { maxLength: 3 }) }),
  { maxLength: 12 },
);

for (const framing of ['packet', 'stream'] satisfies Framing[]) {
  void test(`round trip: ${framing}, at random cuts`, () => {
    fc.assert(
      fc.property(writes, fc.integer(), (written, seed) => {
        const encoder = new MultiplexEncoder(framing);
        const bytes = Buffer.concat(written.flatMap(({ channel, parts }) => encoder.frame(channel, parts)));
        const decoder = createMultiplexDecoder(framing, { frameBytesMax: 100 });
        const read = cutAtRandom(bytes, seededRandom(seed)).flatMap((chunk) => decoder.push(chunk));
        assert.equal(decoder.isMidFrame, false);
        // Order holds across channels too: one write is read as one run.
        assert.equal(
          runs(read),
          runs(written.map(({ channel, parts }) => ({ channel, bytes: Buffer.concat(parts) }))),
        );
      }),
    );
  });
}

function runs(pieces: readonly { channel: number; bytes: Buffer }[]): string {
  let current = -1;
  let written = '';
  for (const { channel, bytes } of pieces) {
    if (bytes.length === 0) continue;
    written += channel === current ? bytes.toString('hex') : ` ${channel}:${bytes.toString('hex')}`;
    current = channel;
  }
  return written;
}

void test('trap 4: the header of a stream waits for the first byte of the first reply or log line', () => {
  const encoder = new MultiplexEncoder('stream');
  assert.deepEqual(encoder.frame(0, []), []);
  assert.equal(hex(encoder.frame(0, [text('\n+\n')])), 'ffffffffff000203fe0a2b0a');
  assert.equal(hex(encoder.frame(0, [text('\n+\n')])), '0a2b0a', 'and does not come again');
});

void test('trap 14: without multiplexing there is no log channel', () => {
  assert.deepEqual(new MultiplexEncoder('none').frame(0x4c, [text('\x04x\n')]), []);
});
