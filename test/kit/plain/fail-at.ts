// Lets the N-th call of a port fail, for N = 1, 2, ... until a run has no failure: every path that an error can take through a story.
// After each run the story itself asserts what must hold: nothing leased, no timer, nothing open, every admission completed once.

import { TransportFault, UpstreamFault } from '../../../src/host/ports/faults.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import type { Transport } from '../../../src/host/ports/transport.js';

/** One run's counter of port calls. */
export interface FailAt {
  /** Counts a call; true when this is the one that must fail. */
  isDue(call: string): boolean;
  /** The call that failed, as `NAME, call N`; undefined when this run had fewer calls than N. */
  readonly failed: string | undefined;
}

/**
 * Runs the story with the first port call failing, then the second, ... and at last with none. Resolves to the number of calls that
 * had their turn; rejects with what a run threw, and says which call had failed in it.
 */
export async function failAtEach(story: (failAt: FailAt) => Promise<void>, callsMax = 1000): Promise<number> {
  for (let turn = 1; turn <= callsMax; turn += 1) {
    let calls = 0;
    let failed: string | undefined;
    const failAt: FailAt = {
      isDue(call) {
        calls += 1;
        if (calls !== turn) return false;
        failed = `${call}, call ${turn}`;
        return true;
      },
      get failed() {
        return failed;
      },
    };
    try {
      await story(failAt);
    } catch (error) {
      throw new Error(`when ${failAt.failed ?? 'nothing'} failed: ${String(error)}`, { cause: error });
    }
    if (failAt.failed === undefined) return turn - 1;
  }
  throw new Error(`more than ${callsMax} port calls`);
}

/** A function of a port (dial, append) that rejects with the fault when its turn has come, without doing anything. */
export function failable<A extends readonly unknown[], R>(
  failAt: FailAt,
  name: string,
  call: (...args: A) => Promise<R>,
  fault: () => Error,
): (...args: A) => Promise<R> {
  return async (...args) => {
    if (failAt.isDue(name)) throw fault();
    return call(...args);
  };
}

/** A transport whose reads, writes and TLS fail as if the peer had gone. */
export function failableTransport(failAt: FailAt, name: string, transport: Transport): Transport {
  const gone = (): TransportFault => new TransportFault('peer-gone', `made to fail: ${name}`);
  let wholes = 0;
  return {
    read: failable(failAt, `${name} read`, () => transport.read(), gone),
    write(parts) {
      return failAt.isDue(`${name} write`) ? Promise.reject(gone()) : transport.write(parts);
    },
    async writeWhole(bytes) {
      wholes += 1;
      // A long text is many of them, and all are alike: the first, second, fourth, ... may fail.
      if ((wholes & (wholes - 1)) === 0 && failAt.isDue(`${name} writeWhole`)) throw gone();
      return transport.writeWhole(bytes);
    },
    get keepsWhole() {
      return transport.keepsWhole;
    },
    endWriting: () => transport.endWriting(),
    async startTls(demand) {
      if (!failAt.isDue(`${name} startTls`)) return transport.startTls(demand);
      transport.close('dial-failed');
      throw new UpstreamFault('tls-failed', `made to fail: ${name}`);
    },
    async acceptTls(offer, rest) {
      if (!failAt.isDue(`${name} acceptTls`)) return transport.acceptTls(offer, rest);
      transport.close('tls-failed');
      throw new TransportFault('tls-failed', `made to fail: ${name}`);
    },
    close: (reason, isAbrupt) => transport.close(reason, isAbrupt),
    get heldBytes() {
      return transport.heldBytes;
    },
    onGone: (run) => transport.onGone(run),
    whenClosed: () => transport.whenClosed(),
    get closedFor() {
      return transport.closedFor;
    },
    get isReplaced() {
      return transport.isReplaced;
    },
    get unsentBytes() {
      return transport.unsentBytes;
    },
    get takenBytes() {
      return transport.takenBytes;
    },
  };
}

/** A clock on which a timer fails by going off at once, before what it watches has had any time. */
export function failableClock(failAt: FailAt, clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wallMs: () => clock.wallMs(),
    nextTurn: () => clock.nextTurn(),
    setTimer(ms, run) {
      if (!failAt.isDue(`timer of ${ms} ms`)) return clock.setTimer(ms, run);
      let isCancelled = false;
      queueMicrotask(() => {
        if (!isCancelled) run();
      });
      return {
        cancel() {
          isCancelled = true;
        },
      };
    },
  };
}
