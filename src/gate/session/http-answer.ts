// Writes the answer to one HTTP request: an array with an entry for each command, rows as objects or an error. The answer has no rows of a
// failed command. A small answer goes out whole with its length. A larger one goes out as it grows, and gets no end if it breaks off, so
// that no client reads it as JSON.

import type { Code, Said } from '../../doveadm/codes/codes.js';
import { errorTypeOf } from '../../doveadm/commands/named.js';
import {
  type AnswerErrorType,
  answersBegin,
  answersBetween,
  answersEnd,
  encodeError,
  responseBegin,
  responseEnd,
} from '../../doveadm/http-api/answer.js';
import {
  type AnswerEncoder,
  createJsonEncoder,
  createObjectsEncoder,
  createRowsEncoder,
  createUserFilter,
  usernameColumn,
} from '../../doveadm/http-api/rows.js';
import { type ReplyShape, replyRows } from '../../doveadm/meaning/columns.js';
import { maskCovers } from '../../doveadm/names/mask.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import { exitCodeOf, type LogType } from '../../doveadm/reply/reply.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { ByteBudget } from '../../host/concurrency/limits.js';
import { WireFault } from '../../host/ports/faults.js';
import type { HttpHead, HttpRequest, Transport } from '../../host/ports/transport.js';
import { foldAscii } from '../../host/words/text.js';
import type { Judged } from '../../rules/policy/judge.js';
import { type Ending, isEnding, type Verdict } from '../outcome/outcome.js';
import { type DecidedRows, ReplyHead, type ReplyTarget } from '../relay/reply-writer.js';

/** In place of `bounds.httpAnswerBytes` while the memory of all sessions is used up. */
const crowdedBytesMax = 64 * 1024;
const messageMax = 1024;
/** The exit code of Dovecot's own HTTP for a full mailbox. */
const overQuotaExit = 73;
const cutRow = 'a reply that succeeded ended within a row';

/** The headers of an answer that is a sentence. */
export const plain: HttpHead['headers'] = [['Content-Type', 'text/plain; charset=utf-8']];
export function codeHeader(code: Code): readonly [string, string] {
  return ['Dovegate-Code', code];
}
/** The code of an ending without a sentence, whose effect is unknown. */
const unexplained: Code = 'outcome-unknown';
/** The answer to one own command, without an array of commands: rows, or the objects in the rows (a list of them, or the only one). */
export type BareForm = 'rows' | 'objects' | 'object';

/** HTTP statuses of failures in a bare answer; any other is 503. */
const statusOfCode: Readonly<Partial<Record<string, number>>> = {
  NOPERM: 403,
  NOTFOUND: 404,
  USAGE: 400,
};

const ownColumns = ['what', 'value'].map((key) => ({ key, isNumber: false }));

interface Failure {
  readonly type: AnswerErrorType;
  readonly exitCode: number;
  readonly message: string | undefined;
  readonly code: Code;
  readonly retryAfterS?: number | undefined;
}

/** One for each request; `startCommand` and `endCommand` for each of its commands. */
export class HttpAnswer implements ReplyTarget {
  bytesOut = 0;
  /** Rows that broke off are dropped, or end the connection. */
  readonly isMidCell = false;
  /** An answer that began cannot be completed: the connection must be reset. */
  isBroken = false;
  readonly #request: HttpRequest;
  readonly #transport: Transport;
  readonly #head: HttpHead;
  readonly #buffered: ByteBudget;
  readonly #origin: string;
  #counted = 0;
  readonly #bare: BareForm | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #rows: Buffer[] = [];
  #rowsBytes = 0;
  #isStreaming = false;
  #commands = 0;
  /** Rows of other users are left out. */
  #userMask: string | undefined;
  #columns: string | undefined;
  #opening: ReplyHead | undefined;
  /** Rows begin with the user's name. */
  #isOfMany = false;
  #encoder: AnswerEncoder | undefined;
  #areRowsSent = false;
  #isOk = false;
  #failure: Failure | undefined;
  /** HTTP status of a failed bare answer. */
  #failedStatus = 503;
  #message: string | undefined;
  #code: Code | undefined;

  /** `bare`: the answer is that of its only command, without an array around it. */
  constructor(
    request: HttpRequest,
    transport: Transport,
    head: HttpHead,
    buffered: ByteBudget,
    origin: string,
    bare?: BareForm,
  ) {
    this.#buffered = buffered;
    this.#origin = origin;
    this.#bare = bare;
    this.#request = request;
    this.#transport = transport;
    this.#head = head;
  }

  get takenBytes(): number {
    return this.#transport.takenBytes;
  }

  /** `userMask`: only rows of these users are shown, in lower case; undefined: all rows. */
  startCommand(userMask: string | undefined): void {
    this.#commands += 1;
    this.#userMask = userMask;
    this.#columns = undefined;
    this.#opening = undefined;
    this.#encoder = undefined;
    this.#areRowsSent = false;
    this.#isOk = false;
    this.#failure = undefined;
    this.#message = undefined;
    this.#code = undefined;
    this.#rows = [];
    this.#rowsBytes = 0;
  }

  /** On several backends, all replies must have the same columns, and a row must not go on in another reply. */
  expect({ attempt }: Judged, server: Server): boolean {
    if (this.#opening?.isEmpty === false) this.#encode(this.#openRows(this.#opening.end()));
    if (this.#encoder?.isWithinRow === true) return false;
    this.#opening = undefined;
    if (attempt.command.name === 'user') {
      this.#encoder ??= createJsonEncoder();
      return true;
    }
    this.#isOfMany = attempt.command.scope === 'user' && attempt.parsed.values.has('all-users');
    const rows = replyRows(attempt.parsed, { server, hasUsers: this.#isOfMany });
    if (rows === undefined || attempt.command.input === 'duplex') return false;
    if (rows.decidedBy === 0) return this.#expectRows(rows.shapeFrom([]));
    this.#opening = new ReplyHead(rows);
    return true;
  }

  /** Returns false if the rows so far have other columns. */
  #expectRows(shape: ReplyShape | undefined): boolean {
    if (shape === undefined) return false;
    const columns = [...(this.#isOfMany ? [usernameColumn] : []), ...shape.columns];
    const key = columns.map((column) => column.key).join('\0');
    if (this.#encoder !== undefined) return key === this.#columns;
    this.#columns = key;
    const mask = this.#isOfMany ? this.#userMask : undefined;
    const encoder = createRowsEncoder(columns);
    this.#encoder =
      mask === undefined || shape.columns.length === 0
        ? encoder
        : createUserFilter(encoder, columns.length, (name) => maskCovers(mask, foldAscii(name)));
    return true;
  }

  #openRows({ shape, body }: DecidedRows): Buffer {
    this.#opening = undefined;
    if (this.#expectRows(shape)) return body;
    throw new WireFault('bad-frame', 'the rows of its backends have different columns');
  }

  addBody(bytes: Buffer): void {
    if (this.#opening === undefined) return this.#encode(bytes);
    const decided = this.#opening.push(bytes);
    if (decided !== undefined) this.#encode(this.#openRows(decided));
  }

  #encode(bytes: Buffer): void {
    // Answers of dovegate itself have rows of one form.
    this.#encoder ??= this.#ownEncoder();
    const json = this.#encoder.push(bytes);
    if (json.length > 0) this.#addRows(json);
    this.#count();
  }

  /** Only lines that explain a failure are kept. */
  addLog(type: LogType, text: string): void {
    if (type === 'error' || type === 'fatal' || type === 'panic') this.#message = text;
  }

  say(type: LogType, { code, sentence }: Said): void {
    if (type !== 'error') return;
    this.#message = sentence;
    this.#code = code;
  }

  addRawStatus(line: Buffer, lastLog: string): void {
    const status = line.toString('latin1');
    if (status.startsWith('+')) {
      const broken = this.#complete();
      if (broken === undefined) return;
      throw new WireFault('bad-frame', broken);
    }
    const code = /^-([^\t]*)/.exec(status)?.[1] ?? '';
    // A bare `-` means no more than UNKNOWN.
    const exitCode = exitCodeOf(code === '' ? 'UNKNOWN' : code);
    const isOverQuota = exitCode === -1 && /quota exceeded/i.test(lastLog);
    const failure = { type: 'exitCode', exitCode: isOverQuota ? overQuotaExit : exitCode } as const;
    const said = isOverQuota ? 'over-quota' : (this.#code ?? 'backend-failed');
    this.#fail({ ...failure, message: this.#message, code: said });
  }

  addEnd(ending: Ending, verdict: Verdict, _id: string): string {
    const { code = 'TEMPFAIL', clientCode, text, retryAfterS } = verdict;
    if (code === '') {
      const message = this.#complete();
      if (message === undefined) return '+';
      // With several backends a cut row is noticed only here: their statuses do not come through `addRawStatus`.
      const exitCode = exitCodeOf('TEMPFAIL');
      this.#fail({ type: 'exitCode', exitCode, message, code: 'reply-bad-frame' });
      return '-TEMPFAIL';
    }
    this.#failedStatus = statusOfCode[code] ?? 503;
    const more = { message: clientCode && text, code: clientCode ?? unexplained, retryAfterS };
    const exitCode = exitCodeOf(code);
    if (isEnding(ending, 'denied')) this.#fail({ type: 'unAuthorized', exitCode, ...more });
    else if (isEnding(ending, 'unparsable')) {
      const type = errorTypeOf(ending.code);
      this.#fail({ type, exitCode: type === 'exitCode' ? exitCode : 0, ...more });
    } else {
      this.#fail({ type: 'exitCode', exitCode, ...more });
    }
    return `-${code}`;
  }

  flush(unsentBytesMax: number): Promise<void> | undefined {
    // The HTTP status of a bare answer is known only at its end.
    if (this.#bare !== undefined) return undefined;
    if (!this.#isStreaming) {
      const most = this.#buffered.isFullFor(this.#origin) ? crowdedBytesMax : bounds.httpAnswerBytes;
      if (this.#heldBytes + this.#rowsBytes <= most) return undefined;
      this.#isStreaming = true;
      this.#request.begin(this.#head);
    }
    const drained = this.#request.write(this.#takeAll());
    this.#count();
    if (drained === undefined || this.#request.unsentBytes > unsentBytesMax) return drained;
    // The transport reports a client that is gone.
    drained.catch(() => undefined);
    return undefined;
  }

  /** Called after the exchange of the command; `id`: the exchange's. */
  endCommand(tag: string, id: string | undefined): void {
    if (this.#failure === undefined && this.#isOk) {
      if (this.#bare === undefined) this.#add(responseEnd(tag));
      this.#keep();
      return;
    }
    if (this.#areRowsSent) {
      this.isBroken = true;
      return;
    }
    const failure: Failure = this.#failure ?? {
      type: 'exitCode',
      exitCode: exitCodeOf('TEMPFAIL'),
      message: undefined,
      code: unexplained,
    };
    const { message = this.#message, ...rest } = failure;
    const shown = message?.slice(0, messageMax);
    this.#add(this.#before);
    this.#add(encodeError({ ...rest, message: shown, id }, tag));
    this.#keep();
  }

  /** Call after the last command. Resolves when the client has taken the answer; undefined if it already has. */
  finish(): Promise<void> | undefined {
    if (this.#bare !== undefined) return this.#finishBare();
    this.#held.push(Buffer.from(this.#commands === 0 ? `${answersBegin}${answersEnd}` : answersEnd));
    if (!this.#isStreaming) return this.#request.answer(this.#head, Buffer.concat(this.#held));
    void this.#request.write(this.#takeAll())?.catch(() => undefined);
    return this.#request.end();
  }

  close(): void {
    this.#takeAll();
    this.#count();
  }

  /** The HTTP status; valid once its commands have ended. */
  get status(): number {
    return this.#bare !== undefined && this.#failure !== undefined ? this.#failedStatus : this.#head.status;
  }

  #finishBare(): Promise<void> | undefined {
    const { status } = this;
    const message = this.#failure?.message ?? '';
    const failed = this.#failure?.code;
    const headers = failed === undefined ? this.#head.headers : [...plain, codeHeader(failed)];
    const body = this.#failure === undefined ? Buffer.concat(this.#held) : Buffer.from(message);
    return this.#request.answer({ ...this.#head, status, headers }, body);
  }

  /** Returns why the rows are not whole or their columns not known, else undefined. */
  #complete(): string | undefined {
    try {
      const opening =
        this.#opening?.isEmpty === true && this.#encoder !== undefined ? undefined : this.#opening;
      if (opening !== undefined) this.#encode(this.#openRows(opening.end()));
    } catch (fault) {
      if (fault instanceof WireFault) return fault.message;
      throw fault;
    }
    this.#encoder ??= this.#bare === undefined ? undefined : this.#ownEncoder();
    const rest = this.#encoder === undefined ? '[]' : this.#encoder.end();
    if (rest === undefined) return cutRow;
    this.#addRows(Buffer.from(rest));
    this.#isOk = true;
    return undefined;
  }

  #ownEncoder(): AnswerEncoder {
    if (this.#bare === undefined || this.#bare === 'rows') return createRowsEncoder(ownColumns);
    return createObjectsEncoder(this.#bare === 'objects');
  }

  #fail(failure: Failure): void {
    this.#failure = failure;
    this.#rows = [];
    this.#rowsBytes = 0;
  }

  get #before(): string {
    return this.#commands === 1 ? answersBegin : answersBetween;
  }

  #count(): void {
    const held = this.#heldBytes + this.#rowsBytes;
    if (held > this.#counted) this.#buffered.take(held - this.#counted, this.#origin);
    else if (held < this.#counted) this.#buffered.give(this.#counted - held, this.#origin);
    this.#counted = held;
  }

  #addRows(json: Buffer): void {
    if (this.#rowsBytes === 0 && !this.#areRowsSent && this.#bare === undefined)
      this.#add(`${this.#before}${responseBegin}`);
    this.#addBytes(json);
  }

  #add(json: string): void {
    this.#addBytes(Buffer.from(json));
  }

  #addBytes(bytes: Buffer): void {
    this.#rows.push(bytes);
    this.#rowsBytes += bytes.length;
    this.bytesOut += bytes.length;
  }

  /** From here on the rows of the ended command are final. */
  #keep(): void {
    this.#held.push(...this.#rows);
    this.#heldBytes += this.#rowsBytes;
    this.#rows = [];
    this.#rowsBytes = 0;
  }

  #takeAll(): Buffer[] {
    if (this.#rowsBytes > 0) this.#areRowsSent = true;
    this.#keep();
    const all = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    return all;
  }
}
