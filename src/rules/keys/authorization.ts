// Where a request of HTTP carries its key or its password: the header Authorization.
//
//     X-Dovecot-API base64(KEY)        also with the key as it is: some clients leave base64 out
//     Basic base64(doveadm:KEY)        also with the key's name as user name
//     Basic base64(ACCOUNT:PASSWORD)
//     Bearer KEY
//
// This only parses. A text that it calls a key may be invalid; the comparison shows that, and counts it.
import { predicateOf } from '../../host/kinds/kinds.js';
import { isKey, keyPrefix } from './key.js';

export type Authorization =
  | { readonly kind: 'none' }
  /** An unknown scheme, or an unreadable value: refused, and counted. */
  | { readonly kind: 'malformed' }
  | {
      readonly kind: 'key';
      readonly text: string;
      readonly name: string | undefined;
    }
  | { readonly kind: 'password'; readonly user: string; readonly password: Buffer };

export const isAuthorization = predicateOf<Authorization>();

/** The user name of Dovecot's own HTTP; it names no key. */
const dovecotUser = 'doveadm';

const none: Authorization = { kind: 'none' };
const malformed: Authorization = { kind: 'malformed' };

/** `header`: the value of Authorization; undefined: the request has none. */
export function readAuthorization(header: string | undefined): Authorization {
  const text = header?.trim() ?? '';
  if (text === '') return none;
  const [, scheme = '', value = ''] = /^(\S+)[ \t]+(.*)$/s.exec(text) ?? [];
  switch (scheme.toLowerCase()) {
    case 'x-dovecot-api':
      return readDovecotKey(value);
    case 'basic':
      return readBasic(value);
    case 'bearer':
      return value === '' ? malformed : { kind: 'key', text: value, name: undefined };
    default:
      return malformed;
  }
}

/** A value that does not decode to a key is used as it is. */
function readDovecotKey(value: string): Authorization {
  if (value === '') return malformed;
  const decoded = decodeBase64(value)?.toString('latin1');
  const text = decoded !== undefined && isKey(decoded) ? decoded : value;
  return { kind: 'key', text, name: undefined };
}

/** A text that begins like a key counts as one, even if mistyped: as a password it would cost a hash, and never be right. */
function readBasic(value: string): Authorization {
  const bytes = decodeBase64(value);
  const colon = bytes?.indexOf(':') ?? -1;
  if (bytes === undefined || colon < 0) return malformed;
  const user = bytes.toString('utf8', 0, colon);
  const password = bytes.subarray(colon + 1);
  if (!password.toString('latin1', 0, keyPrefix.length).startsWith(keyPrefix))
    return { kind: 'password', user, password };
  const name = user === dovecotUser ? undefined : user;
  return { kind: 'key', text: password.toString('latin1'), name };
}

/** With or without its padding; undefined: it is not base64. */
function decodeBase64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}
