// The users of a bulk run: names from a file, from stdin or from the server, each once. Two spellings of one user for dovegate
// (a missing domain, capital letters unless it keeps them) are one user here too; the first one is sent.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { foldFor, type NameCase } from '../../doveadm/names/user-name.js';
import { CommandFault } from '../../host/output/output.js';
import { sysexits } from './run-state.js';

export interface UserList {
  /** By normal name: the first spelling. */
  readonly users: ReadonlyMap<string, string>;
  readonly repeated: number;
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

/** One name a line; empty lines and lines that begin with `#` are skipped. Rejects with a CommandFault. */
export async function* linesOf(path: string, signal: AbortSignal): AsyncGenerator<string> {
  const input = path === '-' ? process.stdin : createReadStream(path);
  let lineBytes = 0;
  input.on('data', (piece: Buffer | string) => {
    const end = piece.lastIndexOf('\n');
    lineBytes = end < 0 ? lineBytes + piece.length : piece.length - end - 1;
    // Otherwise a device, or a file that is not a list, would be held whole.
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
  // To the loop, an interface that the signal ended looks like the end of the list.
  signal.throwIfAborted();
}

/** Whether a list has names with a domain and names without one, two of which may be one user; `bare`: a name without. */
export function bareNameAmongOthers(names: readonly string[]): string | undefined {
  if (!names.some((name) => name.includes('@'))) return undefined;
  return names.find((name) => !name.includes('@') && whyNoName(name) === undefined);
}

const usersMax = 5_000_000;
const nameBytesMax = 320;
const lineBytesMax = 1024 ** 2;

/** All lines of a list. Rejects with a CommandFault for a list that is too long, before its end. */
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

/** `realm`: what the server appends to names without a domain. `nameCase`: whether two cases are one user to it. */
export function makeUserList(names: readonly string[], realm: string, nameCase: NameCase): UserList {
  if (names.length > usersMax) throw tooMany(usersMax);
  const users = new Map<string, string>();
  const hash = createHash('sha256');
  for (const name of names) {
    const folded = foldFor(nameCase)(name);
    const normal = realm === '' || folded.includes('@') ? folded : `${folded}@${realm}`;
    if (users.has(normal)) continue;
    users.set(normal, name);
    hash.update(`${normal}\n`);
  }
  return { users, repeated: names.length - users.size, hash: hash.digest('hex') };
}

/** Why a text cannot be a user's name; undefined: it can. Such a name is never sent. */
export function whyNoName(name: string): string | undefined {
  if (Buffer.byteLength(name) > nameBytesMax) return `the name is longer than ${nameBytesMax} bytes`;
  if (name !== name.trim() || name === '') return 'the name begins or ends with a blank';
  // Over HTTP `*` would mean all users, and other masks are never a name.
  if (/[*?]/.test(name)) return 'it is a mask, not the name of a user';
  // U+FFFD stands for bytes that are not UTF-8; a lone surrogate (Cs) would become it in transit, and mean another name.
  const isText = !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufffd]/u.test(name);
  return isText ? undefined : 'the name holds a character that no name has';
}
