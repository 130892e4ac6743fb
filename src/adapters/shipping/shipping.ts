// All receivers of a journal's records: one shipper each, and their common position for the journal. A record that any of them may still
// need counts as not shipped.

import { bounds } from '../../bounds/bounds.js';
import { messageOf } from '../../ports/faults.js';
import type { Carrier, CarrierParts } from './carrier.js';
import { beginning } from './follow.js';
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
  readonly seq: () => number;
}

export type Shipping = Awaited<ReturnType<typeof openShipping>>;

/** The time for remaining records at a stop: long enough for a reachable receiver. */
const endMs = bounds.receiverEndMs;

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

/** Reads the positions, so that the journal knows them before it removes anything. Never rejects. */
export async function openShipping(options: ShippingOptions) {
  let entries = options.sinks.map((sink) => entryOf(sink, undefined));
  await Promise.all(entries.map(load));
  let shipped: ShippedJournal | undefined;
  let phase: 'open' | 'ending' = 'open';
  /** Changes of receivers, run one after the other. */
  let changes: Promise<unknown> = Promise.resolve();

  return {
    /** The last record that every receiver certainly has; undefined: there is no receiver. */
    get shippedSeq(): number | undefined {
      return entries.length === 0 ? undefined : Math.min(...entries.map(safeSeqOf));
    },
    /** `lagRecords`: on disk and not sent yet, the oldest for `lagMs`; `safeSeq`: the last record that it certainly has. */
    get sinks() {
      return entries.map((entry) => {
        const { sink, shipper } = entry;
        const safeSeq = safeSeqOf(entry);
        const lagRecords = shipper?.lagRecords ?? Math.max((shipped?.seq() ?? 0) - safeSeq, 0);
        const state: ShipperState = shipper?.state ?? { at: 'connecting' };
        return { name: sink.name, state, lagRecords, lagMs: shipper?.lagMs ?? 0, safeSeq };
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
    const place = { journal: journal.id, untilSeq: journal.seq, position };
    const carrier = sink.carrier({
      ...place,
      sender,
      connect,
      clock,
      restarted: (text) => restarted(sink, text),
      onCertificate(name, validTo) {
        entry.certificate = { name, validTo };
      },
    });
    return startShipper({ ...options, ...place, sink: sink.name, carrier, file });
  }
}

function safeSeqOf({ shipper, kept, before }: Entry): number {
  if (shipper !== undefined) return shipper.safeSeq;
  return before === undefined ? (kept?.position.seq ?? 0) : safeSeqOf(before);
}

async function endAll(entries: readonly Entry[]): Promise<void> {
  await Promise.all(entries.flatMap(({ shipper }) => (shipper === undefined ? [] : [shipper.end(endMs)])));
}
