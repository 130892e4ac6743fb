// A gate's link to NATS in a thread of its own, with the library, TLS and its files; the main thread sends orders and gets reports. A fault
// in the thread ends the thread and its links, and nothing else. A thread that does not answer is terminated, and the next link starts
// another one. Its output is dropped, and without links it ends by itself.

import { Worker } from 'node:worker_threads';
import { bounds } from '../../bounds/bounds.js';
import type { FleetMessage } from '../../domain/records/fleet/shapes.js';
import type { Clock } from '../../ports/machine.js';
import { systemListVariable } from '../host/system-trust.js';
import type { NatsSettings } from './dial.js';
import { NatsFault, type NatsFaultCode } from './fault.js';
import type { NatsLink } from './link.js';

/** A message without its bytes: its headers show the position of its records. */
export type FoundMessage = Pick<FleetMessage, 'streamSeq' | 'storedMs' | 'subject' | 'header'>;

export interface GateLink
  extends Pick<NatsLink, 'place' | 'serverValidTo' | 'isClustered' | 'ended' | 'publish' | 'close'> {
  lastOf(stream: string, subject: string): Promise<FoundMessage | undefined>;
}

export type OpenLink = (settings: NatsSettings, signal: AbortSignal) => Promise<GateLink>;

/** `id`: the order's, and that of the link that an `open` makes. */
export type LinkOrder =
  | { readonly do: 'open'; readonly id: number; readonly settings: NatsSettings }
  | {
      readonly do: 'lastOf';
      readonly id: number;
      readonly link: number;
      readonly stream: string;
      readonly subject: string;
    }
  | {
      readonly do: 'publish';
      readonly id: number;
      readonly link: number;
      readonly subject: string;
      readonly headers: readonly (readonly [string, string])[];
      readonly bytes: Uint8Array;
      readonly expected: number;
    }
  | { readonly do: 'close'; readonly link: number }
  | { readonly do: 'beat' };

export interface SentFault {
  readonly code: NatsFaultCode;
  readonly message: string;
}

export type SentMessage = Omit<FoundMessage, 'header'> & {
  readonly headers: readonly (readonly [string, string])[];
};

type Published = Awaited<ReturnType<NatsLink['publish']>>;

export type LinkReport =
  | {
      readonly kind: 'opened';
      readonly id: number;
      readonly place: string;
      readonly serverValidTo: string;
      readonly isClustered: boolean;
    }
  | { readonly kind: 'found'; readonly id: number; readonly message: SentMessage | undefined }
  | { readonly kind: 'published'; readonly id: number; readonly published: Published }
  | { readonly kind: 'failed'; readonly id: number; readonly fault: SentFault }
  | { readonly kind: 'ended'; readonly link: number; readonly fault: SentFault | undefined }
  | { readonly kind: 'beat' };

/** The library takes some MiB; the intake bounds the memory of messages, which is not included here. */
const resourceLimits = {
  maxOldGenerationSizeMb: bounds.natsThreadHeap / (1 << 20),
  maxYoungGenerationSizeMb: bounds.natsThreadYoungHeap / (1 << 20),
  stackSizeMb: 4,
} as const;
const beatMs = 1_000;
/** After so many beats without an answer the thread is terminated. */
const beatsMissedMax = bounds.natsThreadAnswerMs / beatMs;
/** After so many beats without a link the thread ends: longer than the longest pause between two attempts. */
const idleBeatsMax = bounds.natsThreadIdleMs / beatMs;

type Answer = Exclude<LinkReport, { readonly kind: 'failed' | 'ended' | 'beat' }>;

interface Call {
  readonly resolve: (report: Answer) => void;
  readonly reject: (fault: NatsFault) => void;
}

export function createLinkThread(
  clock: Clock,
  entry = new URL('./nats-thread.js', import.meta.url),
): OpenLink {
  let thread: LinkThread | undefined;
  return (settings, signal) => {
    if (thread?.isAlive !== true) thread = new LinkThread(clock, entry);
    return thread.open(settings, signal);
  };
}

class LinkThread {
  isAlive = true;
  readonly #clock: Clock;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  readonly #links = new Map<number, (fault: NatsFault | undefined) => void>();
  #ids = 0;
  #missed = 0;
  #idle = 0;

  constructor(clock: Clock, entry: URL) {
    this.#clock = clock;
    this.#worker = new Worker(entry, {
      // The thread gets no flags and variables of the program, except the place of the system's list.
      env: systemListVariable(),
      execArgv: [],
      name: 'nats',
      // The library prints words of servers. The thread drops its output; the rest is not read here, because that would keep the process
      // alive.
      stdout: true,
      stderr: true,
      resourceLimits,
    });
    this.#worker.unref();
    this.#worker.on('message', (report: LinkReport) => this.#take(report));
    this.#worker.on('messageerror', () => this.#end('it sent what cannot be read'));
    this.#worker.on('error', (error) => this.#gone(String(error)));
    this.#worker.on('exit', () => this.#gone('it ended'));
    this.#beat();
  }

  async open(settings: NatsSettings, signal: AbortSignal): Promise<GateLink> {
    signal.throwIfAborted();
    const link = this.#nextId();
    const close = (): void => {
      this.#post({ do: 'close', link });
      this.#links.get(link)?.(undefined);
      this.#links.delete(link);
    };
    const ended = new Promise<NatsFault | undefined>((resolve) => {
      this.#links.set(link, resolve);
    });
    let onAbort: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- the caller's own reason
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      const opening = this.#ask({ do: 'open', id: link, settings });
      const report = await Promise.race([opening, aborted]);
      const { place, serverValidTo, isClustered } =
        report.kind === 'opened' ? report : { place: '', serverValidTo: '', isClustered: false };
      return {
        place,
        serverValidTo,
        isClustered,
        ended,
        lastOf: (stream, subject) => this.#lastOf(link, stream, subject),
        publish: (subject, headers, bytes, expected) =>
          this.#publish(link, subject, headers, bytes, expected),
        close: () => {
          close();
          return Promise.resolve();
        },
      };
    } catch (fault) {
      close();
      throw fault;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #lastOf(link: number, stream: string, subject: string): Promise<FoundMessage | undefined> {
    const report = await this.#ask({ do: 'lastOf', id: this.#nextId(), link, stream, subject });
    if (report.kind !== 'found' || report.message === undefined) return undefined;
    const { headers, ...message } = report.message;
    const values = new Map(headers);
    return { ...message, header: (name) => values.get(name) ?? '' };
  }

  async #publish(
    link: number,
    subject: string,
    headers: readonly (readonly [string, string])[],
    bytes: Uint8Array,
    expected: number,
  ): Promise<Published> {
    // Memory of its own, which is transferred: a piece of a larger buffer would take all of it along.
    const own = new Uint8Array(bytes);
    const order = {
      do: 'publish',
      id: this.#nextId(),
      link,
      subject,
      headers,
      bytes: own,
      expected,
    } as const;
    const report = await this.#ask(order, [own.buffer]);
    if (report.kind === 'published') return report.published;
    throw new NatsFault(
      'closed-early',
      `cannot publish to ${subject}: the thread for NATS gave another answer`,
    );
  }

  #nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  #ask(
    order: Extract<LinkOrder, { readonly id: number }>,
    memory: readonly ArrayBuffer[] = [],
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#calls.set(order.id, { resolve, reject });
      if (this.isAlive) this.#post(order, memory);
      else this.#gone('it ended');
    });
  }

  #post(order: LinkOrder, memory: readonly ArrayBuffer[] = []): void {
    if (this.isAlive) this.#worker.postMessage(order, memory);
  }

  #take(report: LinkReport): void {
    switch (report.kind) {
      case 'beat':
        this.#missed = 0;
        return;
      case 'ended': {
        const { fault } = report;
        this.#links.get(report.link)?.(fault && new NatsFault(fault.code, fault.message));
        return;
      }
      case 'failed':
      case 'opened':
      case 'found':
      case 'published': {
        const call = this.#calls.get(report.id);
        this.#calls.delete(report.id);
        if (report.kind === 'failed') call?.reject(new NatsFault(report.fault.code, report.fault.message));
        else call?.resolve(report);
        return;
      }
      default:
        return report satisfies never;
    }
  }

  #beat(): void {
    this.#clock.setTimer(beatMs, () => {
      if (!this.isAlive) return;
      if (this.#missed >= beatsMissedMax)
        return this.#end(`it did not answer for ${(beatsMissedMax * beatMs) / 1000} s`);
      this.#idle = this.#links.size === 0 ? this.#idle + 1 : 0;
      if (this.#idle >= idleBeatsMax) return this.#end('it had nothing to do');
      this.#missed += 1;
      this.#post({ do: 'beat' });
      this.#beat();
    });
  }

  #end(why: string): void {
    this.#gone(why);
    void this.#worker.terminate();
    // Node refs a worker to be terminated: one that does not end would keep the process.
    this.#worker.unref();
  }

  #gone(why: string): void {
    this.isAlive = false;
    const fault = new NatsFault('closed-early', `the thread for NATS was ended: ${why}`);
    for (const { reject } of this.#calls.values()) reject(fault);
    this.#calls.clear();
    for (const tell of this.#links.values()) tell(fault);
    this.#links.clear();
  }
}
