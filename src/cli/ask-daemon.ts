// Asks the daemon at a socket one of its own commands, as whoever runs this. It knows neither the configuration nor what is asked.
// The rule: nothing is read but the socket, so it works for everybody who may connect.

import { CommandFailed, connect, SessionFault } from '../client/connect.js';
import { exitCodeOf } from '../drop-in/doveadm-exit.js';
import { parseServerAddress } from '../drop-in/server-door.js';
import { systemClock } from '../host/clock.js';
import type { AnswerRow } from '../judgement/answer.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { plain, stderr } from '../terminal/output.js';

/** How long people wait. */
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
    complain(`${socket}: what answers there is not dovegate`);
    return exitCodes.unavailable;
  } catch (fault) {
    if (fault instanceof CommandFailed) {
      complain(`${socket}: ${fault.message}`);
      return exitCodeOf(fault.code);
    }
    if (!(fault instanceof SessionFault)) throw fault;
    complain(`${socket}: ${fault.message}`);
    return exitCodes.unavailable;
  }
}

/** The rows alone. Rejects with CommandFailed or SessionFault, also when they are not there in time. */
export async function askRows(
  socket: string,
  name: string,
  args: readonly string[],
  withinMs: number,
): Promise<AnswerRow[]> {
  const address = parseServerAddress(socket);
  if (address === undefined) throw new SessionFault('dial-refused', 'neither a path nor HOST:PORT');
  const controller = new AbortController();
  const timer = systemClock.setTimer(withinMs, () =>
    controller.abort(new SessionFault('reply-timeout', `no answer within ${withinMs} ms`)),
  );
  const { signal } = controller;
  try {
    await using session = await connect({ ...address, signal });
    const rows = await session.run({ name, args, columns: 2, signal });
    return rows.map(([what, value]): AnswerRow => [String(what), String(value)]);
  } finally {
    timer.cancel();
  }
}
