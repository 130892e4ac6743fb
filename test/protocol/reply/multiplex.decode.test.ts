import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Framing } from '../../../src/protocol/minors.js';
import { createMultiplexDecoder, logChannel, outputChannel } from '../../../src/protocol/reply/multiplex.js';
import { LogDecoder, ReplyDecoder } from '../../../src/protocol/reply/reply.js';
import { chunkings } from '../../kit/chunkings.js';

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
  if (decoder.isMidFrame) throw new Error('mid frame');
  return channels;
}

function decodeHex(framing: Framing, hex: string): Map<number, string> {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  let first: Map<number, string> | undefined;
  for (const { name, chunks } of chunkings(bytes)) {
    const channels = decode(framing, chunks);
    first ??= channels;
    assert.deepEqual(channels, first, name);
  }
  return first ?? new Map();
}

void test('none: all is channel 0', () => {
  assert.deepEqual(decodeHex('none', '00 03fe ff'), new Map([[0, '0003feff']]));
});

void test('packet: payload by channel, and empty frames are nothing', () => {
  assert.deepEqual(
    decodeHex('packet', '00 00000002 6109  4c 00000001 0a  00 00000000  00 00000001 0a  07 00000001 ff'),
    new Map([
      [0, '61090a'],
      [0x4c, '0a'],
      [7, 'ff'],
    ]),
  );
});

void test('packet: payload is a slice of the chunk', () => {
  const chunk = Buffer.from('0000000002610900000000010a', 'hex');
  const events = createMultiplexDecoder('packet', limits).push(chunk);
  assert.deepEqual(
    events.map(({ bytes }) => [bytes.buffer === chunk.buffer, bytes.byteOffset - chunk.byteOffset]),
    [
      [true, 5],
      [true, 12],
    ],
  );
});

// bounds.frameBytes
void test('packet: a frame above frameBytesMax', () => {
  const longest = `00 000003e8 ${'61'.repeat(1000)}`;
  assert.equal(decodeHex('packet', longest).get(0)?.length, 2000);
  for (const hex of ['00000003e9', 'ffffffffff', header]) {
    for (const { name, chunks } of chunkings(Buffer.from(hex, 'hex'))) {
      assert.throws(() => decode('packet', chunks), { name: 'WireFault', code: 'bad-frame' }, name);
    }
  }
});

void test('stream: data, switches and a literal 03', () => {
  assert.deepEqual(
    decodeHex(
      'stream',
      `${header} 61 03 62 0303 63 03fe01fe 03fe004c 04ff0a 03fe0000 0a2b0a 03fe01 03fe0100`,
    ),
    new Map([
      [0, '61036203036303fe0a2b0a030300'],
      [0x4c, '04ff0a'],
    ]),
  );
  assert.deepEqual(
    decodeHex('stream', `${header} 0303fe01fe 0303fe004c 61`),
    new Map([
      [0, '0303fe03'],
      [0x4c, '61'],
    ]),
  );
});

void test('stream: the header comes first and is exactly that', () => {
  for (let at = 0; at < 9; at += 1) {
    const bytes = Buffer.from(`${header}61`, 'hex');
    bytes.writeUInt8(0x2b, at);
    for (const { name, chunks } of chunkings(bytes)) {
      assert.throws(
        () => decode('stream', chunks),
        { name: 'WireFault', code: 'bad-frame' },
        `${at} ${name}`,
      );
    }
  }
});

void test('stream: a sequence that is none', () => {
  for (const { name, chunks } of chunkings(Buffer.from(`${header}6103fe0261`, 'hex'))) {
    assert.throws(() => decode('stream', chunks), { name: 'WireFault', code: 'bad-frame' }, name);
  }
});

const isMidFrame = (error: unknown): boolean => error instanceof Error && error.message === 'mid frame';

void test('the end inside a frame, a header or a sequence', () => {
  for (const [framing, hex] of [
    ['packet', '00'],
    ['packet', '00000000'],
    ['packet', '00 00000002 61'],
    ['packet', '00 00000001'],
    ['stream', 'ff'],
    ['stream', 'ffffffffff000203'],
    ['stream', `${header}6103`],
    ['stream', `${header}03fe`],
    ['stream', `${header}03fe00`],
  ] as const) {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    for (const { name, chunks } of chunkings(bytes)) {
      assert.throws(() => decode(framing, chunks), isMidFrame, `${hex} ${name}`);
    }
  }
  for (const framing of ['none', 'packet', 'stream'] as const) decode(framing, []);
  decodeHex('stream', header);
});

void test('trap 6: packets are not rows, replies or lines', () => {
  // A cell, an escape, a log line, the status and the two LF around it, all cut, with the other channel in between.
  const frames = [
    '0:ce',
    '76:\x04half',
    '0:ll\x01',
    '76: a line',
    '0:t\t',
    '0:\n',
    '76:\n',
    '0:-NO',
    '0:PERM',
    '0:\n',
  ];
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
    assert.deepEqual(
      decodeHex(framing, hex),
      new Map([
        [logChannel, '04610a03620a'],
        [outputChannel, '0a2b0a0a2b0a'],
      ]),
    );
  }
});
