// One session: commands are sent in the order of the calls, and replies come back in the same order. The transport is read only
// when a caller wants more of the oldest reply, so a slow reader slows the server and does not fill the memory.

import { encodeOption } from '../doveadm/protocol/command.js';
import { ofMinor } from '../doveadm/protocol/minors.js';
import { serverOf } from '../doveadm/protocol/releases.js';
import { createMultiplexDecoder, logChannel, outputChannel } from '../doveadm/reply/multiplex.js';
import { LogDecoder, type LogLine, ReplyDecoder, type Status } from '../doveadm/reply/reply.js';
import { WireFault } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import type { CloseReason, Transport } from '../host/ports/transport.js';
import { type Access, createAccess, objectsOfRows, wordsOfCall } from './access.js';
import {
  asSessionFault,
  type Command,
  checkTypes,
  encodeCommand,
  SessionFault,
  unexpectedReply,
  unsendable,
} from './client-command.js';
import type { RowColumns } from './command-columns.js';
import {
  type CellPiece,
  Exchange,
  leave,
  type NamedRow,
  namedRow,
  type Row,
  rowsOf,
  sendInput,
} from './exchange.js';

/** A session with a doveadm server. `await using` closes it. */
export interface Session extends AsyncDisposable {
  /**
   * Runs a command and resolves to its rows. Rejects with CommandFailed for any status but `+`, with SessionFault when the session ended
   * before or the rows exceed `replyBytesMax`, with the signal's reason when aborted.
   */
  run(command: Command): Promise<Row[]>;
  /**
   * As `run`, with rows by the names of their columns: over a socket from the catalog of Dovecot's commands, over HTTP as the server names
   * them. Over a socket, unknown names (`user`, and commands over all users) reject with SessionFault `unsendable`, and nothing is sent.
   * `columns` is ignored.
   */
  named(command: Command): Promise<NamedRow[]>;
  /**
   * Runs a command and yields its rows as they come, one at a time; at the end it throws as `run` rejects. The command is sent at once,
   * before the first row is requested. Leaving the loop early ends the session.
   */
  stream(command: Command): AsyncIterable<Row>;
  /** As `stream`, in pieces of cells, for values that are too long to hold; `columns` is ignored. */
  cells(command: Command): AsyncIterable<CellPiece>;
  /** Access on request of dovegate: what a policy does not allow, and a person may permit for a time. */
  readonly access: Access;
  /** Resolves when the session is gone and nothing of it is left open. Unanswered commands reject; the server may run them all the same. */
  close(): Promise<void>;
  /** The minor of the protocol that both sides speak. */
  readonly minor: number;
  /** The server's announced minor: 2 for Dovecot 2.3, 3 for dovegate and up to 2.4.4, 4 from 2.4.5; undefined for a session of minor 0. */
  readonly serverMinor: number | undefined;
}

/** How a session behaves once it is greeted. */
export interface SessionOptions {
  /** Requests log lines from servers that send them only on request. Default true. */
  readonly logs?: boolean;
  /** Each log line as it comes; the protocol does not say which command it belongs to. An exception ends the session. */
  readonly onLog?: (line: LogLine) => void;
  /** Silence within a reply, or before it, that ends the session. Default 10 minutes. */
  readonly replyIdleMs?: number;
  /** How long an input may take. Default 240 s: after 300 s Dovecot would run the rest of it as commands. */
  readonly inputTimeMs?: number;
  /** Bytes of a row that is held, and of all rows that `run` holds. Default 64 MiB. */
  readonly replyBytesMax?: number;
}

const frameBytesMax = 16 * 1024 ** 2;
const statusBytesMax = 8192;
const logLineBytesMax = 65_536;

/** Takes over a transport on which our next byte begins a command line, and closes it. `minor`: the lower of both sides'. */
export function createSession(
  {
    transport,
    minor: negotiated,
    serverMinor,
  }: Pick<Session, 'minor' | 'serverMinor'> & { transport: Transport },
  options: SessionOptions,
  clock: Clock,
): Session {
  const { onLog, replyIdleMs = 600_000, inputTimeMs = 240_000, replyBytesMax = 64 * 1024 * 1024 } = options;
  const demux = createMultiplexDecoder(ofMinor(negotiated).framing, { frameBytesMax });
  const replies = new ReplyDecoder({ statusBytesMax });
  const logs = new LogDecoder({ lineBytesMax: logLineBytesMax });
  const { mayAnswerTwice, hasOptions } = serverOf(serverMinor);
  /** Exchanges without an ending, oldest first. */
  let running: Exchange[] = [];
  let over: SessionFault | undefined;
  let turn: Promise<void> = Promise.resolve();
  if (ofMinor(negotiated).logs === 'asked' && hasOptions && options.logs !== false) {
    turn = leave(transport.write([encodeOption('log-passthrough')]));
  }

  function finish(fault: SessionFault, reason: CloseReason, isAbrupt = true): void {
    if (over !== undefined) return;
    over = fault;
    transport.close(reason, isAbrupt);
    const left = running;
    running = [];
    for (const exchange of left)
      exchange.fail(new SessionFault(fault.code, fault.message, fault.cause, exchange.at !== 'waiting'));
  }

  /** As `finish`, for a reason that one of the session's own commands caused. */
  function finishFor(why: string, reason: CloseReason, cause?: unknown): void {
    finish(new SessionFault('closed', why, cause), reason);
  }

  function begin(command: Command): Exchange {
    if (over !== undefined) throw new SessionFault('closed', `the session is over: ${over.message}`, over);
    const { signal } = command;
    signal?.throwIfAborted();
    const lines = encodeCommand(command, serverMinor);
    const exchange = new Exchange();
    const before = running.at(-1);
    running.push(exchange);
    const onAbort = (): void => giveUp(exchange, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    void exchange.whenEnded.then(() => signal?.removeEventListener('abort', onAbort));
    turn = send(exchange, command, lines, turn, before);
    return exchange;
  }

  async function send(
    exchange: Exchange,
    { input, dryRun }: Command,
    lines: readonly Buffer[],
    previous: Promise<void>,
    before: Exchange | undefined,
  ): Promise<void> {
    await previous;
    if (mayAnswerTwice) await before?.whenEnded;
    if (!exchange.startSending()) return;
    // A dry run takes no input: it would be read as commands.
    if (input === undefined || dryRun === true) {
      await leave(transport.write(lines));
    } else {
      const fault = await sendInput({ transport, lines, input, timeMs: inputTimeMs }, exchange, clock);
      if (fault !== undefined) {
        exchange.fail(fault);
        finishFor('the input of a command failed', 'aborted', fault);
      }
    }
    exchange.at = 'sent';
  }

  /** Cancels an exchange. If it was sent, the session ends. */
  function giveUp(exchange: Exchange, reason: unknown): void {
    if (exchange.isEnded) return;
    exchange.fail(reason);
    running = running.filter((other) => other !== exchange);
    running[0]?.wake();
    if (exchange.at !== 'waiting') finishFor('a command of this session was canceled', 'aborted');
  }

  async function readMore(): Promise<void> {
    const timer = clock.setTimer(replyIdleMs, () => {
      const text = `no data from the server for ${replyIdleMs} ms`;
      finish(new SessionFault('reply-timeout', text), 'reply-timeout');
    });
    try {
      const chunk = await transport.read();
      if (chunk === null) throw new SessionFault('closed-early', 'the server ended the session');
      take(chunk);
    } catch (cause) {
      const fault = asSessionFault(cause);
      if (fault instanceof SessionFault) {
        finish(fault, 'peer-ended');
      } else if (fault instanceof WireFault) {
        finish(new SessionFault('wire-fault', fault.message, fault), 'wire-fault');
      } else {
        finishFor('the onLog callback threw', 'internal', cause);
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
          if (exchange === undefined || exchange.at === 'waiting')
            throw new WireFault('unexpected-input', 'the server sent a reply without a command');
          if (event.kind === 'body') exchange.addBody(event.bytes);
          else endFirst(exchange, event.status);
        }
      }
    }
  }

  function endFirst(exchange: Exchange, status: Status): void {
    running.shift();
    exchange.end(status);
    running[0]?.wake();
    if (exchange.at === 'sending') {
      finishFor('the server answered before the input was complete', 'not-reusable');
    } else if (mayAnswerTwice && status.kind !== 'ok') {
      const text = 'a server of 2.3 may answer twice after a failure';
      finish(new SessionFault('closed', text), 'not-reusable', false);
    }
  }

  /** The reply in pieces of cells, as they come. */
  async function* batchesOf(exchange: Exchange): AsyncGenerator<readonly CellPiece[], void> {
    try {
      for (;;) {
        const pieces = exchange.takePieces();
        if (pieces.length > 0) yield pieces;
        else if (exchange.isEnded) break;
        // No read before it is sent: nothing can come yet, and canceling it must not leave a read pending.
        else if (running[0] === exchange && exchange.at !== 'waiting') await readMore();
        else await exchange.changed();
      }
      if (exchange.failure !== undefined) throw exchange.failure.reason;
    } finally {
      giveUp(exchange, new SessionFault('closed', 'the reply was not read to its end'));
    }
  }

  /** Sends the command now; rows are read when they are requested. */
  function rowBatches(command: Command): AsyncGenerator<Row[], void> {
    const exchange = begin(command);
    return (async function* () {
      yield* rowsOf(batchesOf(exchange), await columnsFor(command), replyBytesMax);
    })();
  }

  async function columnsFor({ name, args = [], columns, dryRun }: Command): Promise<RowColumns> {
    const given = dryRun === true ? 2 : columns;
    if (given !== undefined) return { decidedBy: 0, namesFrom: () => Array<string>(given).fill('') };
    const { columnsOf, settled } = await import('./command-columns.js');
    return columnsOf(name, args, serverMinor) ?? settled(['']);
  }

  async function run(command: Command): Promise<Row[]> {
    const all: Row[] = [];
    let bytes = 0;
    for await (const rows of rowBatches(command)) {
      for (const row of rows) {
        for (const cell of row) bytes += cell.length;
        all.push(row);
      }
      if (bytes > replyBytesMax)
        throw unexpectedReply(`the rows have more than ${replyBytesMax} bytes: stream them`);
    }
    return all;
  }

  async function named(command: Command): Promise<NamedRow[]> {
    checkTypes(command);
    const columns = await columnsOfCommand(command, serverMinor);
    const rows = await run(command);
    return rows.map((row) => namedRow(columns.namesFrom(row) ?? [], row));
  }

  async function close(): Promise<void> {
    finish(new SessionFault('closed', 'the session was closed'), 'draining', running.length > 0);
    await transport.whenClosed();
  }

  return {
    minor: negotiated,
    serverMinor,
    run,
    named,
    stream: (command) => oneByOne(rowBatches(command)),
    cells: (command) => oneByOne(batchesOf(begin(command))),
    access: createAccess(async (call) => {
      const { verb, tag, signal } = call;
      const command = { name: `dovegate ${verb}`, args: wordsOfCall(call), columns: 2 };
      const more = { ...(tag !== undefined && { tag }), ...(signal !== undefined && { signal }) };
      return objectsOfRows(await run({ ...command, ...more }));
    }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The columns of a command. Throws SessionFault `unsendable` if they are unknown. */
async function columnsOfCommand(
  { name, args = [], dryRun }: Command,
  serverMinor: number | undefined,
): Promise<RowColumns> {
  const { columnsOf, settled } = await import('./command-columns.js');
  if (dryRun === true) return settled(['what', 'value']);
  const columns = columnsOf(name, args, serverMinor);
  if (columns === undefined) throw unsendable(`the columns of "${name}" with these arguments are not known`);
  return columns;
}

async function* oneByOne<T>(batches: AsyncIterable<readonly T[]>): AsyncGenerator<T, void> {
  for await (const batch of batches) yield* batch;
}
