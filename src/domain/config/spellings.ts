// Values that several sections have: addresses, paths of sockets, pins of keys, patterns on users.
import { globLengthMax } from '../commands/glob.js';
import { foldAscii } from '../identity/user-name.js';
import type { Cursor } from './cursor.js';

/** `HOST:PORT` or `[IPV6]:PORT`, the host without brackets and in lower case; undefined: neither. */
export function parseHostAndPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? 0);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host: host.toLowerCase(), port };
}

/** Only addresses: a name such as localhost can be made to mean another machine. */
export function isLoopback(host: string): boolean {
  return host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Bytes of a UNIX socket's path without its NUL: what sockaddr_un holds on Linux. */
export const socketPathBytesMax = 107;

/** The path of a UNIX socket, which has room for so many bytes only. */
export function socketPath(cursor: Cursor): string | undefined {
  const unix = cursor.file('unix');
  const bytes = Buffer.byteLength(unix ?? '');
  if (bytes > socketPathBytesMax)
    cursor.error(['unix'], `the path has ${bytes} bytes; a socket's path can have ${socketPathBytesMax}`);
  return unix;
}

/** `key_pins`: hex or base64 (with or without padding) to lower-case hex. */
export function parsePins(cursor: Cursor): string[] {
  return cursor.words('key_pins').flatMap(({ text }, index) => {
    const digits = /^sha256:([0-9A-Fa-f]{64})$/.exec(text)?.[1];
    if (digits !== undefined) return [digits.toLowerCase()];
    const base64 = /^sha256:([A-Za-z0-9+/]{43}=?)$/.exec(text)?.[1];
    const bytes = base64 === undefined ? undefined : Buffer.from(base64, 'base64');
    if (bytes?.length === 32) return [bytes.toString('hex')];
    cursor.error(
      ['key_pins', index],
      'must be "sha256:" and the SHA-256 of the SubjectPublicKeyInfo in base64 or 64 hex digits',
    );
    return [];
  });
}

/** A list of patterns on users, in the lower case in which users are compared. */
export function userPatterns(cursor: Cursor, key: string): string[] {
  const patterns: string[] = [];
  for (const [index, { text }] of cursor.words(key).entries()) {
    if (text === '') cursor.error([key, index], 'an empty pattern matches no user; take it out');
    else if (text.length > globLengthMax) {
      cursor.error([key, index], `a pattern can have ${globLengthMax} characters`);
    } else if (/[?[\]]/.test(text)) {
      cursor.error([key, index], 'only * and ** are wildcards here, and user names hold no ? or brackets');
    } else patterns.push(foldAscii(text));
  }
  return patterns;
}
