// Sends one of dovegate's own commands to the daemon: over a socket as the calling user, or over HTTP with a key. It reads no
// configuration.

import { isAccessDenied, whyDenied } from '../../host/machine/denied.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import type { AnswerRow } from '../../rules/answers/rights.js';
import { CommandFailed, SessionFault } from '../connect.js';
import { type AskedPlace, askRows, exitCodeOf, parseServerAddress } from './server-door.js';

const patienceMs = 30_000;

/** The rows of the answer, converted by `read`. Rejects with a CommandFault; 69: no dovegate answers there. */
export async function askDaemon<Answer>(
  place: AskedPlace,
  name: string,
  args: readonly string[],
  read: (rows: readonly AnswerRow[]) => Answer | undefined,
): Promise<Answer> {
  const faultOf = (code: number, text: string): CommandFault => new CommandFault(code, `dovegate: ${text}`);
  const socket = typeof place === 'string' ? place : place.http;
  if (typeof place === 'string' && parseServerAddress(place) === undefined)
    throw faultOf(
      exitCodes.usage,
      `${socket}: neither HOST:PORT nor the path of a socket, which has a slash, as ./NAME`,
    );
  try {
    const answer = read(await askRows(place, name, args, patienceMs));
    if (answer !== undefined) return answer;
  } catch (fault) {
    if (fault instanceof CommandFailed) throw faultOf(exitCodeOf(fault.code), `${socket}: ${fault.message}`);
    if (!(fault instanceof SessionFault)) throw fault;
    if (isAccessDenied(fault)) throw faultOf(exitCodes.notPermitted, whyDenied(socket));
    throw faultOf(exitCodes.unavailable, `${socket}: ${fault.message}`);
  }
  throw faultOf(exitCodes.unavailable, `${socket}: the server there is not dovegate`);
}
