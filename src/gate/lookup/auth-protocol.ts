// Dovecot's auth service as listeners of type userdb and master speak it (src/auth/auth-master-connection.c of Dovecot), which is not the
// SASL protocol. Bytes in both directions; no socket and no clock.
//
//     we:  VERSION TAB 1 TAB 1 LF                                      at once after connecting
//     it:  VERSION TAB 1 TAB 4 LF   SPID TAB 25893 LF                  its greeting
//     we:  USER TAB 7 TAB alice@example.org TAB service=doveadm LF     userdb: who is this here
//          PASS TAB 8 TAB alice@example.org TAB service=doveadm LF     passdb: where is this user served
//     it:  USER TAB 7 TAB alice@example.org TAB uid=1000 TAB home=/srv/mail/alice LF
//          PASS TAB 8 TAB user=alice@example.org TAB proxy=y TAB host=192.0.2.1 TAB pass=... LF
//          NOTFOUND TAB 9 LF          FAIL TAB 9 TAB reason=TEXT LF
//          LIST TAB 4 TAB bob@example.org LF          DONE TAB 4 TAB LF          OK TAB 5 TAB 12 LF          never asked for here
//
// Replies come in any order and are matched by id. One line that the service does not accept ends the connection with every other question
// on it (measured on 2.3.13 to 2.4.5), so such a line is never written. A PASS reply may hold the next hop's password in clear, so no reply
// line goes into a message or a log, and fields are kept by a list of names.

import { decodeUtf8, LineSplitter, TAB, unescapeLenient } from '../../doveadm/protocol/lines.js';
import { bounds } from '../../host/bounds/bounds.js';
import { WireFault } from '../../host/ports/faults.js';

/** `pass` asks the passdb (where is this user served), `user` the userdb (who is this here). */
export type QuestionKind = 'pass' | 'user';

/** Written at once after connecting, before or after the greeting was read. Nothing depends on the minors. */
export const versionLine = 'VERSION\t1\t1\n';

/** Ids are decimal, from 0 to this; one more ends the connection. */
export const questionIdMax = 0xffff_ffff;

/** A question's bytes with its LF. One more, and the service closes without a word (measured: 1024 works, 1025 does not). */
export const questionBytesMax = bounds.lookupQuestionBytes;

/** Required by every release; it chooses passdbs and settings, and doveadm-server itself sends the same. */
const service = 'service=doveadm';
const nameBytesMax = questionBytesMax - `PASS\t${questionIdMax}\t\t${service}\n`.length;

/**
 * Control characters: an escaped NUL cuts the name, so that `alice<NUL>junk` is answered for alice. `*`: the usual separator between a user
 * and a master user, at which the service would split the name. A lone half of a surrogate pair would be written as another name.
 */
const neverInName = /[\0-\x1f\x7f*\p{Cs}]/u;

export function isAskable(user: string): boolean {
  return user !== '' && !neverInName.test(user) && Buffer.byteLength(user) <= nameBytesMax;
}

/** The question as a line. `user` must be askable. No client address is sent, so a passdb entry with `allow_nets` is not found. */
export function encodeQuestion(kind: QuestionKind, id: number, user: string): Buffer {
  if (!Number.isInteger(id) || id < 0 || id > questionIdMax) throw new RangeError('id is out of range');
  if (!isAskable(user)) throw new RangeError('the name cannot be asked for');
  return Buffer.from(`${kind === 'pass' ? 'PASS' : 'USER'}\t${id}\t${user}\t${service}\n`);
}

/** `key=value`, or `key` alone (2.3 writes `nologin` where 2.4 writes `nologin=`). */
export interface AuthField {
  readonly key: string;
  /** Unescaped; often a slice of the chunk. */
  readonly value: Buffer | undefined;
}

export type AuthReply =
  | {
      readonly kind: QuestionKind;
      readonly id: number;
      readonly user: Buffer | undefined;
      readonly fields: readonly AuthField[];
    }
  /** Unknown; or disabled, expired, with characters that the service does not accept, or outside of `allow_nets`. */
  | { readonly kind: 'not-found'; readonly id: number }
  /** Temporary, or a missing permission: only the service's own log shows which. */
  | { readonly kind: 'fail'; readonly id: number; readonly reason: Buffer | undefined }
  /** LIST, DONE or OK: answers to questions that dovegate never sends. */
  | { readonly kind: 'other'; readonly id: number; readonly name: string; readonly words: readonly Buffer[] };

export interface AuthLimits {
  /** Bytes of a line before its LF. Stops a line without end; the service itself has no limit for a reply. */
  readonly lineBytesMax: number;
  /** Fields of one reply. Stops lines of nothing but TABs, which cost more memory than their bytes. */
  readonly fieldsMax: number;
}

const EQUALS = 0x3d;
const idGrammar = /^[0-9]{1,10}$/;
const reasonKey = Buffer.from('reason=');

/** Parses a line without its LF. Throws WireFault bad-status for anything but a reply. */
export function parseAuthReply(line: Buffer, { fieldsMax }: Pick<AuthLimits, 'fieldsMax'>): AuthReply {
  const nameEnd = endOfField(line, 0);
  const idEnd = endOfField(line, nameEnd + 1);
  const name = line.toString('latin1', 0, nameEnd);
  const idText = line.toString('latin1', nameEnd + 1, idEnd);
  const id = Number(idText);
  if (!idGrammar.test(idText) || id > questionIdMax) throw noReply('a reply has no id');
  const rest = line.subarray(idEnd + 1);
  switch (name) {
    case 'PASS': {
      const fields = fieldsOf(splitWithin(rest, fieldsMax));
      return { kind: 'pass', id, user: fields.find(({ key }) => key === 'user')?.value, fields };
    }
    case 'USER': {
      const [user, ...fields] = splitWithin(rest, fieldsMax);
      if (user === undefined || user.length === 0) throw noReply('a USER reply names nobody');
      return { kind: 'user', id, user: unescapeLenient(user), fields: fieldsOf(fields) };
    }
    case 'NOTFOUND':
      return { kind: 'not-found', id };
    case 'FAIL': {
      // The one field that is written without escaping: a TAB in it is part of it.
      const isReason = rest.subarray(0, reasonKey.length).equals(reasonKey);
      return { kind: 'fail', id, reason: isReason ? rest.subarray(reasonKey.length) : undefined };
    }
    case 'LIST':
    case 'DONE':
    case 'OK':
      return { kind: 'other', id, name, words: splitWithin(rest, fieldsMax).map(unescapeLenient) };
    default:
      throw noReply('a line is no reply of the auth service');
  }
}

function endOfField(line: Buffer, from: number): number {
  const tab = line.indexOf(TAB, from);
  return tab < 0 ? line.length : tab;
}

function splitWithin(rest: Buffer, fieldsMax: number): Buffer[] {
  const fields: Buffer[] = [];
  for (let from = 0; from <= rest.length; ) {
    if (fields.length === fieldsMax) throw noReply(`a reply has more than ${fieldsMax} fields`);
    const end = endOfField(rest, from);
    fields.push(rest.subarray(from, end));
    from = end + 1;
  }
  return fields;
}

/** Skips empty fields: 2.3 ends a reply without fields with a TAB. Each is cut at its first `=` and then unescaped. */
function fieldsOf(raw: readonly Buffer[]): AuthField[] {
  return raw
    .filter((field) => field.length > 0)
    .map((field) => {
      const equals = field.indexOf(EQUALS);
      const key = unescapeLenient(equals < 0 ? field : field.subarray(0, equals)).toString('latin1');
      return { key, value: equals < 0 ? undefined : unescapeLenient(field.subarray(equals + 1)) };
    });
}

function noReply(message: string): WireFault {
  return new WireFault('bad-status', message);
}

export type AnswerFailure =
  /** FAIL: the service's databases do not work, or we lack permission. */
  | 'auth-failed'
  /** FAIL, permanent: every passdb needs a password. */
  | 'passdb-unsupported'
  /** No name, or a name or field that is not UTF-8 or has control characters. */
  | 'bad-answer';

export type AuthAnswer =
  /**
   * `user` as the database wrote it: not normalized, not looked up again. A field is set when its key is there; one without a value has the
   * value ''.
   */
  | { readonly kind: 'found'; readonly user: string; readonly fields: ReadonlyMap<string, string> }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'failed'; readonly code: AnswerFailure };

/**
 * The fields that say where a user is served. All others are dropped here: `pass` is the next hop's password, a userdb may return keys, and
 * an operator's own fields may hold anything.
 */
const keptFields: ReadonlySet<string> = new Set([
  'proxy',
  'proxy_maybe',
  'host',
  'hostip',
  'port',
  'destuser',
  'ssl',
  'starttls',
  'nologin',
]);

/** The reason that every release gives when its passdbs need a password (PAM; measured on 2.3.19.1 and 2.4.1). */
const unsupportedReason = "Configured passdbs don't support credentials lookups";

/** The answer that a reply gives to a question of that kind; undefined: the reply does not fit the question. */
export function answerOf(asked: QuestionKind, reply: AuthReply): AuthAnswer | undefined {
  switch (reply.kind) {
    case 'pass':
    case 'user':
      return reply.kind === asked ? found(reply.user, reply.fields) : undefined;
    case 'not-found':
      return { kind: 'not-found' };
    case 'fail': {
      const isUnsupported = reply.reason?.toString('latin1') === unsupportedReason;
      return { kind: 'failed', code: isUnsupported ? 'passdb-unsupported' : 'auth-failed' };
    }
    case 'other':
      return undefined;
    default:
      return reply satisfies never;
  }
}

function found(name: Buffer | undefined, given: readonly AuthField[]): AuthAnswer {
  const user = textOf(name);
  if (user === undefined || user === '') return { kind: 'failed', code: 'bad-answer' };
  const fields = new Map<string, string>();
  for (const { key, value } of given) {
    if (!keptFields.has(key)) continue;
    const text = value === undefined ? '' : textOf(value);
    if (text === undefined) return { kind: 'failed', code: 'bad-answer' };
    fields.set(key, text);
  }
  return { kind: 'found', user, fields };
}

/** A copy; undefined if it is not UTF-8 or has control characters, which no valid name or address has. */
function textOf(bytes: Buffer | undefined): string | undefined {
  const text = bytes === undefined ? undefined : decodeUtf8(bytes);
  return text === undefined || /[\0-\x1f\x7f]/.test(text) ? undefined : text;
}

export type AuthEvent =
  | { readonly kind: 'greeted' }
  /** This listener speaks the SASL protocol: no further events, whatever is pushed. */
  | { readonly kind: 'wrong-type' }
  | { readonly kind: 'reply'; readonly reply: AuthReply };

const versionGrammar = /^VERSION\t([0-9]{1,10})\t([0-9]{1,10})$/;
const pidGrammar = /^SPID\t[0-9]{1,10}$/;
/** The SASL protocol begins with VERSION and SPID too; these lines follow there. */
const saslGrammar = /^(MECH|CUID|COOKIE)\t|^DONE$/;

/** Decodes everything that the service sends on one connection. Accepts CRLF for LF. */
export class AuthDialogue {
  readonly #limits: AuthLimits;
  readonly #lines: LineSplitter;
  #at: 'version' | 'spid' | 'first-reply' | 'replies' | 'wrong-type' = 'version';

  constructor(limits: AuthLimits) {
    this.#limits = limits;
    this.#lines = new LineSplitter(limits);
  }

  get pendingBytes(): number {
    return this.#lines.pendingBytes;
  }

  /**
   * The events of a chunk. Throws WireFault: bad-version for a first line other than VERSION of major 1, bad-status for anything but a
   * reply, line-too-long.
   */
  push(chunk: Buffer): AuthEvent[] {
    if (this.#at === 'wrong-type') return [];
    const lines = this.#lines;
    lines.push(chunk);
    const events: AuthEvent[] = [];
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      const event = this.#readLine(line);
      if (event === undefined) continue;
      events.push(event);
      if (event.kind === 'wrong-type') lines.takeRest();
    }
    return events;
  }

  #readLine(line: Buffer): AuthEvent | undefined {
    switch (this.#at) {
      case 'version':
        checkVersion(line);
        this.#at = 'spid';
        return undefined;
      case 'spid': {
        const isSpid = pidGrammar.test(line.toString('latin1'));
        this.#at = isSpid ? 'first-reply' : 'wrong-type';
        return { kind: isSpid ? 'greeted' : 'wrong-type' };
      }
      case 'first-reply':
        this.#at = saslGrammar.test(line.toString('latin1')) ? 'wrong-type' : 'replies';
        if (this.#at === 'wrong-type') return { kind: 'wrong-type' };
        return { kind: 'reply', reply: parseAuthReply(line, this.#limits) };
      case 'replies':
        return { kind: 'reply', reply: parseAuthReply(line, this.#limits) };
      case 'wrong-type':
        return undefined;
      default:
        return this.#at satisfies never;
    }
  }
}

function checkVersion(line: Buffer): void {
  const versions = versionGrammar.exec(line.toString('latin1'));
  if (versions === null) throw new WireFault('bad-version', 'not a VERSION line of the auth service');
  if (Number(versions[1]) !== 1 || Number(versions[2]) > 0xffff_ffff)
    throw new WireFault('bad-version', 'another major version of the auth protocol');
}
