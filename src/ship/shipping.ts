// All receivers of a journal's records: one shipper each, and what the journal must know of them together. It does not know
// how a record is sent. The rule: what any one of them may still need counts as not shipped.

import type { Connect, Observe } from '../engine/ports.js';
import type { Clock } from '../ports/clock.js';
import type { Receiver } from './dial-receiver.js';
import { beginning } from './follow.js';
import { createPositionFile, type KeptPosition, type PositionFile } from './position-file.js';
import { type Shipper, type ShipperState, startShipper } from './shipper.js';
import type { Sender } from './syslog.js';

/** A receiver under its name, `HOST:PORT`. */
export interface Sink extends Receiver {
  readonly name: string;
}

/** What shipping needs. */
export interface ShippingOptions {
  readonly sinks: readonly Sink[];
  /** Of the positions. */
  readonly stateDirectory: string;
  /** Of the journal. */
  readonly directory: string;
  readonly sender: Sender;
  readonly connect: Connect;
  readonly clock: Clock;
  /** From 0 up to 1, without 1. */
  readonly chance: () => number;
  readonly observe: Observe;
}

/** The journal, as far as it is shipped. */
export interface ShippedJournal {
  readonly id: string;
  /** Seq of the last record that is on disk. */
  readonly seq: () => number;
}

/** How it stands with one receiver. */
export interface SinkState {
  readonly name: string;
  readonly state: ShipperState;
  /** Records on disk that were not sent there yet. */
  readonly lagRecords: number;
  /** The last record that it certainly has. */
  readonly safeSeq: number;
}

/** Shipping to all receivers. */
export interface Shipping {
  /** The last record that every receiver certainly has; undefined: there is no receiver. */
  readonly shippedSeq: number | undefined;
  readonly sinks: readonly SinkState[];
  /** Begins. Once. */
  start(journal: ShippedJournal): void;
  /** There may be more on disk. */
  nudge(): void;
  /** Sends what is on disk, to those who take it in time; resolves when nothing runs any more. */
  end(): Promise<void>;
}

/** For what is left when the daemon stops: long enough for a receiver that is there. */
const endMs = 5_000;

interface Entry {
  readonly sink: Sink;
  readonly file: PositionFile;
  readonly kept: KeptPosition | undefined;
}

/** Reads where shipping stands, so that the journal knows it before it removes anything. Never rejects. */
export async function openShipping(options: ShippingOptions): Promise<Shipping> {
  const { observe } = options;
  const entries: Entry[] = [];
  for (const sink of options.sinks) {
    const file = createPositionFile(options.stateDirectory, sink.name);
    const kept = await file.load().catch((cause: unknown) => {
      const text = `everything is shipped anew: ${cause instanceof Error ? cause.message : String(cause)}`;
      observe({ kind: 'ship-restarted', sink: sink.name, text });
      return undefined;
    });
    entries.push({ sink, file, kept });
  }
  let shippers: readonly Shipper[] = [];

  return {
    get shippedSeq() {
      if (entries.length === 0) return undefined;
      const seqs = entries.map(({ kept }, at) => shippers[at]?.safeSeq ?? kept?.position.seq ?? 0);
      return Math.min(...seqs);
    },
    get sinks() {
      return shippers.map(({ state, lagRecords, safeSeq }, at) => {
        return { name: entries[at]?.sink.name ?? '', state, lagRecords, safeSeq };
      });
    },
    start(journal) {
      shippers = entries.map((entry) => begin(entry, journal));
    },
    nudge() {
      for (const shipper of shippers) shipper.nudge();
    },
    async end() {
      await Promise.all(shippers.map((shipper) => shipper.end(endMs)));
    },
  };

  function begin({ sink, file, kept }: Entry, journal: ShippedJournal): Shipper {
    const { directory, sender, connect, clock, chance } = options;
    const isSame = kept === undefined || kept.journal === journal.id;
    if (!isSame) {
      const text = `the journal is ${journal.id}, and what was shipped was ${kept.journal}`;
      observe({ kind: 'ship-restarted', sink: sink.name, text });
    }
    const position = isSame ? (kept?.position ?? beginning) : beginning;
    const common = { directory, sender, connect, clock, chance, observe };
    const place = { sink: sink.name, receiver: sink, file, position };
    return startShipper({ ...common, ...place, journal: journal.id, untilSeq: journal.seq });
  }
}
