// What tests of every kind of receiver of notices need: the fault of an attempt, timers that are faster, a server that never stops writing.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { systemClock } from '../../../src/host/machine/clock.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import { NoticeFault } from '../../../src/ship/notices/notice-fault.js';

/** Its text has no word of the server. */
export async function faultOf(attempt: Promise<void>): Promise<string> {
  const fault = await attempt.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  assert.ok(fault instanceof NoticeFault, String(fault));
  assert.doesNotMatch(fault.message, /evil/);
  // No library has written into it.
  assert.equal(fault.message, fault.status === undefined ? fault.code : `${fault.code} ${fault.status}`);
  return fault.message;
}

/** Timers are this much faster than they say, so that a test of a time limit takes no time. */
export function fasterClock(factor: number): Clock {
  return { ...systemClock, setTimer: (ms, run) => systemClock.setTimer(ms / factor, run) };
}

/** Writes as long as it is taken; counts. */
export function flood(socket: Socket, piece: string, written: { bytes: number }): void {
  const write = (): void => {
    while (!socket.destroyed && written.bytes < 64 << 20) {
      written.bytes += piece.length;
      if (!socket.write(piece)) {
        socket.once('drain', write);
        return;
      }
    }
  };
  write();
}
