// The oracle's framings: bytes captured from 2.4.5 and 2.3.19.1, and every piece cut at every place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createDemux,
  createFramer,
  createLogCollector,
  encodeLog,
  type Framing,
  logChannel,
  replyChannel,
} from '../plain/framing.js';

/** The bytes of each channel, after all. */
function demuxAll(framing: Framing, chunks: readonly Buffer[]): Record<number, string> {
  const demux = createDemux(framing);
  const channels: Record<number, string> = {};
  for (const chunk of chunks) {
    for (const { channel, bytes } of demux.push(chunk)) {
      channels[channel] = (channels[channel] ?? '') + bytes.toString('latin1');
    }
  }
  assert.equal(demux.isInside, false);
  return channels;
}

const captured: { name: string; framing: Framing; wire: string; channels: Record<number, string> }[] = [
  {
    name: 'STREAM with both channels, 2.4.5',
    framing: 'stream',
    wire: "\xff\xff\xff\xff\xff\0\x02\x03\xfe\x03\xfe\0L\x04doveadm: doesn't exist\n\x03\xfe\0\0\n-NOUSER\n",
    channels: { [logChannel]: "\x04doveadm: doesn't exist\n", [replyChannel]: '\n-NOUSER\n' },
  },
  {
    name: 'STREAM with 03 alone and 03 FE in the text, 2.4.5',
    framing: 'stream',
    wire: '\xff\xff\xff\xff\xff\0\x02\x03\xfe\x02\x03\x04 prefix[\x03\xfe\x01\xfe] \x03\x03\xfe\x01\x03\xfe\x01',
    channels: { [replyChannel]: '\x02\x03\x04 prefix[\x03\xfe] \x03\x03\x03' },
  },
  {
    name: 'PACKET with a log line, 2.3.19.1',
    framing: 'packet',
    wire: 'L\0\0\0\x05\x04abc\n\0\0\0\0\x09\n-NOUSER\n',
    channels: { [logChannel]: '\x04abc\n', [replyChannel]: '\n-NOUSER\n' },
  },
];

for (const { name, framing, wire, channels } of captured) {
  void test(`demux: ${name}, at every cut`, () => {
    const bytes = Buffer.from(wire, 'latin1');
    assert.deepEqual(demuxAll(framing, [bytes]), channels);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      assert.deepEqual(demuxAll(framing, [bytes.subarray(0, cut), bytes.subarray(cut)]), channels);
    }
    const single = Array.from(bytes, (byte) => Buffer.from([byte]));
    assert.deepEqual(demuxAll(framing, single), channels);
  });
}

void test('what the framer writes is demuxed to the same channels, also with escapes across pieces', () => {
  const pieces: [number, string][] = [
    [replyChannel, 'a\x03'],
    [replyChannel, '\xfe\x03\xfe\x01'],
    [logChannel, '\x04\x03\xfe\0L\n'],
    [replyChannel, '\x03\x03\xfe\0\n+\n'],
    [replyChannel, ''],
  ];
  for (const framing of ['packet', 'stream'] as const) {
    const frame = createFramer(framing);
    const wire = Buffer.concat(pieces.map(([channel, text]) => frame(channel, Buffer.from(text, 'latin1'))));
    assert.deepEqual(
      demuxAll(
        framing,
        Array.from(wire, (byte) => Buffer.from([byte])),
      ),
      {
        [replyChannel]: 'a\x03\xfe\x03\xfe\x01\x03\x03\xfe\0\n+\n',
        [logChannel]: '\x04\x03\xfe\0L\n',
      },
    );
  }
});

void test('demux refuses what no server sends, and knows when it is inside something', () => {
  assert.throws(() => createDemux('stream').push(Buffer.from('+\n')), /no stream header/);
  const stream = createDemux('stream');
  stream.push(Buffer.from('\xff\xff\xff\xff\xff\0\x02\x03\xfe\x03', 'latin1'));
  assert.equal(stream.isInside, true);
  assert.throws(() => stream.push(Buffer.from([0xfe, 0x07])), /stream escape 7/);
  const packet = createDemux('packet');
  packet.push(Buffer.from([0, 0, 0, 0, 2, 0x0a]));
  assert.equal(packet.isInside, true);
  packet.push(Buffer.from('+'));
  assert.equal(packet.isInside, false);
});

void test('log lines in pieces', () => {
  const collect = createLogCollector();
  const bytes = Buffer.concat([encodeLog('error', 'ünï'), encodeLog('debug', '')]);
  const seen = Array.from(bytes, (byte) => collect(Buffer.from([byte]))).flat();
  assert.deepEqual(seen, [
    { type: 'error', text: 'ünï' },
    { type: 'debug', text: '' },
  ]);
  assert.throws(() => collect(Buffer.from('\x09text\n')), /log line of type 9/);
});
