// The sending end of one transport to a receiver: knows when the receiver has ended, and gives up one that takes nothing. It
// does not know what is sent. The rule: what a receiver sends is read and dropped; it has no business to say anything.

import type { Clock } from '../../ports/clock.js';
import type { Transport } from '../../ports/transport.js';
import { TransportFault } from '../../ports/transport-fault.js';

/** Of a transport that somebody else closes. */
export interface Outlet {
  /** Defined: the receiver has ended, or is gone. */
  readonly fault: TransportFault | undefined;
  /** Resolves when the bytes have left; rejects with a TransportFault. */
  send(frames: Buffer): Promise<void>;
}

/** A receiver that takes less than was sent at once in this time is given up. */
export const stallMs = 30_000;

/** Calls `over` once, when `fault` is there. */
export function createOutlet(transport: Transport, clock: Clock, over: () => void): Outlet {
  let fault: TransportFault | undefined;
  void watch().then((end) => {
    fault = end;
    over();
  });
  return {
    get fault() {
      return fault;
    },
    async send(frames) {
      const left = transport.write([frames]);
      if (left === undefined) return;
      const timer = clock.setTimer(stallMs, () => transport.close('receiver-stall', true));
      try {
        await left;
      } finally {
        timer.cancel();
      }
    },
  };

  async function watch(): Promise<TransportFault> {
    try {
      while ((await transport.read()) !== null);
      return new TransportFault('peer-gone', 'it ended the connection');
    } catch (cause) {
      return cause instanceof TransportFault ? cause : new TransportFault('peer-gone', String(cause), cause);
    }
  }
}
