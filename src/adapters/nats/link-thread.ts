// A gate's link to NATS in a thread of its own, with the library, TLS and its files; the main thread sends orders and gets reports. A fault
// in the thread ends the thread and its links, and nothing else. A thread that does not answer is terminated, and the next link starts
// another one. Its output is dropped, and without links it ends by itself.

import { bounds } from '../../bounds/bounds.js';
import type { FleetMessage } from '../../domain/records/fleet/shapes.js';
import type { Clock } from '../../ports/machine.js';
import { systemListVariable } from '../host/system-trust.js';
import { Thread } from '../threads/thread.js';
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

/** `link`: the number of the link, which the `open` gives it. */
export type LinkOrder =
  | { readonly do: 'open'; readonly link: number; readonly settings: NatsSettings }
  | { readonly do: 'lastOf'; readonly link: number; readonly stream: string; readonly subject: string }
  | {
      readonly do: 'publish';
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
      readonly place: string;
      readonly serverValidTo: string;
      readonly isClustered: boolean;
    }
  | { readonly kind: 'found'; readonly message: SentMessage | undefined }
  | { readonly kind: 'published'; readonly published: Published }
  | { readonly kind: 'failed'; readonly fault: SentFault }
  /** Of `close` and `beat`. */
  | { readonly kind: 'done' };

/** What the thread says without an order. */
export interface LinkEnded {
  readonly link: number;
  readonly fault: SentFault | undefined;
}

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
  readonly #clock: Clock;
  readonly #thread: Thread<LinkOrder, LinkReport, LinkEnded>;
  readonly #links = new Map<number, (fault: NatsFault | undefined) => void>();
  #opened = 0;
  #missed = 0;
  #idle = 0;

  constructor(clock: Clock, entry: URL) {
    this.#clock = clock;
    const options = {
      env: systemListVariable(),
      name: 'nats',
      // The library prints words of servers. The thread drops its output; the rest is not read here, because that would keep the process
      // alive.
      stdout: true,
      stderr: true,
      resourceLimits,
    };
    this.#thread = new Thread<LinkOrder, LinkReport, LinkEnded>(entry, options, (cause) => ({
      kind: 'failed',
      fault: endedBy(cause),
    }));
    this.#thread.onSaid = ({ link, fault }) => this.#links.get(link)?.(faultOf(fault));
    this.#thread.onGone = (cause) => {
      for (const tell of this.#links.values()) tell(faultOf(endedBy(cause)));
      this.#links.clear();
    };
    this.#beat();
  }

  async open(settings: NatsSettings, signal: AbortSignal): Promise<GateLink> {
    signal.throwIfAborted();
    this.#opened += 1;
    const link = this.#opened;
    const close = (): void => {
      this.#thread.give({ do: 'close', link }, () => undefined);
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
      const opening = this.#ask({ do: 'open', link, settings });
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
    const report = await this.#ask({ do: 'lastOf', link, stream, subject });
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
    const order = { do: 'publish', link, subject, headers, bytes: own, expected } as const;
    const report = await this.#ask(order, [own.buffer]);
    if (report.kind === 'published') return report.published;
    throw new NatsFault(
      'closed-early',
      `cannot publish to ${subject}: the thread for NATS gave another answer`,
    );
  }

  async #ask(order: LinkOrder, memory?: readonly ArrayBuffer[]): Promise<LinkReport> {
    const report = await this.#thread.ask(order, memory);
    if (report.kind === 'failed') throw new NatsFault(report.fault.code, report.fault.message);
    return report;
  }

  #beat(): void {
    this.#clock.setTimer(beatMs, () => {
      if (!this.isAlive) return;
      if (this.#missed >= beatsMissedMax)
        return this.#thread.giveUp(`it did not answer for ${(beatsMissedMax * beatMs) / 1000} s`);
      this.#idle = this.#links.size === 0 ? this.#idle + 1 : 0;
      if (this.#idle >= idleBeatsMax) return this.#thread.giveUp('it had nothing to do');
      this.#missed += 1;
      this.#thread.give({ do: 'beat' }, () => {
        this.#missed = 0;
      });
      this.#beat();
    });
  }

  get isAlive(): boolean {
    return this.#thread.isAlive;
  }
}

function faultOf(fault: SentFault | undefined): NatsFault | undefined {
  return fault && new NatsFault(fault.code, fault.message);
}

function endedBy(cause: string): SentFault {
  return { code: 'closed-early', message: `the thread for NATS was ended: ${cause}` };
}
