// Owns the writing of channels, as a server does it from its first reply on. The bytes are those of multiplex-decode.
// Does not know sockets: the parts of one call are meant for one write.
// The rule: payload is passed on as it is, in slices; only headers and escapes are made here.
import { type Framing, outputChannel, streamHeader } from './multiplex-decode.js';

/** Puts the channels together. One for each transport, from the first reply or log line on. */
export interface MultiplexEncoder {
  /**
   * What to write so that `parts` arrive on `channel` (0 to 255), in this order. Nothing for no bytes. Without framing
   * there is no channel but 0: what is for another one is dropped, as Dovecot drops its log.
   */
  frame(channel: number, parts: readonly Buffer[]): Buffer[];
}

const packetHeaderBytes = 5;
const sequence = Buffer.of(0x03, 0xfe);

/** An encoder that has written nothing yet. */
export function createMultiplexEncoder(framing: Framing): MultiplexEncoder {
  switch (framing) {
    case 'none':
      return { frame: (channel, parts) => (channel === outputChannel ? filled(parts) : []) };
    case 'packet':
      return { frame: framePacket };
    case 'stream':
      return createStreamEncoder();
    default:
      return framing satisfies never;
  }
}

function filled(parts: readonly Buffer[]): Buffer[] {
  return parts.filter((part) => part.length > 0);
}

function framePacket(channel: number, parts: readonly Buffer[]): Buffer[] {
  let length = 0;
  for (const part of parts) length += part.length;
  // A packet of no bytes is legal, and no server was ever seen to send one.
  if (length === 0) return [];
  const header = Buffer.allocUnsafe(packetHeaderBytes);
  header.writeUInt8(channel, 0);
  header.writeUInt32BE(length, 1);
  return [header, ...filled(parts)];
}

/** The packet of `parts`, of `length` bytes together, as one buffer: for what is so short that a copy costs less than parts. */
export function joinPacket(channel: number, parts: readonly Buffer[], length: number): Buffer {
  const packet = Buffer.allocUnsafe(packetHeaderBytes + length);
  packet[0] = channel;
  packet.writeUInt32BE(length, 1);
  let at = packetHeaderBytes;
  for (const part of parts) {
    // A status line and its LFs are a byte or two, for which a call of native code is dear.
    if (part.length > 8) packet.set(part, at);
    else for (let index = 0; index < part.length; index += 1) packet[at + index] = part[index] ?? 0;
    at += part.length;
  }
  return packet;
}

function createStreamEncoder(): MultiplexEncoder {
  let isBegun = false;
  let current = outputChannel;
  return {
    frame(channel, parts) {
      const payload = filled(parts);
      if (payload.length === 0) return [];
      const framed: Buffer[] = [];
      if (!isBegun) framed.push(Buffer.from(streamHeader));
      isBegun = true;
      if (channel !== current) framed.push(Buffer.of(0x03, 0xfe, 0x00, channel));
      current = channel;
      for (const part of payload) appendEscaped(framed, part);
      return framed;
    },
  };
}

/** 03 FE becomes 03 FE 01 FE. A 03 at the end is escaped too: what comes next is not known yet. */
function appendEscaped(framed: Buffer[], part: Buffer): void {
  let from = 0;
  for (;;) {
    const found = part.indexOf(sequence, from);
    if (found < 0) break;
    framed.push(part.subarray(from, found + 1), Buffer.of(0xfe, 0x01));
    from = found + 1;
  }
  framed.push(from === 0 ? part : part.subarray(from));
  if (part[part.length - 1] === 0x03) framed.push(Buffer.of(0xfe, 0x01));
}
