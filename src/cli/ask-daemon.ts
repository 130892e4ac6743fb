// Sends one of dovegate's own commands to the daemon at a socket, as the user who runs this; reads no configuration.

import { whyDenied } from '../adapters/host/accounts.js';
import { CommandFailed, SessionFault } from '../client/connect.js';
import type { AnswerRow } from '../domain/answers/rights.js';
import { exitCodes } from '../ports/machine.js';
import { askRows, exitCodeOf, parseServerAddress } from './doveadm/server-door.js';
import { plain, stderr } from './output/output.js';

const patienceMs = 30_000;

/** The rows of the answer, made something of by `read`; else an exit code, when why was printed. 69: no dovegate there. */
export async function askDaemon<Answer>(
  socket: string,
  name: string,
  args: readonly string[],
  read: (rows: readonly AnswerRow[]) => Answer | undefined,
): Promise<Answer | number> {
  const complain = (text: string): void => stderr(`dovegate: ${plain(text)}`);
  if (parseServerAddress(socket) === undefined) {
    complain(`${socket}: neither the path of a socket nor HOST:PORT`);
    return exitCodes.usage;
  }
  try {
    const answer = read(await askRows(socket, name, args, patienceMs));
    if (answer !== undefined) return answer;
    complain(`${socket}: the server there is not dovegate`);
    return exitCodes.unavailable;
  } catch (fault) {
    if (fault instanceof CommandFailed) {
      complain(`${socket}: ${fault.message}`);
      return exitCodeOf(fault.code);
    }
    if (!(fault instanceof SessionFault)) throw fault;
    if (isDenied(fault)) {
      complain(whyDenied(socket));
      return exitCodes.notPermitted;
    }
    complain(`${socket}: ${fault.message}`);
    return exitCodes.unavailable;
  }
}

function isDenied(fault: unknown): boolean {
  if (!(fault instanceof Error)) return false;
  return ('code' in fault && fault.code === 'EACCES') || isDenied(fault.cause);
}
