// The matching commands of a stream, host by host in the order of storage. For a user, the index says which messages to fetch;
// the rest is read in full. Rows come from checked messages only: an indexed message must be, byte for byte, the one that the
// verifier read; of others the hashes and the chain of the lines are checked.

import type { NatsLink, StreamInfo } from '../../adapters/nats/link.js';
import { bounds } from '../../bounds/bounds.js';
import { readLink } from '../../domain/audit/ledger.js';
import { type FleetStream, headerNames, readSubject, subjectOf } from '../../domain/fleet/block.js';
import type { FleetMessage } from '../../domain/fleet/shapes.js';
import {
  createSearch,
  type ExchangeRow,
  type TrailFilter,
  type TrailSearch,
} from '../../domain/trail/search.js';
import { digestOf, holdsRecords, type IndexedMessage, type IndexFile } from './user-places.js';

/** Clocks of hosts are at most this far ahead of the server's: a record is stored after it was written. */
const doubtMs = 3_600_000;
const askedMax = 32;
/** If at least one in this many messages of an index file is wanted, all are read in one go. */
const denseShare = 3;
const notesMax = 10;

export interface StreamPlace {
  readonly link: NatsLink;
  readonly stream: FleetStream;
  readonly info: StreamInfo;
  /** Files of this stream; only those whose last message still exists are used. */
  readonly index: readonly IndexFile[];
}

export interface ReadNotes {
  readonly faults: Set<string>;
  readonly journals: Set<string>;
  /** Messages that were read because the index does not cover them. */
  unindexed: number;
}

export interface SearchedRows extends HostRows {
  readonly storedMs: number;
}

/** Messages without a gap, or single ones of an index file. */
type Part =
  | { readonly kind: 'all'; readonly from: number; readonly to: number }
  | { readonly kind: 'some'; readonly messages: readonly IndexedMessage[]; readonly isDense: boolean };

/** `host`: undefined: all. Rejects with a NatsFault. */
export async function* findRows(
  place: StreamPlace,
  filter: TrailFilter,
  host: string | undefined,
  notes: ReadNotes,
  signal: AbortSignal,
): AsyncGenerator<SearchedRows> {
  const { link } = place;
  const { name: stream, host: own } = place.stream;
  if (own === undefined || (host !== undefined && own !== host)) return;
  const followed = new FollowedJournals(filter);
  const check = createBlockCheck(stream, notes.faults);
  const sinceMs = filter.sinceMs === undefined ? 0 : Math.max(0, filter.sinceMs - doubtMs);
  let storedMs = 0;
  const take = function* (message: FleetMessage, indexed?: IndexedMessage): Generator<SearchedRows> {
    const chain = readSubject(message.subject);
    // Records in the wrong stream are left out, as by the verifier.
    if (chain?.host !== own || !holdsRecords(message)) return;
    ({ storedMs } = message);
    notes.journals.add(`${chain.host} ${chain.journal}`);
    check(message, chain.host, indexed);
    for (const found of followed.take(message.subject, chain.host, message.bytes))
      yield { ...found, storedMs };
  };
  for (const part of await planOf(place, filter, own, sinceMs, notes)) {
    if (part.kind === 'all') {
      for await (const message of readAll(place, part, own, sinceMs, signal)) {
        notes.unindexed += 1;
        yield* take(message);
      }
    } else {
      const read = part.isDense
        ? readDense(place, part.messages, own, signal)
        : readSome(place, part.messages);
      for await (const { message, indexed } of read) {
        if (message !== undefined) yield* take(message, indexed);
        else if ((await link.info(stream)).firstSeq <= indexed.streamSeq)
          note(
            notes.faults,
            `message ${indexed.streamSeq} of ${stream}, records ${indexed.first} to ${indexed.last} of ${indexed.host}, is not there any more`,
          );
      }
    }
  }
  for (const found of followed.finish()) yield { ...found, storedMs };
}

async function planOf(
  { link, stream, info, index }: StreamPlace,
  { user }: TrailFilter,
  host: string,
  sinceMs: number,
  notes: ReadNotes,
): Promise<readonly Part[]> {
  const parts: Part[] = [];
  let next = Math.max(1, info.firstSeq);
  const isForAll = user === undefined || /^\*+$/.test(user);
  const files = isForAll ? [] : await usableOf(link, stream.name, info, index);
  for (const file of files) {
    if (file.to < next) continue;
    if (file.from > next) parts.push({ kind: 'all', from: next, to: file.from - 1 });
    for (const chain of file.chains)
      if (chain.host === host) notes.journals.add(`${chain.host} ${chain.journal}`);
    const from = next;
    const messages = file
      .find(user ?? '')
      .filter(
        (message) =>
          message.streamSeq >= from &&
          message.streamSeq <= info.lastSeq &&
          message.storedMs >= sinceMs &&
          message.host === host,
      );
    const isDense = messages.length * denseShare > file.messages().length;
    if (messages.length > 0) parts.push({ kind: 'some', messages, isDense });
    next = file.to + 1;
  }
  if (next <= info.lastSeq) parts.push({ kind: 'all', from: next, to: info.lastSeq });
  return parts;
}

async function usableOf(
  link: NatsLink,
  stream: string,
  { firstSeq }: StreamInfo,
  index: readonly IndexFile[],
): Promise<readonly IndexFile[]> {
  const near = index.filter(({ to }) => to >= firstSeq);
  const usable = await Promise.all(
    near.map(async ({ end }) => {
      const message = await link.messageAt(stream, end.streamSeq);
      return (
        message?.subject === end.subject &&
        message.header(headerNames.head) === end.head &&
        message.storedMs === end.storedMs
      );
    }),
  );
  return near.filter((_, at) => usable[at]);
}

async function* readAll(
  { link, stream }: StreamPlace,
  { from, to }: { readonly from: number; readonly to: number },
  host: string,
  sinceMs: number,
  signal: AbortSignal,
): AsyncGenerator<FleetMessage> {
  const subject = `dovegate.audit.${host}.*`;
  const start = sinceMs === 0 ? { streamSeq: from } : { storedMs: sinceMs };
  for await (const message of link.read(stream.name, start, { subject, untilSeq: to, signal }))
    if (message.streamSeq >= from) yield message;
}

interface Looked {
  readonly message: FleetMessage | undefined;
  readonly indexed: IndexedMessage;
}

/** In one go from the first to the last; unwanted messages are skipped. */
async function* readDense(
  place: StreamPlace,
  messages: readonly IndexedMessage[],
  host: string,
  signal: AbortSignal,
): AsyncGenerator<Looked> {
  const wanted = new Map(messages.map((message) => [message.streamSeq, message]));
  const part = { from: messages[0]?.streamSeq ?? 1, to: messages.at(-1)?.streamSeq ?? 0 };
  for await (const message of readAll(place, part, host, 0, signal)) {
    const indexed = wanted.get(message.streamSeq);
    if (indexed === undefined) continue;
    wanted.delete(message.streamSeq);
    yield { message, indexed };
  }
  for (const indexed of wanted.values()) yield { message: undefined, indexed };
}

async function* readSome(
  { link, stream }: StreamPlace,
  messages: readonly IndexedMessage[],
): AsyncGenerator<Looked> {
  const { name } = stream;
  const ask = async (indexed: IndexedMessage): Promise<Looked> => {
    const message = await link.messageAt(name, indexed.streamSeq);
    if (message !== undefined) return { message, indexed };
    // The answer may come from a replica that is behind.
    const { streamSeq, host, journal } = indexed;
    const options = {
      subject: subjectOf(host, journal),
      untilSeq: streamSeq,
      signal: new AbortController().signal,
    };
    for await (const read of link.read(name, { streamSeq }, options)) return { message: read, indexed };
    return { message, indexed };
  };
  const asked: Promise<Looked>[] = [];
  for (const indexed of messages) {
    const one = ask(indexed);
    // Of several that fail, the first is reported.
    one.catch(() => undefined);
    asked.push(one);
    const first = asked.length >= askedMax ? asked.shift() : undefined;
    if (first !== undefined) yield await first;
  }
  for (const one of asked) yield await one;
}

function createBlockCheck(stream: string, faults: Set<string>) {
  const ends = new Map<string, { readonly seq: number; readonly hash: string }>();
  return (message: FleetMessage, host: string, indexed: IndexedMessage | undefined): void => {
    const { streamSeq, subject, bytes } = message;
    const where = `${host}, message ${streamSeq} of ${stream}`;
    if (indexed !== undefined && indexed.digest === digestOf(bytes)) return;
    if (indexed !== undefined && indexed.digest !== '')
      note(faults, `${where}: it is not the message that was verified`);
    let before = ends.get(subject);
    for (let at = 0; at < bytes.length; ) {
      const lf = bytes.indexOf(0x0a, at);
      const end = lf < 0 ? bytes.length : lf;
      const link = readLink(bytes.subarray(at, end));
      at = end + 1;
      if (link === undefined || !link.isIntact) {
        note(faults, `${where}: a record is not what its hash says`);
        before = undefined;
        continue;
      }
      if (before !== undefined && link.seq === before.seq + 1 && link.prev !== before.hash)
        note(faults, `${where}: record ${link.seq} does not follow the one before it`);
      before = link;
    }
    if (before !== undefined) ends.set(subject, { seq: before.seq, hash: before.hash });
  };
}

function note(faults: Set<string>, text: string): void {
  if (faults.size < notesMax) faults.add(text);
  else faults.add('and more');
}

/** Rows of several streams, in the order of storage. */
export async function* mergeRows(
  sources: readonly AsyncGenerator<SearchedRows>[],
): AsyncGenerator<SearchedRows> {
  const heads = await Promise.all(sources.map(async (source) => ({ source, next: await source.next() })));
  for (;;) {
    let first: { readonly head: (typeof heads)[number]; readonly value: SearchedRows } | undefined;
    for (const head of heads) {
      if (head.next.done === true) continue;
      const { value } = head.next;
      if (first === undefined || value.storedMs < first.value.storedMs) first = { head, value };
    }
    if (first === undefined) return;
    yield first.value;
    first.head.next = await first.head.source.next();
  }
}

/** The journal that was silent for longest ends when there are more, with its exchanges still open. */
const journalsMax = bounds.fleetSearched;

export interface HostRows {
  readonly host: string;
  readonly rows: readonly ExchangeRow[];
}

export class FollowedJournals {
  readonly #filter: TrailFilter;
  /** By subject, the most recently heard one last. */
  readonly #searches = new Map<string, { readonly search: TrailSearch; readonly host: string }>();

  constructor(filter: TrailFilter) {
    this.#filter = filter;
  }

  get count(): number {
    return this.#searches.size;
  }

  /** The exchanges that a block of a journal completes, after those of a journal that is no longer followed. */
  take(subject: string, host: string, block: Buffer): readonly HostRows[] {
    const known = this.#searches.get(subject) ?? { search: createSearch(this.#filter), host };
    this.#searches.delete(subject);
    this.#searches.set(subject, known);
    const found: HostRows[] = [];
    const [oldest] = this.#searches;
    if (this.#searches.size > journalsMax && oldest !== undefined) {
      this.#searches.delete(oldest[0]);
      found.push({ host: oldest[1].host, rows: oldest[1].search.finish() });
    }
    found.push({ host, rows: known.search.take(block) });
    return found;
  }

  *finish(): Generator<HostRows, void, undefined> {
    for (const { search, host } of this.#searches.values()) yield { host, rows: search.finish() };
  }
}
