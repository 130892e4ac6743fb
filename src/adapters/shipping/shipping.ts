// All receivers of a journal's records: one shipper each, and what the journal must know of them together.
// The rule: what any one of them may still need counts as not shipped.

import { bounds } from '../../bounds/bounds.js';
import { messageOf } from '../../ports/faults.js';
import type { Connect } from '../../ports/transport.js';
import type { OpenLink } from '../nats/link-thread.js';
import { beginning } from './follow.js';
import { createNatsCarrier, type StreamReceiver } from './nats-carrier.js';
import { createPositionFile, type KeptPosition, type PositionFile } from './position.js';
import type { Receiver } from './receiver.js';
import { type Shipper, type ShipperParts, type ShipperState, startShipper } from './shipper.js';
import type { Sender } from './syslog.js';
import { createSyslogCarrier } from './syslog-carrier.js';

/** A receiver under its name, `HOST:PORT`. */
export type Sink = {
  readonly name: string;
  /** What makes it this receiver and no other: with another one its connection is made anew. */
  readonly key: string;
} & (({ readonly kind: 'syslog' } & Receiver) | ({ readonly kind: 'nats' } & StreamReceiver));

export interface ShippingOptions extends ShipperParts {
  readonly sinks: readonly Sink[];
  readonly sender: Sender;
  readonly connect: Connect;
  /** For one receiver: what goes wrong in its thread touches no other. */
  readonly linkOpener: () => OpenLink;
  /** Of the positions. */
  readonly stateDirectory: string;
}

export interface ShippedJournal {
  readonly id: string;
  /** Seq of the last record that is on disk. */
  readonly seq: () => number;
}

export type Shipping = Awaited<ReturnType<typeof openShipping>>;

/** For what is left when the daemon stops: long enough for a receiver that is there. */
const endMs = bounds.receiverEndMs;

/** A receiver from when it is named to when nothing of it is left. */
interface Entry {
  readonly sink: Sink;
  readonly file: PositionFile;
  /** The same receiver as it was configured before, until this one has begun: it ends first. */
  before: Entry | undefined;
  /** How far it was shipped when that was last read. */
  kept: KeptPosition | undefined;
  /** Undefined: not begun. */
  shipper: Shipper | undefined;
  /** The server that took the last connection, `HOST:PORT`, and when the certificate ends that it showed. */
  certificate: { readonly name: string; readonly validTo: string } | undefined;
}

/** Reads where shipping stands, so that the journal knows it before it removes anything. Never rejects. */
export async function openShipping(options: ShippingOptions) {
  const { observe } = options;
  let entries = options.sinks.map((sink) => entryOf(sink, undefined));
  await Promise.all(entries.map(load));
  let shipped: ShippedJournal | undefined;
  let phase: 'open' | 'ending' = 'open';
  /** Changes of receivers, one after the other. */
  let changes: Promise<unknown> = Promise.resolve();

  return {
    /** The last record that every receiver certainly has; undefined: there is no receiver. */
    get shippedSeq(): number | undefined {
      return entries.length === 0 ? undefined : Math.min(...entries.map(safeSeqOf));
    },
    /** `lagRecords`: on disk and not sent there yet, the oldest for `lagMs`; `safeSeq`: the last record that it certainly has. */
    get sinks() {
      return entries.map((entry) => {
        const { sink, shipper } = entry;
        const safeSeq = safeSeqOf(entry);
        const lagRecords = shipper?.lagRecords ?? Math.max((shipped?.seq() ?? 0) - safeSeq, 0);
        const state: ShipperState = shipper?.state ?? { at: 'connecting' };
        return { name: sink.name, state, lagRecords, lagMs: shipper?.lagMs ?? 0, safeSeq };
      });
    },
    /** What receivers showed last. */
    get certificates() {
      return entries.flatMap(({ certificate }) => (certificate === undefined ? [] : [certificate]));
    },
    /** Once. */
    start(started: ShippedJournal): void {
      shipped = started;
      for (const entry of entries) entry.shipper = begin(entry, started);
    },
    /**
     * Replaces the receivers: one that is not among them is ended after what is on disk now, a new one starts with the oldest record, or
     * where it stood when it was a receiver before. Does not wait.
     */
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
        // A changed receiver goes on where it stood, so the old shipper must save its position first.
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
    /** There may be more on disk. */
    nudge(): void {
      for (const { shipper } of entries) shipper?.nudge();
    },
    /** Sends what is on disk to the receivers that take it in time; resolves when nothing runs any more. */
    async end(): Promise<void> {
      phase = 'ending';
      await Promise.all([changes, endAll(entries)]);
    },
  };

  function entryOf(sink: Sink, before: Entry | undefined): Entry {
    const file = createPositionFile(options.stateDirectory, sink.name);
    return { sink, file, before, kept: undefined, shipper: undefined, certificate: undefined };
  }

  async function load(entry: Entry): Promise<void> {
    const { sink, file } = entry;
    entry.kept = await file.load().catch((cause: unknown) => {
      const text = `everything is shipped anew: ${messageOf(cause)}`;
      observe({ kind: 'ship-restarted', sink: sink.name, text });
      return undefined;
    });
  }

  function begin(entry: Entry, journal: ShippedJournal): Shipper {
    const { sink, file, kept } = entry;
    const isSame = kept === undefined || kept.journal === journal.id;
    if (!isSame) {
      const text = `the journal is ${journal.id}, and what was shipped was ${kept.journal}`;
      observe({ kind: 'ship-restarted', sink: sink.name, text });
    }
    const position = isSame ? (kept?.position ?? beginning) : beginning;
    const { clock, sender, connect, linkOpener } = options;
    const restarted = (text: string): void => observe({ kind: 'ship-restarted', sink: sink.name, text });
    const onCertificate = (name: string, validTo: string): void => {
      entry.certificate = { name, validTo };
    };
    const shared = { clock, position, restarted };
    const place = { journal: journal.id, untilSeq: journal.seq };
    const carrier =
      sink.kind === 'syslog'
        ? createSyslogCarrier({ ...shared, receiver: watched(sink, onCertificate), sender, connect })
        : createNatsCarrier({ ...shared, ...place, receiver: sink, openLink: linkOpener(), onCertificate });
    return startShipper({ ...options, ...place, sink: sink.name, carrier, file, position });
  }
}

/** The same receiver, with a report of the certificate that it shows. */
function watched(
  { name, address, demand }: Sink & { readonly kind: 'syslog' },
  onCertificate: (name: string, validTo: string) => void,
): Receiver {
  const onShown = (validTo: string): void => onCertificate(name, validTo);
  return { address, demand: () => ({ ...demand(), onShown }) };
}

/** The last record that it certainly has, also while it is not begun. */
function safeSeqOf({ shipper, kept, before }: Entry): number {
  if (shipper !== undefined) return shipper.safeSeq;
  return before === undefined ? (kept?.position.seq ?? 0) : safeSeqOf(before);
}

async function endAll(entries: readonly Entry[]): Promise<void> {
  await Promise.all(entries.flatMap(({ shipper }) => (shipper === undefined ? [] : [shipper.end(endMs)])));
}
