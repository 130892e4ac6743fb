// The doveadm protocol's escapes and its two multiplex framings, written a second time for tests: the scripted Dovecot and the raw
// client stand on this file and on nothing in src/, so that a mistake there is not answered by the same mistake here. Clear before fast.
//
//   none     plain bytes of channel 0; there is no other channel
//   packet   channel byte, length in 4 bytes big-endian, payload                         (minors 1 to 3)
//   stream   FF FF FF FF FF 00 02 03 FE once, then bytes; 03 FE 00 cc switches to channel cc, 03 FE 01 is one 03   (both minors >= 4)

export type Framing = 'none' | 'packet' | 'stream';

/** The channel of replies. */
export const replyChannel = 0x00;
/** The channel of log lines: 'L'. */
export const logChannel = 0x4c;

/** A piece of one channel, as it came. */
export interface Piece {
  channel: number;
  bytes: Buffer;
}

export const logTypes = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'] as const;
export type LogTypeName = (typeof logTypes)[number];

/** A line of the log channel: type byte (1 debug to 6 panic), text, LF. */
export interface LogEntry {
  type: LogTypeName;
  text: string;
}

const streamHeader = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x02, 0x03, 0xfe]);

/** What server and client use when they announced these minors. */
export function framingBetween(clientMinor: number, serverMinor: number): Framing {
  const minor = Math.min(clientMinor, serverMinor);
  if (minor < 1) return 'none';
  return minor < 4 ? 'packet' : 'stream';
}

/** NUL, SOH, TAB, CR and LF become SOH and one of 0 1 t r n; all else stays. */
export function escapeCell(value: string | Buffer): Buffer {
  const text = Buffer.from(value).toString('latin1');
  const escaped = text.replaceAll(/[\0\x01\t\r\n]/g, (byte) => `\x01${escapeLetters[byte] ?? ''}`);
  return Buffer.from(escaped, 'latin1');
}

/** The inverse of escapeCell; SOH before any other byte leaves that byte, as Dovecot does. */
export function unescapeCell(cell: Buffer): Buffer {
  const text = cell.toString('latin1');
  const plain = text.replaceAll(/\x01([^]?)/g, (_, letter: string) => unescapeLetters[letter] ?? letter);
  return Buffer.from(plain, 'latin1');
}

/** Splits a line at TAB and unescapes each field. */
export function splitCells(line: Buffer): Buffer[] {
  return line
    .toString('latin1')
    .split('\t')
    .map((cell) => unescapeCell(Buffer.from(cell, 'latin1')));
}

const escapeLetters: Record<string, string> = { '\0': '0', '\x01': '1', '\t': 't', '\r': 'r', '\n': 'n' };
const unescapeLetters: Record<string, string> = { 0: '\0', 1: '\x01', t: '\t', r: '\r', n: '\n' };

/** Gives the bytes on the wire for the next piece of a channel; without framing only the reply channel has any. */
export function createFramer(framing: Framing): (channel: number, bytes: Buffer) => Buffer {
  let channelNow: number | undefined;
  return (channel, bytes) => {
    switch (framing) {
      case 'none':
        return channel === replyChannel ? bytes : Buffer.alloc(0);
      case 'packet': {
        const head = Buffer.alloc(5);
        head[0] = channel;
        head.writeUInt32BE(bytes.length, 1);
        return Buffer.concat([head, bytes]);
      }
      case 'stream': {
        const parts: Buffer[] = [];
        if (channelNow === undefined) parts.push(streamHeader);
        if (channel !== (channelNow ?? replyChannel)) parts.push(Buffer.from([0x03, 0xfe, 0x00, channel]));
        channelNow = channel;
        return Buffer.concat([...parts, ...escapeStream(bytes)]);
      }
      default:
        return framing satisfies never;
    }
  };
}

/** A 03 needs `FE 01` behind it where FE follows, and at the end, where nobody knows what follows. */
function escapeStream(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(0x03); at !== -1; at = bytes.indexOf(0x03, at + 1)) {
    if (at + 1 < bytes.length && bytes[at + 1] !== 0xfe) continue;
    parts.push(bytes.subarray(from, at + 1), Buffer.from([0xfe, 0x01]));
    from = at + 1;
  }
  parts.push(bytes.subarray(from));
  return parts;
}

/** Takes the wire's bytes cut anywhere, gives pieces of channels in order. Throws an Error on what no server may send. */
export interface Demux {
  push(chunk: Buffer): Piece[];
  /** Whether a packet or an escape has begun and not ended. */
  readonly isInside: boolean;
}

export function createDemux(framing: Framing): Demux {
  switch (framing) {
    case 'none':
      return {
        isInside: false,
        push: (chunk) => (chunk.length > 0 ? [{ channel: replyChannel, bytes: chunk }] : []),
      };
    case 'packet':
      return createPacketDemux();
    case 'stream':
      return createStreamDemux();
    default:
      return framing satisfies never;
  }
}

function createPacketDemux(): Demux {
  const head = Buffer.alloc(5);
  let headBytes = 0;
  let left = 0;
  return {
    get isInside() {
      return headBytes > 0 || left > 0;
    },
    push(chunk) {
      const pieces: Piece[] = [];
      let at = 0;
      while (at < chunk.length) {
        if (left > 0) {
          const bytes = chunk.subarray(at, at + left);
          pieces.push({ channel: head[0] ?? 0, bytes });
          at += bytes.length;
          left -= bytes.length;
        } else {
          if (headBytes === 5) headBytes = 0;
          const copied = chunk.copy(head, headBytes, at, at + 5 - headBytes);
          headBytes += copied;
          at += copied;
          if (headBytes === 5) left = head.readUInt32BE(1);
        }
      }
      if (left === 0 && headBytes === 5) headBytes = 0;
      return pieces;
    },
  };
}

function createStreamDemux(): Demux {
  let channel = replyChannel;
  let headerSeen = false;
  let kept = Buffer.alloc(0);
  return {
    get isInside() {
      return kept.length > 0;
    },
    push(chunk) {
      let rest = Buffer.concat([kept, chunk]);
      kept = Buffer.alloc(0);
      if (!headerSeen) {
        const seen = rest.subarray(0, streamHeader.length);
        if (!seen.equals(streamHeader.subarray(0, seen.length))) throw new Error('no stream header');
        if (seen.length < streamHeader.length) {
          kept = rest;
          return [];
        }
        headerSeen = true;
        rest = rest.subarray(streamHeader.length);
      }
      const pieces: Piece[] = [];
      const take = (bytes: Buffer): void => {
        if (bytes.length > 0) pieces.push({ channel, bytes });
      };
      let from = 0;
      for (let at = rest.indexOf(0x03); at !== -1; at = rest.indexOf(0x03, at + 1)) {
        const isCut = at + 1 === rest.length || (rest[at + 1] === 0xfe && at + 2 === rest.length);
        const isSwitchCut = rest[at + 1] === 0xfe && rest[at + 2] === 0x00 && at + 3 === rest.length;
        if (isCut || isSwitchCut) {
          take(rest.subarray(from, at));
          kept = Buffer.from(rest.subarray(at));
          return pieces;
        }
        if (rest[at + 1] !== 0xfe) continue;
        if (rest[at + 2] === 0x01) {
          take(rest.subarray(from, at + 1));
          at += 2;
        } else if (rest[at + 2] === 0x00) {
          take(rest.subarray(from, at));
          channel = rest[at + 3] ?? 0;
          at += 3;
        } else {
          throw new Error(`stream escape ${String(rest[at + 2])}`);
        }
        from = at + 1;
      }
      take(rest.subarray(from));
      return pieces;
    },
  };
}

export function encodeLog(type: LogTypeName, text: string): Buffer {
  return Buffer.concat([Buffer.from([logTypes.indexOf(type) + 1]), Buffer.from(`${text}\n`)]);
}

/** Collects the log channel's pieces into lines. */
export function createLogCollector(): (bytes: Buffer) => LogEntry[] {
  let kept = '';
  return (bytes) => {
    kept += bytes.toString('latin1');
    const lines = kept.split('\n');
    kept = lines.pop() ?? '';
    return lines.map((line) => {
      const type = logTypes[line.charCodeAt(0) - 1];
      if (type === undefined) throw new Error(`log line of type ${String(line.charCodeAt(0))}`);
      return { type, text: Buffer.from(line.slice(1), 'latin1').toString() };
    });
  };
}
