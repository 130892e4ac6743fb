import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Framing, ofMinor } from '../../../src/doveadm/protocol/minors.js';
import {
  type ChannelBytes,
  createMultiplexDecoder,
  joinPacket,
  logChannel,
  MultiplexEncoder,
  outputChannel,
} from '../../../src/doveadm/reply/multiplex.js';
import { LogDecoder, ReplyDecoder } from '../../../src/doveadm/reply/reply.js';
import { chunkings, cutAtRandom, seededRandom } from '../../kit/plain/chunkings.js';
import { connectionsOf, segmentsOf, type Vector, vectorsOf } from '../../kit/plain/vectors.js';

const header = 'ffffffffff000203fe';
const limits = { frameBytesMax: 1000 };

/** What each channel got, in hex. */
function decode(framing: Framing, chunks: readonly Buffer[]): Map<number, string> {
  const decoder = createMultiplexDecoder(framing, limits);
  const channels = new Map<number, string>();
  for (const chunk of chunks) {
    for (const { channel, bytes } of decoder.push(chunk)) {
      assert.ok(bytes.length > 0);
      channels.set(channel, (channels.get(channel) ?? '') + bytes.toString('hex'));
    }
  }
  assert.ok(!decoder.isMidFrame, 'it ends within a frame');
  return channels;
}

function decodeHex(framing: Framing, hex: string): Readonly<Record<number, string>> {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  let first: Map<number, string> | undefined;
  for (const { name, chunks } of chunkings(bytes)) {
    const channels = decode(framing, chunks);
    first ??= channels;
    assert.deepEqual(channels, first, name);
  }
  return Object.fromEntries(first ?? []);
}

void test('none: all is channel 0', () => {
  assert.deepEqual(decodeHex('none', '00 03fe ff'), { 0: '0003feff' });
  assert.deepEqual(createMultiplexDecoder('none', limits).push(Buffer.alloc(0)), []);
});

void test('packet: payload by channel, and empty frames are nothing', () => {
  assert.deepEqual(
    decodeHex('packet', '00 00000002 6109  4c 00000001 0a  00 00000000  00 00000001 0a  07 00000001 ff'),
    { 0: '61090a', 0x4c: '0a', 7: 'ff' },
  );
});

void test('packet: payload is a slice of the chunk', () => {
  const chunk = Buffer.from('0000000002610900000000010a', 'hex');
  const events = createMultiplexDecoder('packet', limits).push(chunk);
  const slices = events.map(({ bytes }) => [
    bytes.buffer === chunk.buffer,
    bytes.byteOffset - chunk.byteOffset,
  ]);
  assert.deepEqual(slices, [
    [true, 5],
    [true, 12],
  ]);
});

// bounds.frameBytes
void test('packet: a frame above frameBytesMax', () => {
  const longest = `00 000003e8 ${'61'.repeat(1000)}`;
  assert.equal(decodeHex('packet', longest)[0]?.length, 2000);
  for (const hex of ['00000003e9', 'ffffffffff', header]) {
    for (const { name, chunks } of chunkings(Buffer.from(hex, 'hex'))) {
      const message = 'a frame has more than 1000 bytes';
      assert.throws(() => decode('packet', chunks), { name: 'WireFault', code: 'bad-frame', message }, name);
    }
  }
});

void test('stream: data, switches and a literal 03', () => {
  assert.deepEqual(
    decodeHex(
      'stream',
      `${header} 61 03 62 0303 63 03fe01fe 03fe004c 04ff0a 03fe0000 0a2b0a 03fe01 03fe0100`,
    ),
    { 0: '61036203036303fe0a2b0a030300', 0x4c: '04ff0a' },
  );
  assert.deepEqual(decodeHex('stream', `${header} 0303fe01fe 0303fe004c 61`), { 0: '0303fe03', 0x4c: '61' });
});

void test('stream: the header comes first and is exactly that', () => {
  for (let at = 0; at < 9; at += 1) {
    const bytes = Buffer.from(`${header}61`, 'hex');
    bytes.writeUInt8(0x2b, at);
    for (const { name, chunks } of chunkings(bytes)) {
      const fault = { name: 'WireFault', code: 'bad-frame', message: 'not the header of a stream' };
      assert.throws(() => decode('stream', chunks), fault, `${at} ${name}`);
    }
  }
});

void test('stream: a sequence that is none', () => {
  for (const { name, chunks } of chunkings(Buffer.from(`${header}6103fe0261`, 'hex'))) {
    const fault = { name: 'WireFault', code: 'bad-frame', message: 'an unknown sequence in a stream' };
    assert.throws(() => decode('stream', chunks), fault, name);
  }
});

void test('stream: payload is slices of the chunk, the 03 of a literal with what comes before it', () => {
  const chunk = Buffer.from(`${header}6103fe016203fe004c63`, 'hex');
  const events = createMultiplexDecoder('stream', limits).push(chunk);
  const slices = events.map(({ channel, bytes }) => [
    channel,
    bytes.toString('latin1'),
    bytes.buffer === chunk.buffer,
  ]);
  assert.deepEqual(slices, [
    [0, 'a\x03', true],
    [0, 'b', true],
    [0x4c, 'c', true],
  ]);
});

void test('the end inside a frame, a header or a sequence', () => {
  // [framing, bytes, how many of them are held]
  for (const [framing, hex, held] of [
    ['packet', '00', 1],
    ['packet', '00000000', 4],
    ['packet', '00 00000002 61', 0],
    ['packet', '00 00000001', 0],
    ['stream', 'ff', 1],
    ['stream', 'ffffffffff000203', 8],
    ['stream', `${header}6103`, 1],
    ['stream', `${header}03fe`, 2],
    ['stream', `${header}03fe00`, 3],
  ] as const) {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    for (const { name, chunks } of chunkings(bytes)) {
      const decoder = createMultiplexDecoder(framing, limits);
      for (const chunk of chunks) decoder.push(chunk);
      assert.deepEqual([decoder.isMidFrame, decoder.pendingBytes], [true, held], `${hex} ${name}`);
    }
  }
  for (const framing of ['none', 'packet', 'stream'] as const) decode(framing, []);
  decodeHex('stream', header);
});

void test('trap 6: packets are not rows, replies or lines', () => {
  // A cell, an escape, a log line, the status and the two LF around it, all cut, with the other channel in between.
  const frames = '0:ce|76:\x04half|0:ll\x01|76: a line|0:t\t|0:\n|76:\n|0:-NO|0:PERM|0:\n'.split('|');
  const bytes = Buffer.concat(
    frames.map((frame) => {
      const [channel, payload = ''] = frame.split(':');
      return Buffer.concat([Buffer.of(Number(channel), 0, 0, 0, payload.length), Buffer.from(payload)]);
    }),
  );
  for (const { name, chunks } of chunkings(bytes)) {
    const decoder = createMultiplexDecoder('packet', limits);
    const replies = new ReplyDecoder({ statusBytesMax: 100 });
    const logs = new LogDecoder({ lineBytesMax: 100 });
    let body = '';
    const codes: string[] = [];
    const lines: string[] = [];
    for (const frame of chunks.flatMap((chunk) => decoder.push(chunk))) {
      if (frame.channel === logChannel) lines.push(...logs.push(frame.bytes).map(({ text }) => text));
      if (frame.channel !== outputChannel) continue;
      for (const event of replies.push(frame.bytes)) {
        if (event.kind === 'body') body += event.bytes.toString();
        else codes.push(event.status.code);
      }
    }
    assert.deepEqual([body, codes, lines], ['cell\x01t\t', ['NOPERM'], ['half a line']], name);
  }
});

void test('trap 14: log lines come unasked, also before the first reply and between two', () => {
  for (const [framing, hex] of [
    ['packet', '4c00000003 04610a 0000000003 0a2b0a 4c00000003 03620a 0000000003 0a2b0a'],
    ['stream', `${header} 03fe004c 04610a 03fe0000 0a2b0a 03fe004c 03620a 03fe0000 0a2b0a`],
  ] as const) {
    assert.deepEqual(decodeHex(framing, hex), {
      [logChannel]: '04610a03620a',
      [outputChannel]: '0a2b0a0a2b0a',
    });
  }
});

const hexOfEncode = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString('hex');
const textOfEncode = (value: string): Buffer => Buffer.from(value, 'latin1');

void test('none, trap 14: channel 0 as it is, and no log channel', () => {
  const encoder = new MultiplexEncoder('none');
  const part = textOfEncode('a\t');
  assert.deepEqual(encoder.frame(0, [part, textOfEncode('')]), [part]);
  assert.deepEqual(encoder.frame(0x4c, [part]), []);
});

void test('packet: one header for one write', () => {
  const encoder = new MultiplexEncoder('packet');
  const [first, second] = [textOfEncode('a\t'), textOfEncode('\n+\n')];
  const framed = encoder.frame(0, [first, textOfEncode(''), second]);
  assert.equal(hexOfEncode(framed), '000000000561090a2b0a');
  assert.equal(framed[1], first);
  assert.equal(framed[2], second);
  assert.equal(hexOfEncode(encoder.frame(0x4c, [textOfEncode('\x04x\n')])), '4c0000000304780a');
  assert.deepEqual(encoder.frame(0, []), []);
  assert.deepEqual(encoder.frame(0, [textOfEncode('')]), []);
});

void test('a packet of small parts is one buffer, the same bytes', () => {
  for (const parts of [[], ['a'], ['\n', '', '+\n'], ['12345678', '123456789', 'x']]) {
    const all = parts.map(textOfEncode);
    const packet = joinPacket(0x4c, all, parts.join('').length);
    const framed = new MultiplexEncoder('packet').frame(0x4c, all);
    assert.equal(packet.toString('hex'), hexOfEncode(framed) || '4c00000000');
  }
});

void test('stream, trap 4: the header once, before the first byte; a switch when the channel changes', () => {
  const encoder = new MultiplexEncoder('stream');
  assert.deepEqual(encoder.frame(0, [textOfEncode('')]), []);
  assert.equal(hexOfEncode(encoder.frame(0, [textOfEncode('a')])), 'ffffffffff000203fe61');
  assert.equal(hexOfEncode(encoder.frame(0, [textOfEncode('b')])), '62');
  assert.equal(hexOfEncode(encoder.frame(0x4c, [textOfEncode('c')])), '03fe004c63');
  assert.deepEqual(encoder.frame(0, []), []);
  assert.equal(hexOfEncode(encoder.frame(0x4c, [textOfEncode('d')])), '64');
  assert.equal(hexOfEncode(encoder.frame(0, [textOfEncode('e')])), '03fe000065');
});

void test('stream: a first byte for another channel comes behind the header', () => {
  const framed = hexOfEncode(new MultiplexEncoder('stream').frame(0x4c, [textOfEncode('x')]));
  assert.equal(framed, 'ffffffffff000203fe03fe004c78');
});

void test('stream: 03 FE and a 03 at the end are escaped, other 03 are not', () => {
  const encode = (value: string): string =>
    hexOfEncode(new MultiplexEncoder('stream').frame(0, [textOfEncode(value)])).slice(18);
  assert.equal(encode('a\x03b'), '610362');
  assert.equal(encode('a\x03\xfeb'), '6103fe01fe62');
  assert.equal(encode('\x03\x03\xfe\x03\xfe'), '0303fe01fe03fe01fe');
  assert.equal(encode('\x03'), '03fe01');
});

void test('stream: payload that needs no escape is not copied', () => {
  const part = textOfEncode('plain \x03 and \xfe');
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

// Every captured reply, framed anew in both ways, arrives on the same channels.
const limitsOfVectors = { frameBytesMax: 16_777_216 };
/** Where every cut would take long, this many seeded cuttings in many pieces. */
const randomCuttings = 20;

for (const role of ['server', 'client'] as const) {
  const replies = vectorsOf(role).flatMap(capturedOf);
  for (const framing of ['packet', 'stream'] satisfies Framing[]) {
    void test(`${replies.length} transports of real ${role}s, framed as ${framing}`, () => {
      assert.ok(replies.length > 200);
      for (const { name, frames } of replies) checkFramed(name, frames, framing);
    });
  }
}

/** The frames behind the handshake of each connection that has any. */
function capturedOf(vector: Vector): { name: string; frames: ChannelBytes[] }[] {
  return connectionsOf(vector).flatMap((steps) => {
    const bytes = Buffer.concat(segmentsOf(steps, 's2c').map((segment) => segment.bytes));
    const greeting = /^(VERSION[^\n]*\n)?(-\n)?\+\n/.exec(bytes.toString('latin1'))?.[0];
    if (greeting === undefined || bytes.length === greeting.length) return [];
    const minor = Math.min(vector.minor ?? 0, vector.server_minor);
    const decoder = createMultiplexDecoder(ofMinor(minor).framing, limitsOfVectors);
    return [{ name: vector.name, frames: decoder.push(bytes.subarray(greeting.length)) }];
  });
}

function checkFramed(name: string, frames: readonly ChannelBytes[], framing: Framing): void {
  const expected = channelsOf(frames);
  const encoder = new MultiplexEncoder(framing);
  const bytes = Buffer.concat(frames.flatMap((frame) => encoder.frame(frame.channel, [frame.bytes])));
  const cuttings =
    bytes.length < 400
      ? [...chunkings(bytes)].map(({ chunks }) => chunks)
      : Array.from({ length: randomCuttings }, (_, seed) => cutAtRandom(bytes, seededRandom(seed)));
  for (const chunks of cuttings) {
    const decoder = createMultiplexDecoder(framing, limitsOfVectors);
    const read = chunks.flatMap((chunk) => decoder.push(chunk));
    assert.equal(decoder.isMidFrame, false);
    assert.deepEqual(channelsOf(read), expected, name);
  }
}

function channelsOf(frames: readonly ChannelBytes[]): Map<number, string> {
  const channels = new Map<number, string>();
  for (const { channel, bytes } of frames) {
    channels.set(channel, (channels.get(channel) ?? '') + bytes.toString('latin1'));
  }
  return channels;
}
