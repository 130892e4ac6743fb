// The channels that a server's output carries from its first reply on (never a client's).
//
//     packet   4C 00000009 "04 a line LF"   00 00000003 "LF + LF"           channel, length in 4 bytes big-endian, payload
//     stream   FF FF FF FF FF 00 02 03 FE   once, then plain bytes of channel 0
//              03 FE 00 4C  switches to channel 4C     03 FE 01  is a byte 03 (what follows it is plain again)
//
// Defined by Dovecot in src/lib/istream-multiplex.c. Frames are not rows, lines or replies. Everything may be cut anywhere, also inside a
// header or a sequence. Payload is passed on in slices; only headers and escapes are made here.

import { WireFault } from '../../host/ports/faults.js';
import type { Framing } from '../protocol/minors.js';

/** Bytes of one channel, never empty; a slice of the chunk. */
export interface ChannelBytes {
  channel: number;
  bytes: Buffer;
}

/** Splits the channels. One for each transport, from the first byte after the handshake on. */
export interface MultiplexDecoder {
  /** Throws WireFault bad-frame; earlier bytes of the chunk are lost with the transport. */
  push(chunk: Buffer): ChannelBytes[];
  /** Held bytes of a header or a sequence, at most 8. */
  readonly pendingBytes: number;
  /** Whether a frame, a header or a sequence is incomplete. */
  readonly isMidFrame: boolean;
  /** False: the header of the stream has not come whole yet. A server sends it at any time before its first bytes. */
  readonly isBegun: boolean;
}

export const outputChannel = 0;
export const logChannel = 0x4c;

const packetHeaderBytes = 5;
/** Begins every escape and switch in a stream. */
const sequence = Buffer.of(0x03, 0xfe);
const streamHeader = Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x02, ...sequence);

/**
 * A decoder for the first byte after the last plain go-ahead. `frameBytesMax`: payload bytes of a packet; as nothing is held, this only
 * detects a peer that lost its framing.
 */
export function createMultiplexDecoder(
  framing: Framing,
  { frameBytesMax }: { frameBytesMax: number },
): MultiplexDecoder {
  switch (framing) {
    case 'none':
      return {
        pendingBytes: 0,
        isMidFrame: false,
        isBegun: true,
        push: (chunk) => (chunk.length === 0 ? [] : [{ channel: outputChannel, bytes: chunk }]),
      };
    case 'packet':
      return new PacketDecoder(frameBytesMax);
    case 'stream':
      return new StreamDecoder();
    default:
      return framing satisfies never;
  }
}

class PacketDecoder implements MultiplexDecoder {
  readonly isBegun = true;
  readonly #frameBytesMax: number;
  readonly #header = Buffer.alloc(packetHeaderBytes);
  #headerBytes = 0;
  #channel = 0;
  #payloadLeft = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  get pendingBytes(): number {
    return this.#headerBytes;
  }

  get isMidFrame(): boolean {
    return this.#headerBytes > 0 || this.#payloadLeft > 0;
  }

  push(chunk: Buffer): ChannelBytes[] {
    const events: ChannelBytes[] = [];
    const header = this.#header;
    let from = 0;
    while (from < chunk.length) {
      if (this.#payloadLeft > 0) {
        const bytes = chunk.subarray(from, from + this.#payloadLeft);
        events.push({ channel: this.#channel, bytes });
        this.#payloadLeft -= bytes.length;
        from += bytes.length;
        continue;
      }
      const isWhole = this.#headerBytes === 0 && chunk.length - from >= packetHeaderBytes;
      if (!isWhole) {
        const copied = chunk.copy(header, this.#headerBytes, from);
        this.#headerBytes += copied;
        from += copied;
        if (this.#headerBytes < packetHeaderBytes) break;
      }
      const length = isWhole ? chunk.readUInt32BE(from + 1) : header.readUInt32BE(1);
      if (length > this.#frameBytesMax) {
        throw new WireFault('bad-frame', `a frame has more than ${this.#frameBytesMax} bytes`);
      }
      this.#channel = isWhole ? chunk.readUInt8(from) : header.readUInt8(0);
      if (isWhole) from += packetHeaderBytes;
      this.#payloadLeft = length;
      this.#headerBytes = 0;
    }
    return events;
  }
}

class StreamDecoder implements MultiplexDecoder {
  #headerBytes = 0;
  /** The bytes of a sequence so far: none, 03, 03 FE, or 03 FE 00. */
  #sequenceBytes: 0 | 1 | 2 | 3 = 0;
  #channel = outputChannel;

  get pendingBytes(): number {
    return this.#headerBytes < streamHeader.length ? this.#headerBytes : this.#sequenceBytes;
  }

  get isMidFrame(): boolean {
    return this.pendingBytes > 0;
  }

  get isBegun(): boolean {
    return this.#headerBytes === streamHeader.length;
  }

  push(chunk: Buffer): ChannelBytes[] {
    const events: ChannelBytes[] = [];
    const emit = (bytes: Buffer): void => {
      if (bytes.length > 0) events.push({ channel: this.#channel, bytes });
    };
    let from = 0;
    for (; this.#headerBytes < streamHeader.length && from < chunk.length; from += 1) {
      if (chunk[from] !== streamHeader[this.#headerBytes])
        throw new WireFault('bad-frame', 'not the header of a stream');
      this.#headerBytes += 1;
    }
    while (from < chunk.length) {
      const byte = chunk[from];
      switch (this.#sequenceBytes) {
        case 0: {
          const found = chunk.indexOf(sequence, from);
          if (found < 0) {
            const is03Last = chunk[chunk.length - 1] === 0x03;
            emit(chunk.subarray(from, is03Last ? -1 : chunk.length));
            from = chunk.length;
            if (is03Last) this.#sequenceBytes = 1;
          } else if (chunk[found + 2] === 0x01) {
            // The 03 of a literal is the byte itself, so it goes out in one slice with the bytes before it.
            emit(chunk.subarray(from, found + 1));
            from = found + 3;
          } else {
            emit(chunk.subarray(from, found));
            from = found + 2;
            this.#sequenceBytes = 2;
          }
          break;
        }
        case 1:
          if (byte === 0xfe) {
            this.#sequenceBytes = 2;
            from += 1;
          } else {
            emit(Buffer.of(0x03));
            this.#sequenceBytes = 0;
          }
          break;
        case 2:
          if (byte === 0x01) emit(Buffer.of(0x03));
          else if (byte !== 0x00) throw new WireFault('bad-frame', 'an unknown sequence in a stream');
          this.#sequenceBytes = byte === 0x00 ? 3 : 0;
          from += 1;
          break;
        case 3:
          this.#channel = byte ?? this.#channel;
          this.#sequenceBytes = 0;
          from += 1;
          break;
        default:
          this.#sequenceBytes satisfies never;
      }
    }
    return events;
  }
}

/** Joins the channels. One for each transport, from the first reply or log line on. */
export class MultiplexEncoder {
  readonly #framing: Framing;
  #isBegun = false;
  #current = outputChannel;

  constructor(framing: Framing) {
    this.#framing = framing;
  }

  /**
   * The buffers to write, in one write, so that `parts` arrive on `channel` (0 to 255), in this order. Without bytes it returns none.
   * Without framing only channel 0 exists: other parts are dropped, as Dovecot drops its log.
   */
  frame(channel: number, parts: readonly Buffer[]): Buffer[] {
    const payload = parts.filter((part) => part.length > 0);
    // An empty packet is legal, but no server was ever seen to send one.
    if (payload.length === 0) return [];
    switch (this.#framing) {
      case 'none':
        return channel === outputChannel ? payload : [];
      case 'packet': {
        const header = Buffer.allocUnsafe(packetHeaderBytes);
        header.writeUInt8(channel, 0);
        header.writeUInt32BE(
          payload.reduce((length, part) => length + part.length, 0),
          1,
        );
        return [header, ...payload];
      }
      case 'stream': {
        const framed: Buffer[] = [];
        if (!this.#isBegun) framed.push(Buffer.from(streamHeader));
        this.#isBegun = true;
        if (channel !== this.#current) framed.push(Buffer.of(0x03, 0xfe, 0x00, channel));
        this.#current = channel;
        for (const part of payload) appendEscaped(framed, part);
        return framed;
      }
      default:
        return this.#framing satisfies never;
    }
  }
}

/** The packet of `parts`, of `length` bytes together, as one buffer: for parts so short that a copy is cheaper. */
export function joinPacket(channel: number, parts: readonly Buffer[], length: number): Buffer {
  const packet = Buffer.allocUnsafe(packetHeaderBytes + length);
  packet[0] = channel;
  packet.writeUInt32BE(length, 1);
  let at = packetHeaderBytes;
  for (const part of parts) {
    // A status line and its LFs are a byte or two, for which a native call is expensive.
    if (part.length > 8) packet.set(part, at);
    else for (let index = 0; index < part.length; index += 1) packet[at + index] = part[index] ?? 0;
    at += part.length;
  }
  return packet;
}

/** 03 FE becomes 03 FE 01 FE. A 03 at the end is escaped too, because the next byte is unknown. */
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
