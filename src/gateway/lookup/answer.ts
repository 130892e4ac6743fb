// Owns what is kept of a reply of the auth service: who was found, and the fields by which users are routed.
// It does not know which backends there are.
// The rule: fields are kept by a list of their names, and all others are dropped here. `pass` is the next hop's password in
// clear, a userdb may hand out keys, and nobody knows what an operator's own fields hold.
import { decodeUtf8 } from '../../protocol/escape.js';
import type { AuthField, AuthReply } from './auth-reply.js';
import type { QuestionKind } from './question.js';

/** Why there is no answer although a reply came. */
export type AnswerFailure =
  /** FAIL: the service's databases do not work, or we may not ask. */
  | 'auth-failed'
  /** FAIL for good: none of the passdbs can be asked without a password. */
  | 'passdb-unsupported'
  /** A name or a field that is no text, or no name at all. */
  | 'bad-answer';

/** The answer to a question about one user. */
export type AuthAnswer =
  /**
   * `user` as the database wrote it: not normalised, not looked up again. A field is set when its key is there; one without a
   * value has the value ''.
   */
  | { readonly kind: 'found'; readonly user: string; readonly fields: ReadonlyMap<string, string> }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'failed'; readonly code: AnswerFailure };

/** Fields that say where a user is served. */
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

/** What a reply says to a question of that kind; undefined: it is no reply to such a question. */
export function answerOf(asked: QuestionKind, reply: AuthReply): AuthAnswer | undefined {
  switch (reply.kind) {
    case 'pass':
      return asked === 'pass' ? found(reply.fields.find(isUser)?.value, reply.fields) : undefined;
    case 'user':
      return asked === 'user' ? found(reply.user, reply.fields) : undefined;
    case 'not-found':
      return { kind: 'not-found' };
    case 'fail': {
      const isUnsupported = reply.reason?.toString('latin1') === unsupportedReason;
      return { kind: 'failed', code: isUnsupported ? 'passdb-unsupported' : 'auth-failed' };
    }
    case 'listed':
    case 'list-done':
    case 'done':
      return undefined;
    default:
      return reply satisfies never;
  }
}

function isUser(field: AuthField): boolean {
  return field.key === 'user';
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

/** A copy; undefined where it is no UTF-8, or has control characters, with which no name and no address is sound. */
function textOf(bytes: Buffer | undefined): string | undefined {
  const text = bytes === undefined ? undefined : decodeUtf8(bytes);
  return text === undefined || /[\0-\x1f\x7f]/.test(text) ? undefined : text;
}
