// Writes replies and log lines to one client of the doveadm protocol, in its framing; declares the interface of all answer writers; and has
// the targets that join replies of several backends. Bytes that belong together are one write. A log line goes before the status of its
// command, because real clients disconnect after the status. Rows have no mark: a row is a number of cells, each ended by a TAB. A reason
// is a cell only for clients of minor 0: the real doveadm crashes on a cell of a command without columns.

import { formatSaid, markBackendLine, type Said } from '../../doveadm/codes/codes.js';
import type { ReplyRows, ReplyShape } from '../../doveadm/meaning/columns.js';
import { escapeText } from '../../doveadm/protocol/lines.js';
import { type Framing, ofMinor } from '../../doveadm/protocol/minors.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import { joinPacket, logChannel, MultiplexEncoder, outputChannel } from '../../doveadm/reply/multiplex.js';
import { countCells, encodeLogLine, formatStatus, type LogType } from '../../doveadm/reply/reply.js';
import { bounds } from '../../host/bounds/bounds.js';
import { WireFault } from '../../host/ports/faults.js';
import type { Transport } from '../../host/ports/transport.js';
import type { Judged } from '../../rules/policy/judge.js';
import type { Ending, Verdict } from '../outcome/outcome.js';

const tab = 0x09;
const lineFeed = Buffer.from('\n');
const emptyCell = Buffer.of(tab);
/** Shorter output is copied into one buffer with its header: most replies are a row and a status. */
const joinedBytesMax = 2 * 1024;

/** Receives the relay of one reply. Pieces are collected in order; only `flush` touches the transport. */
export interface RelayTarget {
  /**
   * Announces the command that is sent next, and the server. Returns false if its reply cannot be written in the client's form; then it
   * must not be sent. Called again when the command is repeated.
   */
  expect(judged: Judged, server: Server): boolean;
  /** `bytes` are not copied. */
  addBody(bytes: Buffer): void;
  /** A log line of a backend; it may have several lines. Does nothing for a client without a log channel. */
  addLog(type: LogType, text: string): void;
  /** As `addLog`, for our own lines. */
  say(type: LogType, said: Said): void;
  /** Ends the rows; `line` is a backend's status line without its LF, `lastLog` its last log line of this command. */
  addRawStatus(line: Buffer, lastLog: string): void;
  /**
   * Writes the collected pieces. Undefined while at most `unsentBytesMax` wait for the client; else a promise as of Transport.write, which
   * rejects with a TransportFault when the client is gone.
   */
  flush(unsentBytesMax: number): Promise<void> | undefined;
  /** Bytes that the client has taken; only differences count. */
  readonly takenBytes: number;
}

export interface ReplyTarget extends RelayTarget {
  /** Bytes of answers so far, over all commands. */
  readonly bytesOut: number;
  /** The rows so far end within a cell, so following bytes could be taken for a part of it. */
  readonly isMidCell: boolean;
  /** Ends a command without a backend's status: adds a reason and a status. Returns the line of the doveadm protocol, without LF. */
  addEnd(ending: Ending, verdict: Verdict, id: string): string;
}

/** For an empty reply without framing. `true`: the reason of a refusal as one cell; `all`: also an empty cell in other replies. */
export type RefusalCell = boolean | 'all';

/** For clients of the doveadm protocol; one for each session. */
export class ReplyWriter implements ReplyTarget {
  /** Bytes of the output channel so far, over all replies. */
  bytesOut = 0;
  hasLogChannel: boolean;
  readonly #transport: Transport;
  readonly #encoder: MultiplexEncoder;
  readonly #framing: Framing;
  readonly #refusalCell: RefusalCell;
  readonly #mayPassLogs: boolean;
  #group: Buffer[] = [];
  #output: Buffer[] = [];
  #outputBytes = 0;
  /** The last byte of the rows; undefined: this reply has no byte of a row yet. */
  #lastOfBody: number | undefined;

  constructor(transport: Transport, negotiated: number, refusalCell: RefusalCell = false) {
    const { framing, logs } = ofMinor(negotiated);
    this.#transport = transport;
    this.#refusalCell = framing === 'none' && refusalCell;
    this.#framing = framing;
    this.#encoder = new MultiplexEncoder(this.#framing);
    this.#mayPassLogs = logs !== 'never';
    this.hasLogChannel = logs === 'always';
  }

  get isMidCell(): boolean {
    return this.#lastOfBody !== undefined && this.#lastOfBody !== tab;
  }

  get takenBytes(): number {
    return this.#transport.takenBytes;
  }

  passLogs(): void {
    this.hasLogChannel = this.#mayPassLogs;
  }

  /** Rows are passed on unparsed. */
  expect(): boolean {
    return true;
  }

  addBody(bytes: Buffer): void {
    this.#output.push(bytes);
    this.#outputBytes += bytes.length;
    this.bytesOut += bytes.length;
    this.#lastOfBody = bytes[bytes.length - 1] ?? this.#lastOfBody;
  }

  addLog(type: LogType, text: string): void {
    this.#addLines(type, markBackendLine(text));
  }

  say(type: LogType, said: Said): void {
    this.#addLines(type, formatSaid(said));
  }

  #addLines(type: LogType, text: string): void {
    if (!this.hasLogChannel) return;
    this.#frameOutput();
    const lines = text.split('\n').map((line) => encodeLogLine(type, line));
    this.#group.push(...this.#encoder.frame(logChannel, lines));
  }

  addRawStatus(line: Buffer): void {
    if (this.#refusalCell === 'all' && this.#lastOfBody === undefined) this.addBody(emptyCell);
    this.#output.push(lineFeed, line, lineFeed);
    this.#outputBytes += line.length + 2;
    this.bytesOut += line.length + 2;
    this.#lastOfBody = undefined;
  }

  /** Ends the rows and adds a status line of our own; `''` is success. */
  addStatus(code: string): void {
    this.addRawStatus(formatStatus(code).subarray(0, -1));
  }

  /** Ends a reply of our own with its reason. After rows the cell is left out: it could be taken for one of theirs. */
  refuse(said: Said, code: string): void {
    this.say('error', said);
    if (this.#refusalCell !== false && this.#lastOfBody === undefined)
      this.addBody(Buffer.from(`${escapeText(formatSaid(said))}\t`));
    this.addStatus(code);
  }

  addEnd(_ending: Ending, verdict: Verdict, id: string): string {
    const { clientCode, text = '', retryAfterS } = verdict;
    const code = verdict.code ?? 'TEMPFAIL';
    if (clientCode === undefined) this.addStatus(code);
    else this.refuse({ code: clientCode, sentence: text, retryAfterS, id }, code);
    return code === '' ? '+' : `-${code}`;
  }

  flush(unsentBytesMax: number): Promise<void> | undefined {
    if (this.#outputBytes > 0) this.#frameOutput();
    const group = this.#group;
    // An empty group checks whether earlier writes have left.
    if (group.length === 0 && this.#transport.unsentBytes === 0) return undefined;
    this.#group = [];
    const drained = this.#transport.write(group);
    if (drained === undefined || this.#transport.unsentBytes > unsentBytesMax) return drained;
    // The transport reports a lost client.
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
}

const plus = 0x2b;

/**
 * One of several replies to one client: no status line goes out, and only whole rows, so that a reply that breaks off never shifts the rows
 * of another. `cells`: the number in each row, at least 1; undefined if it is unknown: the reply goes out as it comes, and no other may be
 * joined meanwhile. Throws a WireFault if a reply does not consist of whole rows.
 */
export function createJoinedTarget(target: RelayTarget, cells: number | undefined): RelayTarget {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let left = cells ?? 0;
  return {
    expect: (judged, server) => target.expect(judged, server),
    addBody(bytes) {
      if (cells === undefined) return target.addBody(bytes);
      let at = 0;
      let whole = 0;
      for (let end = bytes.indexOf(tab); end >= 0; end = bytes.indexOf(tab, at)) {
        at = end + 1;
        left -= 1;
        if (left > 0) continue;
        left = cells;
        whole = at;
      }
      if (whole > 0) {
        for (const part of kept) target.addBody(part);
        target.addBody(bytes.subarray(0, whole));
        kept = [];
        keptBytes = 0;
      }
      if (whole === bytes.length) return;
      kept.push(bytes.subarray(whole));
      keptBytes += bytes.length - whole;
      if (keptBytes > bounds.rowBytes)
        throw new WireFault('bad-frame', 'a row above the limit of joined replies');
    },
    addLog: (type, text) => target.addLog(type, text),
    say: (type, said) => target.say(type, said),
    addRawStatus(line) {
      // The incomplete row is dropped: the reply was cut, or its rows have another number of cells.
      if (cells !== undefined && line[0] === plus && (left !== cells || keptBytes > 0)) {
        throw endsWithinRow();
      }
    },
    flush: (unsentBytesMax) => target.flush(unsentBytesMax),
    get takenBytes() {
      return target.takenBytes;
    },
  };
}

function endsWithinRow(): WireFault {
  return new WireFault('bad-frame', 'a reply that succeeded ended within a row');
}

/** Holds the start of a reply until its first cells decide the form of its rows. */
export class ReplyHead {
  readonly #rows: ReplyRows;
  #parts: Buffer[] = [];
  #bytes = 0;
  #cells = 0;

  constructor(rows: ReplyRows) {
    this.#rows = rows;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Undefined until the form is decided; `body`: the reply so far. Throws a WireFault for cells that no known release sends. */
  push(body: Buffer): DecidedRows | undefined {
    if (body.length > 0) this.#parts.push(body);
    this.#bytes += body.length;
    this.#cells += countCells(body);
    if (this.#cells >= this.#rows.decidedBy) return this.end();
    if (this.#bytes > bounds.rowBytes) throw new WireFault('bad-frame', 'a first row above the limit');
    return undefined;
  }

  end(): DecidedRows {
    const body = Buffer.concat(this.#parts);
    const { decidedBy } = this.#rows;
    const first = decidedBy === 0 ? [] : body.toString().split('\t', Math.min(this.#cells, decidedBy));
    const shape = this.#rows.shapeFrom(first);
    if (shape === undefined) throw new WireFault('bad-frame', 'rows that no known release of Dovecot sends');
    return { shape, body };
  }
}

export interface DecidedRows {
  readonly shape: ReplyShape;
  readonly body: Buffer;
}

export interface RowPrefixer {
  push(body: Buffer): readonly Buffer[];
  /** Throws a WireFault if a reply that succeeded ended within a row: then the names were not put in front of rows. */
  end(isOk: boolean): readonly Buffer[];
}

/**
 * Puts the user's name in front of each row: clients of the 2.3 series expect it after `-A` or a wildcard `-u`, and backends do not send
 * it. Called with the pieces of one reply in order.
 */
export function createRowPrefixer(user: string, rows: ReplyRows): RowPrefixer {
  const name = Buffer.from(`${escapeText(user)}\t`);
  let head: ReplyHead | undefined = new ReplyHead(rows);
  let cells = 0;
  let left = 0;
  const prefix = (body: Buffer): readonly Buffer[] => {
    const parts: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < body.length) {
      if (left === 0) {
        // A row begins with this byte.
        if (at > from) parts.push(body.subarray(from, at));
        parts.push(name);
        from = at;
        left = cells;
      }
      const end = body.indexOf(tab, at);
      if (end < 0) break;
      left -= 1;
      at = end + 1;
    }
    if (from < body.length) parts.push(body.subarray(from));
    return parts;
  };
  const decided = ({ shape, body }: DecidedRows): readonly Buffer[] => {
    head = undefined;
    cells = shape.columns.length;
    return cells === 0 ? [body] : prefix(body);
  };
  return {
    push(body) {
      if (head === undefined) return cells === 0 ? [body] : prefix(body);
      const found = head.push(body);
      return found === undefined ? [] : decided(found);
    },
    end(isOk) {
      const rest = head === undefined || head.isEmpty ? [] : decided(head.end());
      if (isOk && left > 0) throw endsWithinRow();
      return rest;
    },
  };
}
