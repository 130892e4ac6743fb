// All receivers of a journal's records: one shipper each.

import { messageOf } from '../../host/ports/faults.js';
import type { Carrier, CarrierParts } from './carrier.js';
import { beginning, type Position } from './follow.js';
import { createPositionFile, type KeptPosition, type PositionFile } from './position.js';
import { type Shipper, type ShipperParts, type ShipperState, startShipper } from './shipper.js';

/** A receiver of any kind. */
export interface Sink {
  readonly name: string;
  /** Identifies the receiver: if it changes, its connection is replaced. */
  readonly key: string;
  readonly carrier: (parts: CarrierParts) => Carrier;
}

export interface ShippingOptions extends ShipperParts, Pick<CarrierParts, 'sender' | 'connect'> {
  readonly sinks: readonly Sink[];
  readonly stateDirectory: string;
}

export interface ShippedJournal {
  readonly id: string;
  /** The public key that signs it. */
  readonly key?: string | undefined;
  readonly seq: () => number;
}

export type Shipping = Awaited<ReturnType<typeof openShipping>>;

/** The time for remaining records at a stop: long enough for a reachable receiver. */
const endMs = 5_000;

/** A receiver, from its configuration to its complete end. */
interface Entry {
  readonly sink: Sink;
  readonly file: PositionFile;
  /** The same receiver with its earlier configuration, until this one has begun: it ends first. */
  before: Entry | undefined;
  kept: KeptPosition | undefined;
  shipper: Shipper | undefined;
  /** The server of the last connection, `HOST:PORT`, and the expiry of its certificate. */
  certificate: { readonly name: string; readonly validTo: string } | undefined;
}

/** Reads the positions. Never rejects. */
export async function openShipping(options: ShippingOptions) {
  let entries = options.sinks.map((sink) => entryOf(sink, undefined));
  await Promise.all(entries.map(load));
  let shipped: ShippedJournal | undefined;
  let phase: 'open' | 'ending' = 'open';
  /** Changes of receivers, run one after the other. */
  let changes: Promise<unknown> = Promise.resolve();

  return {
    /** `lagMs`: how long the oldest record that was not sent has been on disk; `safe`: after the last one that it certainly has. */
    get sinks() {
      return entries.map((entry) => {
        const { sink, shipper } = entry;
        const safe = safeOf(entry);
        const state: ShipperState = shipper?.state ?? { at: 'connecting' };
        const sentSeq = shipper?.sentSeq ?? safe.seq;
        const { lagMs = 0, refused } = shipper ?? {};
        return { name: sink.name, state, lagMs, sentSeq, safe, refused };
      });
    },
    get certificates() {
      return entries.flatMap(({ certificate }) => (certificate === undefined ? [] : [certificate]));
    },
    /** Call once. */
    start(started: ShippedJournal): void {
      shipped = started;
      for (const entry of entries) entry.shipper = begin(entry, started);
    },
    /** A removed receiver still gets the records on disk; a new one starts at its old position, or with the oldest. Does not wait. */
    replace(sinks: readonly Sink[]): void {
      const known = new Map(entries.map((entry) => [entry.sink.name, entry]));
      const before = entries;
      entries = sinks.map((sink) => {
        const old = known.get(sink.name);
        return old?.sink.key === sink.key ? old : entryOf(sink, old);
      });
      const gone = before.filter((entry) => !entries.includes(entry));
      const fresh = entries.filter((entry) => !before.includes(entry));
      changes = changes.then(async () => {
        // A changed receiver continues at its position, so the old shipper must save it first.
        await endAll(gone);
        await Promise.all(fresh.map(load));
        if (phase === 'ending' || shipped === undefined) return;
        for (const entry of fresh) {
          if (!entries.includes(entry)) continue;
          entry.shipper = begin(entry, shipped);
          entry.before = undefined;
        }
      });
    },
    /** Resolves when the changes so far are through: receivers that were removed have ended. */
    settled: (): Promise<unknown> => changes,
    nudge(): void {
      for (const { shipper } of entries) shipper?.nudge();
    },
    /** Sends the records on disk to the receivers that take them in time; resolves when nothing runs any more. */
    async end(): Promise<void> {
      phase = 'ending';
      await Promise.all([changes, endAll(entries)]);
    },
  };

  function restarted({ name: sink }: Sink, why: string): void {
    options.observe({
      kind: 'ship-restarted',
      level: 'error',
      text: `${sink} gets records again: ${why}`,
      sink,
    });
  }

  function entryOf(sink: Sink, before: Entry | undefined): Entry {
    const file = createPositionFile(options.stateDirectory, sink.name);
    return { sink, file, before, kept: undefined, shipper: undefined, certificate: undefined };
  }

  async function load(entry: Entry): Promise<void> {
    const { sink, file } = entry;
    entry.kept = await file.load().catch((cause: unknown) => {
      const text = `everything is shipped anew: ${messageOf(cause)}`;
      restarted(sink, text);
      return undefined;
    });
  }

  function begin(entry: Entry, journal: ShippedJournal): Shipper {
    const { sink, file, kept } = entry;
    const isSame = kept === undefined || kept.journal === journal.id;
    if (!isSame) {
      const text = `the journal is ${journal.id}, and what was shipped was ${kept.journal}`;
      restarted(sink, text);
    }
    const position = isSame ? (kept?.position ?? beginning) : beginning;
    const { clock, sender, connect } = options;
    const place = { journal: journal.id, journalKey: journal.key, untilSeq: journal.seq, position };
    const carrier = sink.carrier({
      ...place,
      sender,
      connect,
      clock,
      restarted: (text) => restarted(sink, text),
      rejected: (count, text) =>
        options.observe({ kind: 'ship-refused', level: 'error', text, sink: sink.name, count }),
      conflict: (text) => options.observe({ kind: 'ship-conflict', level: 'error', text, sink: sink.name }),
      onCertificate(name, validTo) {
        entry.certificate = { name, validTo };
      },
    });
    return startShipper({ ...options, ...place, sink: sink.name, carrier, file });
  }
}

function safeOf({ shipper, kept, before }: Entry): Position {
  if (shipper !== undefined) return shipper.safe;
  return before === undefined ? (kept?.position ?? beginning) : safeOf(before);
}

async function endAll(entries: readonly Entry[]): Promise<void> {
  await Promise.all(entries.flatMap(({ shipper }) => (shipper === undefined ? [] : [shipper.end(endMs)])));
}
