// The channels that a server's output carries from its first reply on (never a client's): reading and writing them.
//
//     packet   4C 00000009 "04 a line LF"   00 00000003 "LF + LF"           channel, length in 4 bytes big-endian, payload
//     stream   FF FF FF FF FF 00 02 03 FE   once, then plain bytes of channel 0
//              03 FE 00 4C  switches to channel 4C     03 FE 01  is a byte 03 (what follows it is plain again)
//
// Defined by Dovecot in src/lib/istream-multiplex.c.
// The rules: frames are not rows, lines or replies; everything may be cut anywhere, also inside a header or a sequence; payload is passed on
// as it is, in slices, and only headers and escapes are made here.
import { WireFault } from '../../ports/wire-fault.js';

/** How a server marks the channels: not at all, by packets with a length, or by sequences in a stream. */
export type Framing = 'none' | 'packet' | 'stream';

/** Bytes of one channel, never empty; a slice of the chunk. */
export interface ChannelBytes {
  channel: number;
  bytes: Buffer;
}

/** Takes the channels apart. One for each transport, from the first byte behind the handshake on. */
export interface MultiplexDecoder {
  /** Throws WireFault bad-frame; what came before it in the same chunk is lost with the transport. */
  push(chunk: Buffer): ChannelBytes[];
  /** Bytes held: of a header or a sequence, at most 8. */
  readonly pendingBytes: number;
  /** Whether the peer still owes bytes of a frame, a header or a sequence that it began. */
  readonly isMidFrame: boolean;
  /** At the end of the input. Throws WireFault truncated inside a frame or a sequence. */
  end(): void;
}

export interface FrameLimits {
  /** Payload bytes of a packet. Nothing is held, so this only notices that the peer lost its framing. */
  frameBytesMax: number;
}

/** The channel of replies. */
export const outputChannel = 0;
/** The channel of log lines, `L`. */
export const logChannel = 0x4c;

/** The bytes that begin a stream; the last two of them are the sequence that announces all else. */
export const streamHeader: readonly number[] = [0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x02, 0x03, 0xfe];

const packetHeaderBytes = 5;
const sequence = Buffer.of(0x03, 0xfe);

/** The framing of a minor that both sides announced at least (the smaller one of theirs). */
export function framingOf(minor: number): Framing {
  return minor < 1 ? 'none' : minor < 4 ? 'packet' : 'stream';
}

/** A decoder that stands at the first byte behind the last plain go-ahead. */
export function createMultiplexDecoder(framing: Framing, limits: FrameLimits): MultiplexDecoder {
  switch (framing) {
    case 'none':
      return createPassing();
    case 'packet':
      return new PacketDecoder(limits.frameBytesMax);
    case 'stream':
      return createStreamDecoder();
    default:
      return framing satisfies never;
  }
}

function createPassing(): MultiplexDecoder {
  return {
    pendingBytes: 0,
    isMidFrame: false,
    push: (chunk) => (chunk.length === 0 ? [] : [{ channel: outputChannel, bytes: chunk }]),
    end() {},
  };
}

/** A class, so that those of all upstreams have one shape. */
class PacketDecoder implements MultiplexDecoder {
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

  end(): void {
    if (this.isMidFrame) throw new WireFault('truncated', 'the input ended inside a frame');
  }
}

/** Where in a stream the next byte stands: in its header, in data, or behind 03, 03 FE, 03 FE 00. */
type StreamAt = 'header' | 'data' | 'after-03' | 'after-03-fe' | 'after-03-fe-00';

const heldBytes: Record<Exclude<StreamAt, 'header'>, number> = {
  data: 0,
  'after-03': 1,
  'after-03-fe': 2,
  'after-03-fe-00': 3,
};

function createStreamDecoder(): MultiplexDecoder {
  let at: StreamAt = 'header';
  let headerBytes = 0;
  let channel = outputChannel;

  return {
    get pendingBytes() {
      return at === 'header' ? headerBytes : heldBytes[at];
    },
    get isMidFrame() {
      return at === 'header' ? headerBytes > 0 : at !== 'data';
    },
    push(chunk) {
      const events: ChannelBytes[] = [];
      const emit = (bytes: Buffer): void => {
        if (bytes.length > 0) events.push({ channel, bytes });
      };
      let from = 0;
      while (from < chunk.length) {
        const byte = chunk[from];
        switch (at) {
          case 'header':
            if (byte !== streamHeader[headerBytes])
              throw new WireFault('bad-frame', 'not the header of a stream');
            headerBytes += 1;
            from += 1;
            if (headerBytes === streamHeader.length) at = 'data';
            break;
          case 'data': {
            const found = chunk.indexOf(sequence, from);
            if (found >= 0) {
              const after = chunk[found + 2];
              // The 03 of a literal is the byte itself, so it leaves in one slice with what stands before it.
              emit(chunk.subarray(from, after === 0x01 ? found + 1 : found));
              from = after === 0x01 ? found + 3 : found + 2;
              at = after === 0x01 ? 'data' : 'after-03-fe';
            } else {
              const is03Last = chunk[chunk.length - 1] === 0x03;
              emit(chunk.subarray(from, is03Last ? -1 : chunk.length));
              from = chunk.length;
              if (is03Last) at = 'after-03';
            }
            break;
          }
          case 'after-03':
            if (byte === 0xfe) {
              at = 'after-03-fe';
              from += 1;
            } else {
              emit(Buffer.of(0x03));
              at = 'data';
            }
            break;
          case 'after-03-fe':
            if (byte === 0x00) {
              at = 'after-03-fe-00';
            } else if (byte === 0x01) {
              emit(Buffer.of(0x03));
              at = 'data';
            } else {
              throw new WireFault('bad-frame', 'an unknown sequence in a stream');
            }
            from += 1;
            break;
          case 'after-03-fe-00':
            channel = byte ?? channel;
            at = 'data';
            from += 1;
            break;
          default:
            at satisfies never;
        }
      }
      return events;
    },
    end() {
      if (at === 'header' ? headerBytes > 0 : at !== 'data') {
        throw new WireFault('truncated', 'the input ended inside a sequence');
      }
    },
  };
}

/** Puts the channels together. One for each transport, from the first reply or log line on. */
export interface MultiplexEncoder {
  /**
   * What to write so that `parts` arrive on `channel` (0 to 255), in this order. Nothing for no bytes. Without framing
   * there is no channel but 0: what is for another one is dropped, as Dovecot drops its log.
   */
  frame(channel: number, parts: readonly Buffer[]): Buffer[];
}

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
