// Every captured reply, framed anew in both ways, arrives on the same channels.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Framing } from '../../../src/protocol/minors.js';
import { ofMinor } from '../../../src/protocol/minors.js';
import {
  type ChannelBytes,
  createMultiplexDecoder,
  MultiplexEncoder,
} from '../../../src/protocol/reply/multiplex.js';
import { chunkings, cutAtRandom, seededRandom } from '../../kit/chunkings.js';
import { connectionsOf, segmentsOf, type Vector, vectorsOf } from '../../kit/vectors.js';

const limits = { frameBytesMax: 16_777_216 };
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
    const decoder = createMultiplexDecoder(ofMinor(minor).framing, limits);
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
    const decoder = createMultiplexDecoder(framing, limits);
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
