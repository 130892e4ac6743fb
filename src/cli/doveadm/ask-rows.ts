// Asks the daemon at a socket one of its own commands, and holds the rows of its answer. It knows neither what is asked nor who wants
// to know. The rule: nothing is read but the socket, so it works for everybody who may connect.

import { systemClock } from '../../adapters/host/clock.js';
import { connect, SessionFault } from '../../client/connect.js';
import type { AnswerRow } from '../../domain/policy/answer.js';
import { parseServerAddress } from './server-door.js';

/** Rejects with CommandFailed or SessionFault, also when the answer is not there in time. */
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
