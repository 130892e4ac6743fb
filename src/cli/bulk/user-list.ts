// Whom a bulk run is for: names from a file, from stdin or from the server, each of them once. Two spellings that dovegate takes for one
// user (capital letters, a missing domain) are one user here too; the first one is sent.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { bounds } from '../../bounds/bounds.js';
import { CommandFault } from '../output/output.js';
import { sysexits } from './run-state.js';

export interface UserList {
  /** By normal name: as it was written first. */
  readonly users: ReadonlyMap<string, string>;
  /** Lines that named somebody again. */
  readonly repeated: number;
  /** Of the normal names in their order. */
  readonly hash: string;
}

export type ListSource =
  | { readonly kind: 'mask'; readonly mask: string }
  /** `-`: stdin. */
  | { readonly kind: 'file'; readonly path: string };

/** A mask has `*` or `?` and no slash. */
export function listSourceOf(text: string): ListSource {
  return /[*?]/.test(text) && !text.includes('/')
    ? { kind: 'mask', mask: text }
    : { kind: 'file', path: text };
}

/** One name a line; empty lines, and lines that begin with `#`, are left out. Rejects with a CommandFault. */
export async function* linesOf(path: string, signal: AbortSignal): AsyncGenerator<string> {
  const input = path === '-' ? process.stdin : createReadStream(path);
  let lineBytes = 0;
  input.on('data', (piece: Buffer | string) => {
    const end = piece.lastIndexOf('\n');
    lineBytes = end < 0 ? lineBytes + piece.length : piece.length - end - 1;
    // Else a device, or a file that is no list, would be kept whole.
    if (lineBytes > lineBytesMax) input.destroy(new Error(`a line has more than ${lineBytesMax} bytes`));
  });
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, signal })) {
      const name = line.trim();
      if (name !== '' && !name.startsWith('#')) yield name;
    }
  } catch (cause) {
    throw new CommandFault(sysexits.dataErr, `the list of users ${path} cannot be read`, cause);
  }
  // An interface that was ended so looks like the end of the list.
  signal.throwIfAborted();
}

/** Whether a list has names with a domain and names without one, of which two may be one user; `bare`: a name without. */
export function bareNameAmongOthers(names: readonly string[]): string | undefined {
  if (!names.some((name) => name.includes('@'))) return undefined;
  return names.find((name) => !name.includes('@') && whyNoName(name) === undefined);
}

const usersMax = bounds.bulkUsers;
const nameBytesMax = 320;
const lineBytesMax = bounds.bulkLineBytes;

/** All lines of a list. Rejects with a CommandFault for one that is too long, before it is read to its end. */
export async function readNames(lines: AsyncIterable<string>, linesMax = usersMax): Promise<string[]> {
  const names: string[] = [];
  for await (const name of lines) {
    if (names.push(name) > linesMax) throw tooMany(linesMax);
  }
  return names;
}

function tooMany(linesMax: number): CommandFault {
  return new CommandFault(sysexits.dataErr, `the list has more than ${linesMax} lines: use several`);
}

/** `realm`: what the server appends to names without a domain; empty: nothing. */
export function makeUserList(names: readonly string[], realm: string): UserList {
  if (names.length > usersMax) throw tooMany(usersMax);
  const users = new Map<string, string>();
  const hash = createHash('sha256');
  for (const name of names) {
    const folded = name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    const normal = realm === '' || folded.includes('@') ? folded : `${folded}@${realm}`;
    if (users.has(normal)) continue;
    users.set(normal, name);
    hash.update(`${normal}\n`);
  }
  return { users, repeated: names.length - users.size, hash: hash.digest('hex') };
}

/** Why a text can be no user's name; undefined: it may be one. Such a name is sent nowhere. */
export function whyNoName(name: string): string | undefined {
  if (Buffer.byteLength(name) > nameBytesMax) return `the name is longer than ${nameBytesMax} bytes`;
  if (name !== name.trim() || name === '') return 'the name begins or ends with a blank';
  // Over HTTP `*` would be everybody, and other masks are nobody's name.
  if (/[*?]/.test(name)) return 'it is a mask, not the name of a user';
  // U+FFFD stands for bytes that are no UTF-8; half of a pair (Cs) would become it on its way, and be another name.
  const isText = !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufffd]/u.test(name);
  return isText ? undefined : 'the name holds a character that no name has';
}
