// Records on their way to a syslog receiver, which acknowledges nothing: the last ones are sent again after each dial. Time counts only
// while connected. A receiver that closes every connection soon cannot stop the progress forever, and one that is down makes nothing safe.

import { pause } from '../../host/concurrency/waiting.js';
import type { Carrier, CarrierParts, Line, LineNews } from './carrier.js';
import { beginning, type Follower, type Position } from './follow.js';
import { createOverlap } from './position.js';
import { createOutlet, dialReceiver, type Receiver } from './receiver.js';
import { encodeFrames } from './syslog.js';

export interface SyslogOptions
  extends Pick<CarrierParts, 'sender' | 'connect' | 'clock' | 'position' | 'restarted'> {
  readonly receiver: Receiver;
}

/** Replaces the missing acknowledgement: this much is sent again, whichever is more. */
const overlapLimits = { ms: 60_000, bytes: 1 << 20 };
/** Pause between two batches, about as long as a batch: during a long backlog half of the processor is left to commands. */
const restMs = 1;
/** A receiver refuses our certificate only after its handshake: until then it is not reported as connected. */
const provenMs = 1_000;

export function createSyslogCarrier(options: SyslogOptions): Carrier {
  const { clock } = options;
  const overlap = createOverlap(overlapLimits, options.position);
  let connectedMs = 0;
  let connectedSince: number | undefined;

  return {
    get sentSeq(): number {
      return overlap.sentSeq;
    },
    get safe(): Position {
      return overlap.safe(connectedTime());
    },
    doubt(text): void {
      overlap.reset(beginning);
      options.restarted(text);
    },
    async open(follower: Follower, hurry: AbortSignal, { proven, over }: LineNews): Promise<Line> {
      const transport = await dialReceiver(options.receiver, options.connect, clock, hurry);
      const giveUp = (): void => transport.close('draining', true);
      hurry.addEventListener('abort', giveUp, { once: true });
      connectedSince = clock.now();
      const proof = clock.setTimer(provenMs, proven);
      const outlet = createOutlet(transport, clock, () => {
        proof.cancel();
        over();
      });
      await follower.seek(overlap.safe(connectedTime()));
      return {
        get fault() {
          return outlet.fault;
        },
        async send({ lines, position }) {
          const frames = encodeFrames(lines, options.sender);
          await outlet.send(frames);
          overlap.note(position, frames.length, connectedTime());
          await pause(clock, restMs);
        },
        async finish() {
          // A receiver that answers our end with its own has read everything: the only existing acknowledgement.
          transport.endWriting();
          await outlet.ended;
        },
        close(isOrderly) {
          proof.cancel();
          hurry.removeEventListener('abort', giveUp);
          connectedMs = connectedTime();
          connectedSince = undefined;
          if (isOrderly) transport.close('draining');
          else transport.close('peer-gone', true);
        },
      };
    },
  };

  function connectedTime(): number {
    return connectedMs + (connectedSince === undefined ? 0 : clock.now() - connectedSince);
  }
}
