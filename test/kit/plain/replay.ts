// Owns the replaying of captured sessions through src/doveadm/protocol, as its callers are meant to use it: what a server sent goes
// through the dialling handshake, the channels, the replies and the log; what a client sent through the accepting
// handshake, the lines and their input. The answers are plain values that do not depend on how the bytes were cut.

import { HandshakeAccept } from '../../../src/doveadm/handshake/accept.js';
import { type DialStep, HandshakeDial } from '../../../src/doveadm/handshake/dial.js';
import { type CommandLine, parseCommandLine } from '../../../src/doveadm/protocol/command.js';
import { LineSplitter } from '../../../src/doveadm/protocol/lines.js';
import { ofMinor } from '../../../src/doveadm/protocol/minors.js';
import { DotDecoder } from '../../../src/doveadm/protocol/text.js';
import { createMultiplexDecoder, logChannel, outputChannel } from '../../../src/doveadm/reply/multiplex.js';
import { LogDecoder, type LogLine, ReplyDecoder } from '../../../src/doveadm/reply/reply.js';
import { WireFault, type WireFaultCode } from '../../../src/host/ports/faults.js';
import { chunkings } from './chunkings.js';
import type { Segment, VectorTls } from './vectors.js';

/** Chunks of each segment. */
export type Chunks = readonly (readonly Buffer[])[];

const limits = {
  lineBytesMax: 1_048_576,
  statusBytesMax: 1024,
  frameBytesMax: 16_777_216,
  inputBytesMax: 1_048_576,
};

/** Every chunking of a session: whole, byte by byte, at the boundaries, and one cut in one of the segments. */
export function* segmentChunkings(segments: readonly Segment[]): Generator<{ name: string; chunks: Chunks }> {
  const whole: Buffer[][] = segments.map(({ bytes }) => (bytes.length === 0 ? [] : [Buffer.from(bytes)]));
  yield { name: 'whole', chunks: whole };
  for (const [index, { bytes, boundaries }] of segments.entries()) {
    for (const { name, chunks } of chunkings(bytes, boundaries)) {
      if (name === 'whole') continue;
      yield { name: `segment ${index} ${name}`, chunks: whole.with(index, chunks) };
    }
  }
}

/** What a client understood of a server's bytes. */
export interface Heard {
  /** What the handshake did, in order: what it sent, and start-tls. */
  sent: string[];
  /** How the handshake ended; undefined: it waits. */
  handshake: { minor: number; serverMinor: number | undefined } | string | undefined;
  replies: { body: string; status: string; code: string }[];
  /** The body of the reply that is not over. */
  partial: string;
  isStarted: boolean;
  midCell: boolean;
  logs: LogLine[];
  /** All bytes of channel 0. */
  output: string;
  /** Bytes on channels that are neither output nor log. */
  otherBytes: number;
  /** The first fault, of a decoder or of the end of the input. */
  fault: WireFaultCode | 'truncated' | undefined;
}

export interface HearOptions {
  minor: number;
  tls: VectorTls;
  hasEnded: boolean;
  /** dsync-server: what follows on channel 0 are no replies. */
  isDuplex: boolean;
}

export function hearServer(segments: Chunks, options: HearOptions): Heard {
  const heard: Heard = {
    sent: [],
    handshake: undefined,
    replies: [],
    partial: '',
    isStarted: false,
    midCell: false,
    logs: [],
    output: '',
    otherBytes: 0,
    fault: undefined,
  };
  const dial = new HandshakeDial({
    minor: options.minor,
    tls: options.tls,
    credentials: { user: 'doveadm', password: Buffer.from('secret') },
    mayAuthenticateInClear: true,
    lineBytesMax: limits.lineBytesMax,
  });
  let feed: ((chunk: Buffer) => void) | undefined;
  let finish = (): 'truncated' | undefined => undefined;

  function take(steps: readonly DialStep[]): void {
    for (const step of steps) {
      switch (step.do) {
        case 'send':
          heard.sent.push(step.bytes.toString('latin1'));
          break;
        case 'start-tls':
          heard.sent.push('start-tls');
          break;
        case 'ready': {
          heard.handshake = { minor: step.minor, serverMinor: step.serverMinor };
          ({ feed, finish } = createListener(heard, step.minor, options.isDuplex));
          feed(step.rest);
          break;
        }
        case 'fail':
          heard.handshake = step.code;
          feed = () => {};
          break;
        default:
          step satisfies never;
      }
    }
  }

  heard.fault = faultOf(() => {
    take(dial.start());
    for (const [index, chunks] of segments.entries()) {
      if (index > 0 && options.tls === 'starttls') take(dial.tlsStarted());
      for (const chunk of chunks) {
        if (feed === undefined) take(dial.push(chunk));
        else feed(chunk);
      }
    }
    if (options.hasEnded) {
      take(dial.end());
      return finish();
    }
    return undefined;
  });
  return heard;
}

function createListener(
  heard: Heard,
  minor: number,
  isDuplex: boolean,
): { feed: (chunk: Buffer) => void; finish: () => 'truncated' | undefined } {
  const channels = createMultiplexDecoder(ofMinor(minor).framing, limits);
  const replies = new ReplyDecoder(limits);
  const logs = new LogDecoder(limits);

  function hearOutput(bytes: Buffer): void {
    heard.output += bytes.toString('latin1');
    if (isDuplex) return;
    for (const event of replies.push(bytes)) {
      if (event.kind === 'body') {
        heard.partial += event.bytes.toString('latin1');
      } else {
        const { raw, code } = event.status;
        heard.replies.push({ body: heard.partial, status: raw.toString('latin1'), code });
        heard.partial = '';
      }
    }
    heard.isStarted = replies.isStarted;
    heard.midCell = /[^\t]$/.test(heard.partial);
  }

  return {
    feed(chunk) {
      for (const { channel, bytes } of channels.push(chunk)) {
        if (channel === outputChannel) hearOutput(bytes);
        else if (channel === logChannel) heard.logs.push(...logs.push(bytes));
        else heard.otherBytes += bytes.length;
      }
    },
    finish() {
      heard.logs.push(...logs.end());
      return channels.isMidFrame || replies.isStarted ? 'truncated' : undefined;
    },
  };
}

/** What a server understood of a client's bytes, and what it said in the handshake. */
export interface Served {
  /** All bytes that the handshake sent. */
  sent: string;
  /** How the handshake ended; undefined: it waits. */
  handshake: { minor: number; clientMinor: number } | string | undefined;
  /** What came behind STARTTLS in clear, and is TLS's. */
  forTls: string;
  /** In order: commands, OPTION words, inputs. */
  items: ServedItem[];
  fault: WireFaultCode | 'truncated' | undefined;
}

export type ServedItem =
  | { kind: 'command'; command: CommandLine; line: string }
  | { kind: 'option'; name: string; line: string }
  | { kind: 'input'; text: string; isDone: boolean };

export interface ServeOptions {
  minor: number;
  preauthenticated: boolean;
  tls: VectorTls;
  hasEnded: boolean;
  /** The judgement about the password `secret`; every other one is wrong. */
  isPasswordRight: boolean;
  takesInput: (words: readonly string[]) => boolean;
}

export function serveClient(segments: Chunks, options: ServeOptions): Served {
  const served: Served = { sent: '', handshake: undefined, forTls: '', items: [], fault: undefined };
  const accept = new HandshakeAccept({
    minor: options.minor,
    preauthenticated: options.preauthenticated,
    // Every listener of Dovecot that asks for a password takes STARTTLS.
    tls: options.tls === 'done' ? 'done' : 'starttls',
    plainAllowed: true,
    lineBytesMax: limits.lineBytesMax,
  });
  let feed: ((chunk: Buffer) => void) | undefined;
  let finish = (): 'truncated' | undefined => undefined;

  function take(steps: ReturnType<typeof accept.push>): void {
    for (const step of steps) {
      switch (step.do) {
        case 'send':
          served.sent += step.bytes.toString('latin1');
          break;
        case 'start-tls':
          feed = (chunk) => {
            served.forTls += chunk.toString('latin1');
          };
          feed(step.rest);
          break;
        case 'verify':
          take(
            accept.verified(
              options.isPasswordRight &&
                step.user === 'doveadm' &&
                step.password.equals(Buffer.from('secret')),
            ),
          );
          break;
        case 'ready':
          served.handshake = { minor: step.minor, clientMinor: step.clientMinor };
          ({ feed, finish } = createReader(served, options));
          feed(step.rest);
          break;
        case 'in-clear':
          break;
        case 'close':
          served.handshake = step.why;
          feed = () => {};
          break;
        default:
          step satisfies never;
      }
    }
  }

  served.fault = faultOf(() => {
    for (const [index, chunks] of segments.entries()) {
      if (index > 0 && options.tls === 'starttls') {
        feed = undefined;
        take(accept.tlsStarted());
      }
      for (const chunk of chunks) {
        if (feed === undefined) take(accept.push(chunk));
        else feed(chunk);
      }
    }
    if (options.hasEnded) {
      take(accept.end());
      return finish();
    }
    return undefined;
  });
  return served;
}

function createReader(
  served: Served,
  options: ServeOptions,
): { feed: (chunk: Buffer) => void; finish: () => 'truncated' | undefined } {
  const lines = new LineSplitter(limits);
  let input: { dot: DotDecoder; item: { text: string; isDone: boolean } } | undefined;

  function feedInput(chunk: Buffer): void {
    if (input === undefined) return lines.push(chunk);
    const { parts, isDone, rest } = input.dot.push(chunk);
    input.item.text += Buffer.concat(parts).toString('latin1');
    input.item.isDone = isDone;
    if (!isDone) return;
    input = undefined;
    lines.push(rest);
  }

  return {
    feed(chunk) {
      feedInput(chunk);
      for (let bytes = lines.next(); bytes !== undefined; bytes = lines.next()) {
        const item = { ...parseCommandLine(bytes), line: bytes.toString('latin1') };
        served.items.push(item);
        if (item.kind === 'command' && options.takesInput(item.command.words)) {
          const begun = { kind: 'input' as const, text: '', isDone: false };
          served.items.push(begun);
          input = { dot: new DotDecoder(limits), item: begun };
          feedInput(lines.takeRest());
        }
      }
    },
    finish() {
      return input !== undefined || lines.pendingBytes > 0 ? 'truncated' : undefined;
    },
  };
}

function faultOf(run: () => 'truncated' | undefined): WireFaultCode | 'truncated' | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof WireFault) return error.code;
    throw error;
  }
}
