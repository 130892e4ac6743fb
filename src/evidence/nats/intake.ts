// The accepted input from a server: the protocol line by line, each part with a bound, and no more in a second than a link needs or
// requested. The library gets nothing that it would print, hold without a bound, or fail on. A server that exceeds a bound is disconnected.

import { bounds } from '../../host/bounds/bounds.js';
import { asNumber, asText, isText, parseLine } from '../../host/values/values.js';

export const intakeLimits = {
  /** Bytes of the first line and of every other line. A real server's first line has some hundreds. */
  lineBytes: bounds.natsLineBytes,
  /** Bytes of a message, whatever `max_payload` the server announces: servers accept 1 MiB by default. */
  payloadBytes: bounds.natsPayloadBytes,
  headerBytes: bounds.natsHeaderBytes,
  /** Bytes without a request, at once and then each second. */
  burstBytes: bounds.natsBurstBytes,
  bytesPerSecond: bounds.natsRate,
  /** Added to each line: a PING of 6 bytes costs more than its bytes. */
  lineCost: 256,
  /** The least that a piece counts for: decrypting a TLS record costs more than a byte in it. */
  pieceCost: 256,
  /** The sum of requested bytes: a reader has two pulls under way. */
  askedBytes: bounds.natsAskedBytes,
} as const;

/** The server broke a rule. `message`: what it did, in our words. */
export class IntakeFault extends Error {
  override readonly name = 'IntakeFault';
}

export type Intake = ReturnType<typeof createIntake>;

const lf = 0x0a;
const cr = 0x0d;
const colon = 0x3a;
/** Real servers write two blanks if there is no reply subject. */
const message =
  /^(?:MSG +[!-~]+ +\d{1,9}(?: +[!-~]+)? +(?<size>\d{1,10})|HMSG +[!-~]+ +\d{1,9}(?: +[!-~]+)? +(?<headers>\d{1,10}) +(?<all>\d{1,10}))$/;

/** `now`: milliseconds of a monotonic clock. */
export function createIntake(now: () => number) {
  let tokens: number = intakeLimits.burstBytes;
  let tokensMs = now();
  let asked = 0;
  let payloadMax: number = 1 << 20;
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  /** Missing bytes: of headers, which are kept until they are complete, then of the rest of a message with its CR LF. */
  let headersLeft = 0;
  let bodyLeft = 0;

  return {
    /** Bytes of a message that both the server and our bound permit. */
    get payloadMax(): number {
      return payloadMax;
    },
    /** Adds the expected bytes of a request to the permitted ones. */
    ask(bytes: number): void {
      asked = Math.min(asked + bytes, intakeLimits.askedBytes);
    },
    /** Returns whole lines, and pieces of messages, for the library. Throws an IntakeFault. */
    push(chunk: Buffer): readonly Buffer[] {
      spend(Math.max(chunk.length, intakeLimits.pieceCost));
      const out: Buffer[] = [];
      for (let at = 0; at < chunk.length; ) at = step(chunk, at, out);
      return out;
    },
  };

  function step(chunk: Buffer, at: number, out: Buffer[]): number {
    if (headersLeft > 0) {
      const end = Math.min(at + headersLeft, chunk.length);
      keep(chunk.subarray(at, end));
      headersLeft -= end - at;
      if (headersLeft === 0) give(out, cleanHeaders(takePieces()));
      return end;
    }
    if (bodyLeft > 0) {
      const end = Math.min(at + bodyLeft, chunk.length);
      checkEnd(chunk, at, end);
      bodyLeft -= end - at;
      give(out, chunk.subarray(at, end));
      return end;
    }
    const found = chunk.indexOf(lf, at);
    const end = found < 0 ? chunk.length : found + 1;
    keep(chunk.subarray(at, end));
    if (pieceBytes > intakeLimits.lineBytes)
      throw new IntakeFault(`a line of more than ${intakeLimits.lineBytes} bytes came`);
    if (found < 0) return end;
    spend(intakeLimits.lineCost);
    const line = takePieces();
    readLine(line);
    give(out, line);
    return end;
  }

  function keep(piece: Buffer): void {
    pieceBytes += piece.length;
    // Joined, because each small piece costs more than its content.
    if (pieces.length >= 64) pieces = [Buffer.concat([...pieces, piece])];
    else pieces.push(piece);
  }

  function takePieces(): Buffer {
    const [only = Buffer.alloc(0), ...others] = pieces;
    const whole = others.length === 0 ? only : Buffer.concat(pieces);
    pieces = [];
    pieceBytes = 0;
    return whole;
  }

  /** A message ends with CR LF: the library would skip other bytes up to the next LF. */
  function checkEnd(chunk: Buffer, at: number, end: number): void {
    for (const [left, byte] of [
      [2, cr],
      [1, lf],
    ] as const) {
      const place = at + bodyLeft - left;
      if (place >= at && place < end && chunk[place] !== byte)
        throw new IntakeFault('a message is not as long as was said');
    }
  }

  function readLine(line: Buffer): void {
    if (line.length < 2 || line[line.length - 2] !== cr)
      throw new IntakeFault('a line does not end with CR LF');
    const text = line.toString('latin1', 0, line.length - 2);
    if (text === 'PING' || text === 'PONG' || text === '+OK' || text.startsWith('-ERR ')) return;
    if (text.startsWith('INFO ')) return readInfo(line.toString('utf8', 5));
    const { size, headers, all } = message.exec(text)?.groups ?? {};
    const bytes = Number(size ?? all);
    const headerBytes = Number(headers ?? 0);
    if (Number.isNaN(bytes) || headerBytes > bytes)
      throw new IntakeFault('something came that is not the protocol of NATS');
    if (headerBytes > intakeLimits.headerBytes || bytes - headerBytes > payloadMax)
      throw new IntakeFault(`a message of ${bytes} bytes was announced, and ${payloadMax} are permitted`);
    headersLeft = headerBytes;
    bodyLeft = bytes - headerBytes + 2;
  }

  /** Checked here because the library trusts the types of its values. */
  function readInfo(text: string): void {
    const { version, nonce, max_payload: told = payloadMax } = parseLine(text) ?? {};
    const most = asNumber(told) ?? 0;
    const isRight =
      /^v?\d{1,6}\.\d{1,6}\.\d{1,6}/.test(asText(version) ?? '') &&
      (nonce === undefined || isText(nonce)) &&
      most > 0;
    if (!isRight) throw new IntakeFault('its INFO is not that of a NATS server');
    payloadMax = Math.min(most, intakeLimits.payloadBytes);
  }

  function spend(bytes: number): void {
    const ms = now();
    tokens = Math.min(
      intakeLimits.burstBytes,
      tokens + ((ms - tokensMs) * intakeLimits.bytesPerSecond) / 1000,
    );
    tokensMs = ms;
    const ofAsked = Math.min(asked, bytes);
    asked -= ofAsked;
    tokens -= bytes - ofAsked;
    if (tokens < 0) throw new IntakeFault('more came than was asked for');
  }
}

/** Adjacent memory is passed on as one piece: the library copies a message that comes in several. */
function give(out: Buffer[], next: Buffer): void {
  const last = out.at(-1);
  if (last?.buffer === next.buffer && last.byteOffset + last.length === next.byteOffset)
    out[out.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + next.length);
  else out.push(next);
}

/**
 * Cleans the headers of a message, which every user with the right to write to the stream can choose: the library fails on names with other
 * characters and on a single CR or LF. They become `_` and a blank; no name of ours has a `_`, and all lengths stay the same.
 */
function cleanHeaders(block: Buffer): Buffer {
  // The first line has the version and a status, no name.
  let isName = false;
  let copy: Buffer | undefined;
  const put = (at: number, byte: number): void => {
    copy ??= Buffer.from(block);
    copy[at] = byte;
  };
  for (let at = 0; at < block.length; at += 1) {
    const byte = block[at] ?? 0;
    if (byte === cr && block[at + 1] === lf) {
      at += 1;
      isName = true;
    } else if (byte === cr || byte === lf) put(at, isName ? 0x5f : 0x20);
    else if (isName && byte === colon) isName = false;
    else if (isName && (byte < 0x21 || byte > 0x7e)) put(at, 0x5f);
  }
  return copy ?? block;
}
