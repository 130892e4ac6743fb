// Requests to DIRECT.GET, which answers with a message as it was stored: with all headers of its gate, followed by those of the server. A
// gate may have set the server's own header names, or a status such as 503, which the library takes for "no responder" whatever else is
// there. So the library's request is not used, and the last value of each server header counts.

import type { Msg } from '@nats-io/transport-node';
import { systemClock } from '../../host/machine/clock.js';
import type { FleetMessage } from '../fleet/shapes.js';
import { faultOfRequest, NatsFault } from './fault.js';
import { intakeLimits } from './intake.js';
import type { ReadDoor } from './read.js';

const noResponders = 503;
/** Parts of the time after which a request is repeated: a replica that stands still answers none until the others notice. */
const repeats = [0.2, 0.4, 0.6];

/** Rejects with a NatsFault; `no-stream`: no responder for this subject. */
export async function requestDirect(
  door: ReadDoor,
  subject: string,
  doing: string,
  payload: string | undefined,
  withinMs: number,
): Promise<Msg> {
  const { connection, intake, refusals, endings } = door;
  const reply = `${door.inbox}.${crypto.randomUUID()}`;
  let end: () => void = () => undefined;
  try {
    return await new Promise<Msg>((resolve, reject) => {
      const subscription = connection.subscribe(reply, {
        max: 1,
        callback: (thrown, answer) => {
          if (thrown !== null) return reject(faultOfRequest(thrown, doing));
          if (answer.headers?.code !== noResponders || messageOfDirect(answer) !== undefined)
            return resolve(answer);
          reject(new NatsFault('no-stream', `cannot ${doing}: no stream is there for it`));
        },
      });
      const onRefusal = (thrown: Error): void => {
        if (thrown.message.includes(`"${subject}"`)) reject(faultOfRequest(thrown, doing));
      };
      refusals.add(onRefusal);
      const timer = systemClock.setTimer(withinMs, () => {
        reject(new NatsFault('dial-timeout', `cannot ${doing}: no answer in time`));
      });
      const onEnd = (why: NatsFault | undefined): void => {
        const words = why?.message ?? 'the connection ended';
        reject(new NatsFault(why?.code ?? 'closed-early', `cannot ${doing}: ${words}`, why));
      };
      endings.add(onEnd);
      const ask = (): void => {
        // A message as it was stored, with the server's headers.
        intake.ask(intake.payloadMax + intakeLimits.headerBytes);
        connection.publish(subject, payload, { reply });
      };
      const later = repeats.map((part) => systemClock.setTimer(part * withinMs, ask));
      end = () => {
        for (const each of [timer, ...later]) each.cancel();
        refusals.delete(onRefusal);
        endings.delete(onEnd);
        if (!connection.isClosed()) subscription.unsubscribe();
      };
      ask();
    });
  } catch (thrown) {
    throw faultOfRequest(thrown, doing);
  } finally {
    end();
  }
}

export function messageOfDirect({ data, headers }: Msg): FleetMessage | undefined {
  const ofServer = (name: string): string => headers?.values(name).at(-1) ?? '';
  const streamSeq = Number(ofServer('Nats-Sequence'));
  if (headers === undefined || !Number.isSafeInteger(streamSeq) || streamSeq < 1) return undefined;
  return {
    streamSeq,
    storedMs: Date.parse(ofServer('Nats-Time-Stamp')),
    subject: ofServer('Nats-Subject'),
    header: (name) => headers.get(name),
    bytes: Buffer.from(data.buffer, data.byteOffset, data.length),
  };
}
