// The handshake with a peer, from its first byte to its first command line. A script. It does not know who the peer is.
// The rule: it is over in its time, whatever the peer does.

import { createAbortable } from '../engine/abortable.js';
import type { ExchangeContext } from '../exchange/exchange-context.js';
import type { CloseReason } from '../ports/close-reason.js';
import type { Transport } from '../ports/transport.js';
import { TransportFault } from '../ports/transport-fault.js';
import { type AcceptStep, createHandshakeAccept } from '../wire/handshake-accept.js';

/** A peer that was greeted: the minor of both, the one it announced, and what came behind; or why its session is over. */
export type GreetedPeer =
  | { readonly minor: number; readonly clientMinor: number; readonly rest: Buffer }
  | { readonly reason: CloseReason; readonly text: string | undefined };

/** Our minor: PACKET framing for all clients, logs after OPTION for the newer ones, flag `x` understood. */
const ourMinor = 3;

/** On a UNIX socket: preauthenticated, because the kernel said who connects. Rejects with a TransportFault or a WireFault. */
export async function greetPeer(
  transport: Transport,
  { clock, buffered }: Pick<ExchangeContext, 'clock' | 'buffered'>,
  { handshakeMs, lineBytesMax }: { readonly handshakeMs: number; readonly lineBytesMax: number },
): Promise<GreetedPeer> {
  const machine = createHandshakeAccept({
    minor: ourMinor,
    preauthenticated: true,
    tls: 'none',
    plainAllowed: false,
    lineBytesMax,
  });
  const waiting = createAbortable();
  let timer: { cancel(): void } | undefined = clock.setTimer(handshakeMs, () => {
    timer = undefined;
    transport.close('handshake-timeout');
    waiting.abort(new TransportFault('closed', 'the time of the handshake is over'));
  });
  try {
    // While too much of others' input is held, nobody new is read.
    if (buffered.isFull) await buffered.room(waiting.signal);
    for (;;) {
      const chunk = await transport.read();
      const steps: AcceptStep[] = chunk === null ? machine.end() : machine.push(chunk);
      for (const step of steps) {
        switch (step.do) {
          case 'send':
            await transport.write([step.bytes]);
            break;
          case 'ready':
            return { minor: step.minor, clientMinor: step.clientMinor, rest: step.rest };
          case 'close': {
            const isEnd = step.why === 'ended' || step.why === 'truncated';
            return { reason: isEnd ? 'peer-ended' : 'wire-fault', text: isEnd ? undefined : step.why };
          }
          case 'start-tls':
          case 'verify':
            throw new Error('a preauthenticated handshake asked for credentials');
          default:
            return step satisfies never;
        }
      }
    }
  } finally {
    timer?.cancel();
  }
}
