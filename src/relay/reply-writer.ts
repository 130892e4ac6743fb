// Writes replies and log lines to one peer in its framing. It does not know what is said or why.
// The rules: one write for whatever belongs together; a log line goes before the status of its command, because real
// clients have gone when the status is read; nothing is written after the transport failed.

import type { Transport } from '../ports/transport.js';
import { encodeLogLine, type LogType } from '../wire/log-line.js';
import { framingOf, logChannel, outputChannel } from '../wire/multiplex-decode.js';
import { createMultiplexEncoder, type MultiplexEncoder } from '../wire/multiplex-encode.js';
import { formatStatus } from '../wire/status.js';

const tab = 0x09;
const lineFeed = Buffer.from('\n');

/** One for each session. Pieces are gathered in order and leave with `flush`; only that touches the transport. */
export interface ReplyWriter {
  /** Whether log lines reach the peer: minors 1 and 2 always, 3 and later after OPTION log-passthrough. */
  readonly hasLogChannel: boolean;
  /** The peer sent OPTION log-passthrough. */
  passLogs(): void;
  /** A piece of the group that the next `flush` writes. `bytes` are not copied. */
  addBody(bytes: Buffer): void;
  /** Does nothing where there is no log channel. `text` may have several lines. */
  addLog(type: LogType, text: string): void;
  /** Ends the rows and adds a status line that a backend sent, given without its LF. */
  addRawStatus(line: Buffer): void;
  /** Ends the rows and adds a status line of our own; `''` is success. */
  addStatus(code: string): void;
  /** The rows of the reply at hand end within a cell: what is said next could be taken for a part of it. */
  readonly isMidCell: boolean;
  /** Bytes of the output channel so far, over all replies. */
  readonly bytesOut: number;
  /**
   * Writes the group. Undefined while at most `unsentBytesMax` wait for the peer; else a promise as of Transport.write,
   * which rejects with a TransportFault when the peer is gone.
   */
  flush(unsentBytesMax: number): Promise<void> | undefined;
}

/** What the relay of one reply needs of where the reply goes. */
export type RelayTarget = Pick<ReplyWriter, 'addBody' | 'addLog' | 'addRawStatus' | 'flush'>;

/** A writer for the negotiated minor. */
export function createReplyWriter(transport: Transport, minor: number): ReplyWriter {
  return new FramedWriter(transport, minor);
}

class FramedWriter implements ReplyWriter {
  readonly #transport: Transport;
  readonly #encoder: MultiplexEncoder;
  readonly #minor: number;
  #passesLogs: boolean;
  #group: Buffer[] = [];
  #output: Buffer[] = [];
  #bytesOut = 0;
  #lastOfBody = tab;

  constructor(transport: Transport, minor: number) {
    this.#transport = transport;
    this.#minor = minor;
    this.#encoder = createMultiplexEncoder(framingOf(minor));
    this.#passesLogs = minor === 1 || minor === 2;
  }

  get hasLogChannel(): boolean {
    return this.#passesLogs;
  }

  get isMidCell(): boolean {
    return this.#lastOfBody !== tab;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  passLogs(): void {
    if (this.#minor >= 1) this.#passesLogs = true;
  }

  addBody(bytes: Buffer): void {
    this.#output.push(bytes);
    this.#bytesOut += bytes.length;
    this.#lastOfBody = bytes[bytes.length - 1] ?? this.#lastOfBody;
  }

  addLog(type: LogType, text: string): void {
    if (!this.#passesLogs) return;
    this.#frameOutput();
    const lines = text.split('\n').map((line) => encodeLogLine(type, line));
    this.#group.push(...this.#encoder.frame(logChannel, lines));
  }

  addRawStatus(line: Buffer): void {
    this.#output.push(lineFeed, line, lineFeed);
    this.#bytesOut += line.length + 2;
    this.#lastOfBody = tab;
  }

  addStatus(code: string): void {
    const line = formatStatus(code);
    this.#output.push(lineFeed, line);
    this.#bytesOut += line.length + 1;
    this.#lastOfBody = tab;
  }

  flush(unsentBytesMax: number): Promise<void> | undefined {
    this.#frameOutput();
    const group = this.#group;
    this.#group = [];
    // An empty group still asks whether what was written before has left.
    const drained = this.#transport.write(group);
    if (drained === undefined || this.#transport.unsentBytes > unsentBytesMax) return drained;
    // Whoever goes on without waiting hears of a peer that is gone from the transport.
    drained.catch(() => undefined);
    return undefined;
  }

  #frameOutput(): void {
    if (this.#output.length === 0) return;
    this.#group.push(...this.#encoder.frame(outputChannel, this.#output));
    this.#output = [];
  }
}
