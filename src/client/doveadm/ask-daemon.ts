// Sends one of dovegate's own commands to the daemon: over a socket as the calling user, or over HTTP with a key. It reads no
// configuration.

import { isAccessDenied, whyDenied } from '../../host/machine/denied.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import type { AnswerRow } from '../../rules/answers/rights.js';
import { CommandFailed, connect, SessionFault } from '../connect.js';
import {
  askDoor,
  type DoorOptions,
  exitCodeOf,
  findHttpDoor,
  parseServerAddress,
  type ServerDoor,
} from './server-door.js';

type Place = string | (DoorOptions & { readonly http: string });

const patienceMs = 30_000;

/** The rows of the answer, converted by `read`. Rejects with a CommandFault; 69: no dovegate answers there. */
export async function askDaemon<Answer>(
  place: Place,
  name: string,
  args: readonly string[],
  read: (rows: readonly AnswerRow[]) => Answer | undefined,
): Promise<Answer> {
  const socket = typeof place === 'string' ? place : place.http;
  try {
    const rows = await askDoor(await doorOf(place), patienceMs, (session, signal) =>
      session.run({ name, args, columns: 2, signal }),
    );
    const answer = read(rows.map(([what, value]): AnswerRow => [String(what), String(value)]));
    if (answer !== undefined) return answer;
  } catch (fault) {
    if (fault instanceof CommandFailed) throw faultOf(exitCodeOf(fault.code), `${socket}: ${fault.message}`);
    if (!(fault instanceof SessionFault)) throw fault;
    if (isAccessDenied(fault)) throw faultOf(exitCodes.notPermitted, whyDenied(socket));
    throw faultOf(exitCodes.unavailable, `${socket}: ${fault.message}`);
  }
  throw faultOf(exitCodes.unavailable, `${socket}: the server there is not dovegate`);
}

async function doorOf(place: Place): Promise<ServerDoor> {
  if (typeof place !== 'string') return findHttpDoor(place.http, undefined, place);
  const address = parseServerAddress(place);
  if (address !== undefined)
    return { name: place, open: (_onLog, signal) => connect({ ...address, signal }) };
  throw faultOf(
    exitCodes.usage,
    `${place}: neither HOST:PORT nor the path of a socket, which has a slash, as ./NAME`,
  );
}

function faultOf(code: number, text: string): CommandFault {
  return new CommandFault(code, `dovegate: ${text}`);
}
