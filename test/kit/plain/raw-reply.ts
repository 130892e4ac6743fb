// Reads replies off a framed connection for the raw client: the first raw LF ends the rows, the next one the status line, whatever
// packets they came in. Log lines are collected on the side.
import { createHash } from 'node:crypto';
import type { ByteReader } from './byte-reader.js';
import {
  createDemux,
  createLogCollector,
  type Framing,
  type LogEntry,
  logChannel,
  replyChannel,
  unescapeCell,
} from './framing.js';

export interface RawReply {
  /** Bytes of the reply channel before the LF that ended the rows; empty when they were not kept. */
  body: Buffer;
  /** The body split at TAB and unescaped, without the empty rest after the last TAB; text that is no UTF-8 as latin1. */
  cells: string[];
  /** Length and SHA-256 of the body, also when it was not kept. */
  bodyBytes: number;
  bodySha256Hex: string;
  /** The status line without LF: `+`, `-NOUSER`, ... */
  status: string;
  /** Log lines that came since the reply before, up to this status. */
  logs: LogEntry[];
}

/** How a session ended when no whole reply came. */
export interface RawEnd {
  /** Bytes of the reply channel behind the last whole status line. */
  body: Buffer;
  logs: LogEntry[];
  /** false: ended orderly (FIN, TLS close_notify); true: reset, or cut inside a frame. */
  isBroken: boolean;
}

/** The session ended, or an answer did not come in time. */
export class RawClientError extends Error {
  readonly end: RawEnd;
  constructor(message: string, end: RawEnd) {
    super(message);
    this.name = 'RawClientError';
    this.end = end;
  }
}

export interface ReplyReader {
  /** Rejects with RawClientError when the connection ends first. */
  readReply(keepBody: boolean): Promise<RawReply>;
  /** At least one log line that no reply has taken; rejects with RawClientError at the end. */
  readLogs(): Promise<LogEntry[]>;
  /** How it ended, with these bytes of an unfinished reply. */
  end(body: Buffer): RawEnd;
}

/** `isBroken` tells whether the socket had failed. */
export function createReplyReader(
  reader: ByteReader,
  framing: Framing,
  isBroken: () => boolean,
): ReplyReader {
  const demux = createDemux(framing);
  const logs: LogEntry[] = [];
  const collectLogs = createLogCollector();
  /** Pieces of the reply channel that were read and that no reply has taken yet. */
  const unread: Buffer[] = [];
  /** Takes one chunk off the wire; false at the end. */
  const advance = async (): Promise<boolean> => {
    const chunk = await reader.readSome();
    if (chunk === null) return false;
    for (const { channel, bytes } of demux.push(chunk)) {
      if (channel === replyChannel) unread.push(bytes);
      else if (channel === logChannel) logs.push(...collectLogs(bytes));
      else throw new Error(`bytes of channel ${channel}`);
    }
    return true;
  };
  /** Hands the bytes before the next LF to `take`; false when the end comes first. */
  const readToLf = async (take: (bytes: Buffer) => void): Promise<boolean> => {
    for (;;) {
      const piece = unread.shift();
      if (piece === undefined) {
        if (await advance()) continue;
        return false;
      }
      const at = piece.indexOf(0x0a);
      take(at === -1 ? piece : piece.subarray(0, at));
      if (at === -1) continue;
      if (at + 1 < piece.length) unread.unshift(piece.subarray(at + 1));
      return true;
    }
  };
  const readReply = async (keepBody: boolean): Promise<RawReply> => {
    const hash = createHash('sha256');
    const kept: Buffer[] = [];
    const line: Buffer[] = [];
    let bodyBytes = 0;
    const hasBody = await readToLf((bytes) => {
      hash.update(bytes);
      bodyBytes += bytes.length;
      if (keepBody) kept.push(bytes);
    });
    const body = Buffer.concat(kept);
    if (!hasBody) throw new RawClientError('ended before a status', end(body));
    if (!(await readToLf((bytes) => line.push(bytes)))) {
      throw new RawClientError('ended in a status', end(Buffer.concat([body, Buffer.from('\n'), ...line])));
    }
    return {
      body,
      cells: cellsOf(body),
      bodyBytes,
      bodySha256Hex: hash.digest('hex'),
      status: Buffer.concat(line).toString(),
      logs: logs.splice(0),
    };
  };
  const end = (body: Buffer): RawEnd => ({
    body,
    logs: logs.splice(0),
    isBroken: isBroken() || demux.isInside,
  });
  return {
    end,
    readReply,
    async readLogs() {
      while (logs.length === 0) {
        if (!(await advance()))
          throw new RawClientError('ended before a log line', end(Buffer.concat(unread)));
      }
      return logs.splice(0);
    },
  };
}

function cellsOf(body: Buffer): string[] {
  const cells: string[] = [];
  let from = 0;
  for (let at = body.indexOf(0x09); at !== -1; at = body.indexOf(0x09, from)) {
    cells.push(textOf(unescapeCell(body.subarray(from, at))));
    from = at + 1;
  }
  if (from < body.length) cells.push(textOf(unescapeCell(body.subarray(from))));
  return cells;
}

function textOf(bytes: Buffer): string {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : bytes.toString('latin1');
}
