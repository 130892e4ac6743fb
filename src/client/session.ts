// One session: commands go out in the order in which they were given, replies come back in the same order. It is read only when
// somebody wants more of the reply at its head, so a slow reader slows the server and fills no memory.
// It knows neither addresses nor TLS. The rules: whoever leaves a reply in its middle ends the session, since nothing else stops a
// server; and after a session is over every command that waits for it hears so.

import type { Clock } from '../ports/clock.js';
import type { CloseReason } from '../ports/close-reason.js';
import type { Transport } from '../ports/transport.js';
import { TransportFault } from '../ports/transport-fault.js';
import { UpstreamFault } from '../ports/upstream-fault.js';
import { encodeOption } from '../protocol/command.js';
import { createLogDecoder, type LogLine } from '../protocol/log-line.js';
import {
  createMultiplexDecoder,
  framingOf,
  logChannel,
  outputChannel,
} from '../protocol/multiplex-decode.js';
import { createReplyDecoder } from '../protocol/reply.js';
import { faultOfFailure, type HandshakeOptions, shakeHands } from '../protocol/shake-hands.js';
import { WireFault } from '../protocol/wire-fault.js';
import { type Command, encodeCommand, SessionFault } from './client-command.js';
import {
  type CellPiece,
  createExchange,
  createRowDecoder,
  type Exchange,
  type Row,
  sendInput,
} from './exchange.js';

/** A session with a doveadm server. `await using` closes it. */
export interface Session extends AsyncDisposable {
  /**
   * Runs a command and gives its rows. Rejects with CommandFailed for any status but `+`, with SessionFault when the session
   * ended before it or the rows have more than `replyBytesMax`, with the signal's reason when aborted.
   */
  run(command: Command): Promise<Row[]>;
  /**
   * Runs a command and gives its rows while they come, holding one at a time; throws as `run` rejects, at the end. The command is
   * sent at once, also before the first row is asked for. To leave the loop early ends the session.
   */
  stream(command: Command): AsyncIterable<Row>;
  /** As `stream`, in pieces of cells, for values that are too long to hold; `columns` plays no part. */
  cells(command: Command): AsyncIterable<CellPiece>;
  /**
   * Resolves when the session is gone and nothing of it is left open. Commands that are not answered reject; the server may run
   * them all the same.
   */
  close(): Promise<void>;
  /** The minor of the protocol that both sides speak. */
  readonly minor: number;
  /** What the server announced: 2 for Dovecot 2.3, 3 for dovegate and up to 2.4.4, 4 from 2.4.5; undefined for a session of minor 0. */
  readonly serverMinor: number | undefined;
}

/** How a session behaves once it is greeted. */
export interface SessionOptions {
  /** Asks for log lines where they must be asked for. Default true. */
  readonly logs?: boolean;
  /** Each log line as it comes, whatever command it belongs to: the protocol does not tell. What it throws ends the session. */
  readonly onLog?: (line: LogLine) => void;
  /** Silence within a reply, or before it, that ends the session. Default 10 minutes. */
  readonly replyIdleMs?: number;
  /** How long an input may take. Default 240 s: after 300 s Dovecot would run the rest of it as commands. */
  readonly inputTimeMs?: number;
  /** Bytes of a row that is held, and of all rows that `run` holds. Default 64 MiB. */
  readonly replyBytesMax?: number;
}

const frameBytesMax = 16 * 1024 * 1024;
const statusBytesMax = 8192;
const logLineBytesMax = 65536;

/** Takes over a greeted transport, and closes it. */
export function createSession(greeted: Greeted, options: SessionOptions, clock: Clock): Session {
  const { transport, minor, serverMinor } = greeted;
  const { onLog, replyIdleMs = 600_000, inputTimeMs = 240_000, replyBytesMax = 64 * 1024 * 1024 } = options;
  const demux = createMultiplexDecoder(framingOf(minor), { frameBytesMax });
  const replies = createReplyDecoder({ statusBytesMax });
  const logs = createLogDecoder({ lineBytesMax: logLineBytesMax });
  // Servers up to 2.3.16 answer twice after a failure, and cannot be told from later ones.
  const mayAnswerTwice = serverMinor === undefined || serverMinor < 3;
  /** Those that have no ending yet, oldest first. */
  let running: Exchange[] = [];
  let over: SessionFault | undefined;
  /** When the command before has been written. */
  let turn: Promise<void> = Promise.resolve();
  if (minor >= 3 && (serverMinor ?? 0) >= 3 && options.logs !== false) {
    turn = leave(transport.write([encodeOption('log-passthrough')]));
  }

  /** Of what was written. */
  async function leave(written: Promise<void> | undefined): Promise<undefined> {
    try {
      await written;
    } catch (fault) {
      // Data that the server sent before it closed may still be unread; the read reports the end.
      if (!(fault instanceof TransportFault)) throw fault;
    }
  }

  function finish(fault: SessionFault, reason: CloseReason, isAbrupt: boolean): void {
    if (over !== undefined) return;
    over = fault;
    transport.close(reason, isAbrupt);
    const left = running;
    running = [];
    for (const exchange of left)
      exchange.fail(new SessionFault(fault.code, fault.message, fault.cause, exchange.isSent));
  }

  function begin(command: Command): Exchange {
    if (over !== undefined) throw new SessionFault('closed', `the session is over: ${over.message}`, over);
    command.signal?.throwIfAborted();
    const lines = encodeCommand(command, serverMinor);
    const exchange = createExchange();
    const before = running.at(-1);
    running.push(exchange);
    const { signal } = command;
    const onAbort = (): void => giveUp(exchange, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    void exchange.whenEnded.then(() => signal?.removeEventListener('abort', onAbort));
    const previous = turn;
    turn = send(exchange, command, lines, async () => {
      await previous;
      if (mayAnswerTwice) await before?.whenEnded;
    });
    return exchange;
  }

  async function send(
    exchange: Exchange,
    command: Command,
    lines: readonly Buffer[],
    isMyTurn: () => Promise<void>,
  ): Promise<void> {
    await isMyTurn();
    if (!exchange.startSending()) return;
    if (command.input === undefined) {
      await leave(transport.write(lines));
    } else {
      const fault = await sendInput(
        {
          lines,
          input: command.input,
          writeWhole: (bytes) => leave(transport.writeWhole(bytes)),
          keepsWhole: transport.keepsWhole,
          timeMs: inputTimeMs,
        },
        exchange,
        clock,
      );
      if (fault !== undefined) {
        exchange.fail(fault);
        finish(new SessionFault('closed', 'the input of a command failed', fault), 'aborted', true);
      }
    }
    exchange.sent();
  }

  /** Cancels an exchange. If it was sent, the session ends. */
  function giveUp(exchange: Exchange, reason: unknown): void {
    if (exchange.ending !== undefined) return;
    const wasSent = exchange.isSent;
    exchange.fail(reason);
    running = running.filter((other) => other !== exchange);
    running[0]?.wake();
    if (wasSent)
      finish(new SessionFault('closed', 'a command of this session was canceled'), 'aborted', true);
  }

  /** Waits for more of a reply. Undefined: it has ended. */
  async function next(exchange: Exchange): Promise<readonly CellPiece[] | undefined> {
    for (;;) {
      const pieces = exchange.takePieces();
      if (pieces.length > 0) return pieces;
      if (exchange.ending !== undefined) return undefined;
      // No read before it is sent: nothing can come yet, and canceling it must not leave a read pending.
      if (running[0] === exchange && exchange.isSent) await readMore();
      else await exchange.changed();
    }
  }

  async function readMore(): Promise<void> {
    const timer = clock.setTimer(replyIdleMs, () =>
      finish(
        new SessionFault('reply-timeout', `no data from the server for ${replyIdleMs} ms`),
        'reply-timeout',
        true,
      ),
    );
    try {
      const chunk = await transport.read();
      if (chunk === null) throw new SessionFault('closed-early', 'the server ended the session');
      take(chunk);
    } catch (cause) {
      const fault = asSessionFault(cause);
      if (fault instanceof SessionFault) {
        finish(fault, 'peer-ended', true);
      } else if (fault instanceof WireFault) {
        finish(new SessionFault('wire-fault', fault.message, fault), 'wire-fault', true);
      } else {
        finish(new SessionFault('closed', 'the onLog callback threw', cause), 'internal', true);
        throw cause;
      }
    } finally {
      timer.cancel();
    }
  }

  function take(chunk: Buffer): void {
    for (const { channel, bytes } of demux.push(chunk)) {
      if (channel === logChannel) {
        for (const line of logs.push(bytes)) {
          running[0]?.addLog(line);
          onLog?.(line);
        }
      } else if (channel === outputChannel) {
        for (const event of replies.push(bytes)) {
          const [exchange] = running;
          if (exchange === undefined || !exchange.isSent)
            throw new WireFault('unexpected-input', 'the server sent a reply without a command');
          if (event.kind === 'body') {
            exchange.addBody(event.bytes);
            continue;
          }
          running.shift();
          const isInputCut = exchange.isSending;
          exchange.end(event.status);
          running[0]?.wake();
          if (isInputCut) {
            finish(
              new SessionFault('closed', 'the server answered before the input was complete'),
              'not-reusable',
              true,
            );
          } else if (mayAnswerTwice && event.status.kind !== 'ok') {
            finish(
              new SessionFault('closed', 'a server of 2.3 may answer twice after a failure'),
              'not-reusable',
              false,
            );
          }
        }
      }
    }
  }

  async function* batchesOf(exchange: Exchange): AsyncGenerator<readonly CellPiece[], void> {
    try {
      for (let pieces = await next(exchange); pieces !== undefined; pieces = await next(exchange))
        yield pieces;
      const failure = exchange.failure();
      if (failure !== undefined) throw failure.reason;
    } finally {
      giveUp(exchange, new SessionFault('closed', 'the reply was not read to its end'));
    }
  }

  /** Sends the command now; rows are read when they are requested. */
  function rowsOf(command: Command): AsyncGenerator<Row[], void> {
    const exchange = begin(command);
    return (async function* () {
      const columns = command.columns ?? (await knownColumns(command));
      const rows = createRowDecoder({ columns, rowBytesMax: replyBytesMax });
      for await (const pieces of batchesOf(exchange)) yield rows.push(pieces);
      rows.end();
    })();
  }

  async function knownColumns({ name, args = [] }: Command): Promise<number> {
    const { columnsOf } = await import('./command-columns.js');
    return columnsOf(name, args, serverMinor) ?? 1;
  }

  async function close(): Promise<void> {
    finish(new SessionFault('closed', 'the session was closed'), 'draining', running.length > 0);
    await transport.whenClosed();
  }

  return {
    minor,
    serverMinor,
    async run(command) {
      const all: Row[] = [];
      let bytes = 0;
      for await (const rows of rowsOf(command)) {
        for (const row of rows) {
          for (const cell of row) bytes += cell.length;
          all.push(row);
        }
        if (bytes > replyBytesMax)
          throw new SessionFault(
            'unexpected-reply',
            `the rows have more than ${replyBytesMax} bytes: stream them`,
          );
      }
      return all;
    },
    stream(command) {
      const batches = rowsOf(command);
      return (async function* () {
        for await (const rows of batches) yield* rows;
      })();
    },
    cells(command) {
      const batches = batchesOf(begin(command));
      return (async function* () {
        for await (const pieces of batches) yield* pieces;
      })();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Opens a transport. */
export type OpenTransport = (signal: AbortSignal) => Promise<Transport>;

export interface GreetOptions extends HandshakeOptions {
  readonly open: OpenTransport;
  readonly connectTimeoutMs: number;
  /** From the connection to the end of the authentication. */
  readonly greetingTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A transport on which the next byte of ours is a command line. */
export interface Greeted {
  readonly transport: Transport;
  /** The lower of both minors. */
  readonly minor: number;
  /** Undefined: the server announced none. */
  readonly serverMinor: number | undefined;
}

/** Dials and greets. Rejects with a SessionFault, or with the signal's reason; nothing stays open then. */
export async function greet(options: GreetOptions, clock: Clock): Promise<Greeted> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  let timer = clock.setTimer(options.connectTimeoutMs, () =>
    controller.abort(new SessionFault('dial-timeout', `no connection within ${options.connectTimeoutMs} ms`)),
  );
  let transport: Transport | undefined;
  try {
    controller.signal.throwIfAborted();
    transport = await options.open(controller.signal);
    const opened = transport;
    timer.cancel();
    timer = clock.setTimer(options.greetingTimeoutMs, () =>
      controller.abort(
        new SessionFault('dial-timeout', `no greeting within ${options.greetingTimeoutMs} ms`),
      ),
    );
    controller.signal.addEventListener('abort', () => opened.close('dial-failed', true), { once: true });
    controller.signal.throwIfAborted();
    return await greetOpened(opened, options);
  } catch (cause) {
    transport?.close('dial-failed', true);
    throw controller.signal.aborted ? controller.signal.reason : asSessionFault(cause);
  } finally {
    timer.cancel();
    options.signal?.removeEventListener('abort', onAbort);
  }
}

async function greetOpened(transport: Transport, options: GreetOptions): Promise<Greeted> {
  const shaken = await shakeHands(transport, options);
  if (shaken.kind === 'failed') throw new SessionFault(faultOfFailure[shaken.code], shaken.message);
  if (shaken.rest.length > 0) throw new SessionFault('wire-fault', 'the server sent data after its greeting');
  return { transport, minor: shaken.minor, serverMinor: shaken.serverMinor };
}

/** What the way to the server threw, in the words of this library. */
export function asSessionFault(cause: unknown): unknown {
  if (cause instanceof UpstreamFault) return new SessionFault(cause.code, cause.message, cause);
  if (cause instanceof TransportFault)
    return new SessionFault('closed-early', 'the server ended the session', cause);
  return cause;
}
