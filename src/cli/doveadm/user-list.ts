// Whom a command is asked for: one user, those of a file here, or those whom the server lists for a mask. Users are asked for over the
// same socket, on a session of its own: a server command and mail commands do not go together on one.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { CommandFailed, SessionFault } from '../../client/connect.js';
import { CommandFault } from '../output/command-fault.js';
import { exitCodeOf, tempFail } from './doveadm-exit.js';
import type { ServerDoor } from './server-door.js';
import { parseUserList } from './user-reply.js';

/** Where the names come from. */
export type UserSource =
  | { readonly kind: 'one'; readonly user: string }
  | { readonly kind: 'mask'; readonly mask: string }
  /** One name a line; `-` is stdin. */
  | { readonly kind: 'file'; readonly path: string };

/** The names, in their order. Throws a CommandFault when they cannot be had. */
export async function* listUsers(
  source: UserSource,
  door: ServerDoor,
  signal: AbortSignal,
): AsyncGenerator<string> {
  switch (source.kind) {
    case 'one':
      yield source.user;
      return;
    case 'mask':
      yield* await askUsers(source.mask, door, signal);
      return;
    case 'file': {
      const input = source.path === '-' ? process.stdin : createReadStream(source.path);
      try {
        for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) yield line;
      } catch (cause) {
        throw new CommandFault(tempFail, `${source.path}: cannot be read`, cause);
      }
      return;
    }
    default:
      source satisfies never;
  }
}

async function askUsers(mask: string, door: ServerDoor, signal: AbortSignal): Promise<readonly string[]> {
  const why = 'the users cannot be listed';
  try {
    await using session = await door.open(() => undefined, signal);
    const rows = await session.run({ name: 'user', args: ['--', mask], signal });
    const users = parseUserList(rows.flat().join(''));
    if (users === undefined) throw new CommandFault(tempFail, `${why}: what ${door.name} said is no list`);
    return users;
  } catch (fault) {
    if (fault instanceof CommandFailed)
      throw new CommandFault(exitCodeOf(fault.code), `${why}: ${fault.message}`);
    if (fault instanceof SessionFault) throw new CommandFault(tempFail, `${why}: ${fault.message}`);
    throw fault;
  }
}
