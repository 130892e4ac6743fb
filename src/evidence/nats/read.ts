// Reads messages of a stream in their order up to a number, by a pull consumer of our own: the library's consumer continues silently
// after a loss, and has no bound in bytes. At most a few MiB are requested ahead of the reader. The numbers of the deliveries have no gap.
// What is read is there already, so no heartbeat is needed: silence of the server ends the read. Nothing is acknowledged: only the reader
// has the position, and the server removes an unused consumer.

import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { bounds } from '../../host/bounds/bounds.js';
import { Wakes } from '../../host/concurrency/waiting.js';
import { systemClock } from '../../host/machine/clock.js';
import type { Timer } from '../../host/ports/machine.js';
import type { FleetMessage } from '../fleet/shapes.js';
import { NatsFault } from './fault.js';
import { type Intake, intakeLimits } from './intake.js';

/** The size of one pull; two are under way, so that the server need not wait for us. */
const pull = { messages: 256, bytesMin: 2 << 20, expiresMs: 30_000, atOnce: 2 } as const;
/** Bytes of a message beyond the limit in bytes: its line, and the cost of a line. */
const envelopeBytes = 1 << 10;
/** Without a message for so long, the pull may have ended silently, or the server is gone. */
const silenceMs = bounds.natsAnswerMs;
const watchMs = 500;
/** The server removes a consumer without pulls after this time: it must outlive a slow reader. */
const inactiveMs = 10 * 60_000;

export interface ReadTask {
  readonly stream: string;
  readonly from: { readonly streamSeq: number } | { readonly isLast: true };
  readonly subject: string;
  readonly untilSeq: number;
  readonly signal: AbortSignal;
}

export interface ReadDoor {
  readonly connection: NatsConnection;
  readonly place: string;
  readonly inbox: string;
  readonly intake: Intake;
  /** Called when the connection ends. A promise would keep a reference to each request, and it lives for months. */
  readonly endings: Set<(fault: NatsFault | undefined) => void>;
  /** Called with the server's error when it refuses something without a pending request. */
  readonly refusals: Set<(thrown: Error) => void>;
  /** One request to JetStream's API; rejects with a NatsFault. */
  readonly ask: (subject: string, body: unknown, doing: string) => Promise<Readonly<Record<string, unknown>>>;
}

/** The most that a read requests ahead of its reader. */
function bytesAheadOf({ payloadMax }: Pick<Intake, 'payloadMax'>): number {
  return pull.atOnce * (pullBytesOf(payloadMax) + pull.messages * envelopeBytes);
}

function pullBytesOf(payloadMax: number): number {
  return Math.max(pull.bytesMin, payloadMax + (64 << 10));
}

/** The number of reads whose requests the intake of one connection permits together; 7 of them with the usual `max_payload`. */
export function readsAtOnce(intake: Pick<Intake, 'payloadMax'>): number {
  return Math.max(1, Math.floor(intakeLimits.askedBytes / bytesAheadOf(intake)));
}

export async function* readStream(door: ReadDoor, task: ReadTask): AsyncGenerator<FleetMessage, void, void> {
  const { connection, place } = door;
  const { stream, signal, untilSeq } = task;
  if (signal.aborted) return;
  const doing = `read ${stream} at ${place}`;
  const consumer = `dovegate-${crypto.randomUUID()}`;
  const made = await door.ask(
    `CONSUMER.CREATE.${stream}.${consumer}.${task.subject}`,
    { stream_name: stream, config: configOf(consumer, task) },
    doing,
  );
  const remove = (): void => {
    if (connection.isClosed()) return;
    connection.publish(`$JS.API.CONSUMER.DELETE.${stream}.${consumer}`);
  };
  if (made['num_pending'] === 0) {
    remove();
    return;
  }

  if (connection.isClosed()) throw new NatsFault('closed-early', `cannot ${doing}: the connection ended`);
  const inbox = `${door.inbox}.${crypto.randomUUID()}`;
  const bytesMax = pullBytesOf(door.intake.payloadMax);
  const queue: { readonly message: Msg; readonly place: Delivery }[] = [];
  let queuedBytes = 0;
  let asked = 0;
  let pulls = 0;
  let delivered = 0;
  let fault: NatsFault | undefined;
  let isOver = false;
  const wakes = new Wakes();
  let silence: Timer | undefined;
  let silences = 0;
  let heardMs = systemClock.now();

  const end = (why?: NatsFault): void => {
    fault ??= why;
    isOver = true;
    wakes.wake();
  };
  /** Checks that the server is alive, while the reader waits for it. */
  const watch = (): void => {
    silence = systemClock.setTimer(watchMs, () => {
      if (queuedBytes >= bytesMax) heardMs = systemClock.now();
      else if (systemClock.now() - heardMs > silenceMs) {
        // A pull whose bytes are exactly used up ends silently: repeated once.
        silences += 1;
        if (silences > 1) {
          const what = `nothing came for ${(silenceMs * 2) / 1000} s`;
          return end(new NatsFault('closed-early', `cannot ${doing}: ${what}`));
        }
        asked = 0;
        heardMs = systemClock.now();
        askMore();
      }
      watch();
    });
  };
  const askMore = (): void => {
    if (isOver || queuedBytes >= bytesMax) return;
    while (asked <= pull.messages) {
      pulls += 1;
      asked += pull.messages;
      door.intake.ask(bytesMax + pull.messages * envelopeBytes);
      const request = {
        batch: pull.messages,
        max_bytes: bytesMax,
        expires: pull.expiresMs * 1_000_000,
      };
      connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(request), {
        reply: `${inbox}.${pulls}`,
      });
    }
  };
  const onStatus = (message: Msg): void => {
    const { code = 0, description = '' } = message.headers ?? {};
    const words = description.toLowerCase();
    if (code === 408 || (code === 409 && /maxbytes|batch completed/.test(words))) {
      asked = Math.max(0, asked - Number(message.headers?.get('Nats-Pending-Messages') ?? 0));
      return askMore();
    }
    end(new NatsFault('closed-early', `cannot ${doing}: the server ended it: ${description} (${code})`));
  };
  const subscription = connection.subscribe(`${inbox}.*`, {
    callback: (thrown, message) => {
      if (isOver) return;
      if (thrown !== null) {
        const code = thrown.name === 'PermissionViolationError' ? 'no-rights' : 'closed-early';
        return end(new NatsFault(code, `cannot ${doing}: ${thrown.message}`, thrown));
      }
      silences = 0;
      heardMs = systemClock.now();
      const at = readDelivery(message.reply ?? '');
      if (at === undefined) return onStatus(message);
      asked -= 1;
      delivered += 1;
      if (at.delivery !== delivered) {
        return end(new NatsFault('closed-early', `cannot ${doing}: a message was lost on its way`));
      }
      queue.push({ message, place: at });
      queuedBytes += sizeOf(message);
      wakes.wake();
      askMore();
    },
  });
  const onRefusal = (thrown: Error): void => {
    if (!thrown.message.includes(consumer)) return;
    end(new NatsFault('no-rights', `cannot ${doing}: the server says: ${thrown.message}`, thrown));
  };
  door.refusals.add(onRefusal);
  const onAbort = (): void => end();
  signal.addEventListener('abort', onAbort);
  const onEnd = (why: NatsFault | undefined): void =>
    end(why ?? new NatsFault('closed-early', `cannot ${doing}: the connection was closed here`));
  door.endings.add(onEnd);
  try {
    askMore();
    watch();
    for (;;) {
      if (signal.aborted) return;
      const next = queue.shift();
      if (next === undefined) {
        if (fault !== undefined) throw fault;
        if (isOver) return;
        await wakes.next();
        continue;
      }
      queuedBytes -= sizeOf(next.message);
      const { streamSeq, pending } = next.place;
      if (streamSeq > untilSeq) return;
      yield messageOf(next.message, next.place);
      if (streamSeq === untilSeq || pending === 0) return;
      if (asked <= pull.messages) askMore();
    }
  } finally {
    isOver = true;
    silence?.cancel();
    signal.removeEventListener('abort', onAbort);
    door.refusals.delete(onRefusal);
    door.endings.delete(onEnd);
    if (!connection.isClosed()) {
      subscription.unsubscribe();
      remove();
    }
  }
}

/** The cost of a message: its headers too, and a constant, because there may be many empty ones. */
function sizeOf({ data, headers }: Msg): number {
  let bytes = data.length + 1024;
  for (const [name, values] of headers ?? [])
    for (const value of values) bytes += name.length + value.length + 64;
  return bytes;
}

function configOf(name: string, { from, subject }: ReadTask): Readonly<Record<string, unknown>> {
  return {
    name,
    ...startOf(from),
    filter_subject: subject,
    ack_policy: 'none',
    replay_policy: 'instant',
    max_deliver: 1,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: inactiveMs * 1_000_000,
  };
}

function startOf(from: ReadTask['from']): Readonly<Record<string, unknown>> {
  if ('isLast' in from) return { deliver_policy: 'last' };
  return { deliver_policy: 'by_start_sequence', opt_start_seq: Math.max(1, from.streamSeq) };
}

interface Delivery {
  readonly streamSeq: number;
  readonly delivery: number;
  readonly storedMs: number;
  readonly pending: number;
}

/**
 * The reply subject of a message of a consumer: `$JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.TRIES.SEQ.DELIVERY.NANOSECONDS.PENDING[.TOKEN]`.
 */
function readDelivery(reply: string): Delivery | undefined {
  if (!reply.startsWith('$JS.ACK.')) return undefined;
  const words = reply.split('.');
  const [seq = '', delivery = '', nanoseconds = '', pending = ''] = words.slice(words.length >= 11 ? 7 : 5);
  return {
    streamSeq: Number(seq),
    delivery: Number(delivery),
    storedMs: Number(nanoseconds.slice(0, -6)),
    pending: Number(pending),
  };
}

function messageOf(message: Msg, { streamSeq, storedMs }: Delivery): FleetMessage {
  const { data } = message;
  return {
    streamSeq,
    storedMs,
    subject: message.subject,
    header: (name) => message.headers?.get(name) ?? '',
    bytes: Buffer.from(data.buffer, data.byteOffset, data.length),
  };
}
