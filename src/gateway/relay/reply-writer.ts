// Writes replies and log lines to one peer in its framing. It does not know what is said or why.
// The rules: one write for whatever belongs together; a log line goes before the status of its command, because real
// clients have gone when the status is read; nothing is written after the transport failed.

import type { Transport } from '../../ports/transport.js';
import { encodeLogLine, type LogType } from '../../protocol/log-line.js';
import { type Framing, framingOf, logChannel, outputChannel } from '../../protocol/multiplex-decode.js';
import {
  createMultiplexEncoder,
  joinPacket,
  type MultiplexEncoder,
} from '../../protocol/multiplex-encode.js';
import { formatStatus } from '../../protocol/status.js';

const tab = 0x09;
const lineFeed = Buffer.from('\n');
/** Output that is shorter leaves as one buffer with its header: most replies are a row and a status. */
const joinedBytesMax = 2 * 1024;

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
  /** As that of its transport. */
  readonly takenBytes: number;
  /**
   * Writes the group. Undefined while at most `unsentBytesMax` wait for the peer; else a promise as of Transport.write,
   * which rejects with a TransportFault when the peer is gone.
   */
  flush(unsentBytesMax: number): Promise<void> | undefined;
}

/** What the relay of one reply needs of where the reply goes. */
export type RelayTarget = Pick<ReplyWriter, 'addBody' | 'addLog' | 'addRawStatus' | 'flush' | 'takenBytes'>;

/** A writer for the negotiated minor. */
export function createReplyWriter(transport: Transport, minor: number): ReplyWriter {
  return new FramedWriter(transport, minor);
}

class FramedWriter implements ReplyWriter {
  readonly #transport: Transport;
  readonly #encoder: MultiplexEncoder;
  readonly #framing: Framing;
  readonly #minor: number;
  #passesLogs: boolean;
  #group: Buffer[] = [];
  #output: Buffer[] = [];
  #outputBytes = 0;
  #bytesOut = 0;
  #lastOfBody = tab;

  constructor(transport: Transport, minor: number) {
    this.#transport = transport;
    this.#minor = minor;
    this.#framing = framingOf(minor);
    this.#encoder = createMultiplexEncoder(this.#framing);
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

  get takenBytes(): number {
    return this.#transport.takenBytes;
  }

  passLogs(): void {
    if (this.#minor >= 1) this.#passesLogs = true;
  }

  addBody(bytes: Buffer): void {
    this.#add(bytes);
    this.#lastOfBody = bytes[bytes.length - 1] ?? this.#lastOfBody;
  }

  addLog(type: LogType, text: string): void {
    if (!this.#passesLogs) return;
    this.#frameOutput();
    const lines = text.split('\n').map((line) => encodeLogLine(type, line));
    this.#group.push(...this.#encoder.frame(logChannel, lines));
  }

  addRawStatus(line: Buffer): void {
    this.#add(lineFeed);
    this.#add(line);
    this.#add(lineFeed);
    this.#lastOfBody = tab;
  }

  addStatus(code: string): void {
    this.#add(lineFeed);
    this.#add(formatStatus(code));
    this.#lastOfBody = tab;
  }

  flush(unsentBytesMax: number): Promise<void> | undefined {
    this.#frameOutput();
    const group = this.#group;
    // An empty group asks whether what was written before has left.
    if (group.length === 0 && this.#transport.unsentBytes === 0) return undefined;
    this.#group = [];
    const drained = this.#transport.write(group);
    if (drained === undefined || this.#transport.unsentBytes > unsentBytesMax) return drained;
    // Whoever goes on without waiting hears of a peer that is gone from the transport.
    drained.catch(() => undefined);
    return undefined;
  }

  #frameOutput(): void {
    if (this.#outputBytes === 0) return;
    if (this.#framing === 'packet' && this.#outputBytes <= joinedBytesMax) {
      this.#group.push(joinPacket(outputChannel, this.#output, this.#outputBytes));
    } else {
      this.#group.push(...this.#encoder.frame(outputChannel, this.#output));
    }
    this.#output = [];
    this.#outputBytes = 0;
  }

  #add(bytes: Buffer): void {
    this.#output.push(bytes);
    this.#outputBytes += bytes.length;
    this.#bytesOut += bytes.length;
  }
}
