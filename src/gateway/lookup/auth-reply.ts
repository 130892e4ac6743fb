// Owns the lines with which Dovecot's auth service answers.
//
//     USER TAB 7 TAB alice@example.org TAB uid=1000 TAB home=/srv/mail/alice
//     PASS TAB 8 TAB user=alice@example.org TAB proxy=y TAB host=192.0.2.1 TAB pass=...
//     NOTFOUND TAB 9          FAIL TAB 9 TAB reason=TEXT
//     LIST TAB 4 TAB bob@example.org          DONE TAB 4 TAB          DONE TAB 4 TAB fail
//
// It does not know which question a reply belongs to, nor what the fields mean.
// The rule: a PASS reply may hold the password of the next hop in clear, so a line goes into no message and no log.
import { splitRaw, unescapeLenient } from '../../protocol/escape.js';
import { WireFault } from '../../protocol/wire-fault.js';
import { questionIdMax } from './question.js';

/** `key=value`, or `key` alone (2.3 writes `nologin` where 2.4 writes `nologin=`). */
export interface AuthField {
  readonly key: string;
  /** Unescaped; often a slice of the chunk. */
  readonly value: Buffer | undefined;
}

/** One line of the service, which answers the question of that id. */
export type AuthReply =
  | { readonly kind: 'pass'; readonly id: number; readonly fields: readonly AuthField[] }
  | {
      readonly kind: 'user';
      readonly id: number;
      readonly user: Buffer;
      readonly fields: readonly AuthField[];
    }
  /** Unknown, or disabled, expired, of characters that the service does not take, or outside of `allow_nets`. */
  | { readonly kind: 'not-found'; readonly id: number }
  /** A failure that may pass, or we may not ask: nothing but the service's own log tells which. */
  | { readonly kind: 'fail'; readonly id: number; readonly reason: Buffer | undefined }
  | { readonly kind: 'listed'; readonly id: number; readonly user: Buffer }
  /** Not complete: refused, or broken off. */
  | { readonly kind: 'list-done'; readonly id: number; readonly isComplete: boolean }
  /** Of CACHE-FLUSH, which only a listener of type master takes. */
  | { readonly kind: 'done'; readonly id: number; readonly words: readonly Buffer[] };

/** What a reply may be made of. */
export interface AuthReplyLimits {
  /** Fields of one reply. Stops lines of nothing but TABs, which cost more memory than their bytes. */
  readonly fieldsMax: number;
}

const EQUALS = 0x3d;
const TAB = 0x09;
const idGrammar = /^[0-9]{1,10}$/;
const reasonKey = Buffer.from('reason=');

/** Reads a line without its LF. Throws WireFault bad-status for what is no reply. */
export function parseAuthReply(line: Buffer, limits: AuthReplyLimits): AuthReply {
  const nameEnd = endOf(line, 0);
  const idEnd = endOf(line, nameEnd + 1);
  const name = line.toString('latin1', 0, nameEnd);
  const id = parseId(line.toString('latin1', nameEnd + 1, idEnd));
  const rest = line.subarray(idEnd + 1);
  switch (name) {
    case 'PASS':
      return { kind: 'pass', id, fields: fieldsOf(splitWithin(rest, limits)) };
    case 'USER': {
      const [user, ...fields] = splitWithin(rest, limits);
      if (user === undefined || user.length === 0) throw noReply('a USER reply names nobody');
      return { kind: 'user', id, user: unescapeLenient(user), fields: fieldsOf(fields) };
    }
    case 'NOTFOUND':
      return { kind: 'not-found', id };
    case 'FAIL': {
      // The one field of its kind that is written without escaping: a TAB in it is part of it.
      const isReason = rest.subarray(0, reasonKey.length).equals(reasonKey);
      return { kind: 'fail', id, reason: isReason ? rest.subarray(reasonKey.length) : undefined };
    }
    case 'LIST': {
      const [user] = splitWithin(rest, limits);
      if (user === undefined || user.length === 0) throw noReply('a LIST reply names nobody');
      return { kind: 'listed', id, user: unescapeLenient(user) };
    }
    case 'DONE': {
      const words = splitWithin(rest, limits);
      return { kind: 'list-done', id, isComplete: !words.some((word) => word.toString('latin1') === 'fail') };
    }
    case 'OK': {
      const words = splitWithin(rest, limits).filter((word) => word.length > 0);
      return { kind: 'done', id, words: words.map(unescapeLenient) };
    }
    default:
      throw noReply('a line is no reply of the auth service');
  }
}

/** Where the field that begins at `from` ends. */
function endOf(line: Buffer, from: number): number {
  const tab = line.indexOf(TAB, from);
  return tab < 0 ? line.length : tab;
}

function parseId(text: string): number {
  const id = idGrammar.test(text) ? Number(text) : Number.NaN;
  if (!(id <= questionIdMax)) throw noReply('a reply has no id');
  return id;
}

function splitWithin(rest: Buffer, limits: AuthReplyLimits): Buffer[] {
  let count = 1;
  for (let at = rest.indexOf(TAB); at >= 0; at = rest.indexOf(TAB, at + 1)) {
    count += 1;
    if (count > limits.fieldsMax) throw noReply(`a reply has more than ${limits.fieldsMax} fields`);
  }
  return splitRaw(rest);
}

/** Empty ones are left out: 2.3 ends a reply without fields with a TAB. Cut at the first `=`, and unescaped after that. */
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
