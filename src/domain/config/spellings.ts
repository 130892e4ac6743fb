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

/** A list of patterns on users, in the lower case in which users are compared. */
export function userPatterns(cursor: Cursor, key: string): string[] {
  const patterns: string[] = [];
  for (const [index, text] of cursor.words(key).entries()) {
    if (text === '') cursor.error([key, index], 'an empty pattern matches no user; take it out');
    else if (text.length > globLengthMax) {
      cursor.error([key, index], `a pattern can have ${globLengthMax} characters`);
    } else if (/[?[\]]/.test(text)) {
      cursor.error([key, index], 'only * and ** are wildcards here, and user names hold no ? or brackets');
    } else patterns.push(foldAscii(text));
  }
  return patterns;
}
