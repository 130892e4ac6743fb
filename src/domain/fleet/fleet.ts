// Follows the chains of many gates, as they come out of the streams of a fleet, and says what is wrong with them, and where.
// The rules: constant memory for each chain; what is remembered can be saved and gone on with; a fault of the trail is told once, stands
// until a person accepts it, and the chain is followed on from there. What is wrong only now (silent, apart, open, differs) is asked anew.
//
// A chain that does not begin with record 1 is explained by the stream's own retention (the first message that was read is not the
// stream's first) or by the host's (a retire record names the segment before); else its beginning is `missing`. The records of a host are in
// the stream of the checkpoints, where releases before kept those of all hosts, and behind them in the stream of the host.

import { bounds } from '../../bounds/bounds.js';
import { formatTime } from '../audit/record.js';
import { checkpointSubject, type FleetStream, hostStreamOf, readHeadOf, readSubject } from './block.js';
import { type Awaited, awaitRecord, Chain } from './chain.js';
import type { ExpectedHead, ReadCheckpoint } from './checkpoint.js';
import { Findings, type FoundOf, type KeptFinding, noHost } from './findings.js';
import { currentOf, type Gates, judgeNow, rowsOf, unsignedOf } from './judge.js';
import { FleetLog, type VerifierKeys } from './log.js';
import {
  type FleetState,
  type LogState,
  newChain,
  readState,
  type StreamPlace,
  stateFormat,
} from './saved.js';
import type { ExpectedHost, FleetFinding, FleetMessage, FleetStatus } from './shapes.js';
import type { HostKeys } from './signatures.js';
import { type DescribedStream, type SignedStrength, Streams } from './streams.js';

export {
  type ExpectedHead,
  type FleetCheckpoint,
  type ReadCheckpoint,
  readCheckpoint,
  signCheckpoint,
} from './checkpoint.js';
export { type KeptFinding, noHost } from './findings.js';

export interface FleetOptions {
  /** Of the checkpoints; the prefix of the names of the others. */
  readonly stream: string;
  /** By the word of the host. */
  readonly hosts: ReadonlyMap<string, ExpectedHost>;
  /** An exchange without end is a finding after so long: longer than the longest deadline of the gates. */
  readonly openMs: number;
  /** Clocks further apart are a finding. */
  readonly driftMs: number;
  /** Who signs checkpoints here: public keys in base64, oldest first; undefined: the key of the first one that is read. */
  readonly verifier?: VerifierKeys | undefined;
  /** The other verifiers, by their names; keys as above. */
  readonly others?: ReadonlyMap<string, readonly string[]> | undefined;
}

export interface Fleet {
  /**
   * The next message of a stream, by default that of the checkpoints, which is read before those of hosts; marks and checkpoints of the fleet
   * too. What is new is returned, in its order.
   */
  take(message: FleetMessage, from?: Pick<FleetStream, 'name' | 'host'>): readonly FleetFinding[];
  /** How far all streams were taken: the numbers of the last messages, added. */
  readonly streamSeq: number;
  /** Of the last message of a stream that was taken; 0: none yet. */
  seqIn(stream: string): number;
  /** Lines that were verified, in this and earlier runs. */
  readonly records: number;
  /** Findings that were met in this run, those that are only counted, too. */
  readonly faults: number;
  /** The heads of all chains, as far as they were read; in the order of host and journal. */
  heads(): readonly ExpectedHead[];
  /**
   * The last lines of the file of checkpoints, without a gap: they must be one chain, and the one that the stream has. What is new is
   * returned.
   */
  takeLog(lines: readonly string[]): readonly FleetFinding[];
  /**
   * A stream is not the one that was read, or a kept line is to be compared: all are read again from their first messages, and each head
   * that is known, or is given here, must be met again, and so must `kept`; streams must be as strong as that says. What is not met is found
   * by `judge`.
   */
  rewind(expected: readonly ExpectedHead[], kept?: ReadCheckpoint): void;
  /** Why a line that was kept elsewhere proves nothing here, a part of a sentence; undefined: its signature counts. */
  whyNotKept(kept: ReadCheckpoint): string | undefined;
  /** The last line of this verifier that the stream has, as far as it was read; seq 0: none yet. */
  readonly signed: Pick<LogState, 'seq' | 'hash' | 'key' | 'next'>;
  /** Everything up to the stream's end was taken: all that is wrong, what stands in the trail and what is wrong at this moment. */
  judge(nowMs: number): readonly FleetFinding[];
  /** A stream as its server describes it now: `judge` finds what is weaker than it must be, or was. */
  see(seen: DescribedStream): void;
  /** Sentences about rights that a user has and must not have, as they were just looked at. */
  seeRights(texts: readonly string[]): void;
  /** How strong the streams have been: to be signed. */
  strengths(): readonly SignedStrength[];
  /** A finding of the outside: the stream was replaced. Where it has no host, it has `noHost`. */
  note(finding: FleetFinding): void;
  /** All findings that stand in the trail are known to a person from now on; how many they were. */
  accept(nowMs: number): number;
  /** What a person accepted, as far as it is kept: `judge` leaves it out. */
  accepted(): readonly KeptFinding[];
  /** For the file of the state; JSON. */
  save(): unknown;
  status(nowMs: number): FleetStatus;
}

/** A host that is made anew at each start has a journal for each; of more, the one that was silent longest is forgotten. */
const chainsPerHostMax = bounds.fleetChains;
/** Journals of hosts that are not listed: a stranger with rights to publish must not fill the memory. */
const strangersMax = bounds.fleetStrangers;
const awaitedChainsMax = bounds.fleetAwaitedChains;

/** `saved`: what `save` gave; throws a TypeError with a sentence where it is not exactly that. */
export function createFleet(options: FleetOptions, saved?: unknown): Fleet {
  const state = saved === undefined ? undefined : readState(saved, options.stream);
  return new Verifier(options, state);
}

const noPlace: StreamPlace = { streamSeq: 0, firstSeq: 0, firstMs: 0 };

class Verifier implements Fleet {
  records: number;
  faults = 0;
  readonly #options: FleetOptions;
  readonly #findings = new Findings();
  readonly #streams = new Streams();
  readonly #chains = new Map<string, Chain[]>();
  readonly #keys = new Map<string, HostKeys>();
  readonly #awaited = new Map<string, Map<number, Awaited>>();
  /** By the names of the streams. */
  readonly #places: Map<string, StreamPlace>;
  readonly #log: FleetLog;
  #news: FleetFinding[] = [];

  constructor(options: FleetOptions, state: FleetState | undefined) {
    this.#options = options;
    this.records = state?.records ?? 0;
    this.#places = new Map(state?.streams);
    if (state !== undefined) {
      const { streamSeq, firstSeq, firstMs } = state;
      this.#places.set(options.stream, { streamSeq, firstSeq, firstMs });
    }
    this.#log = new FleetLog(
      state && { log: state.log, others: state.others ?? [] },
      options.verifier ?? { name: undefined, keys: [] },
      options.others ?? new Map(),
      (kind, text, seq, name, of) => this.#tell(kind, text, seq, name, of),
    );
    const verifierKeys = new Set([options.verifier?.keys ?? [], ...(options.others?.values() ?? [])].flat());
    // Lines of a stranger are no fault once a person lists its key.
    const found = state?.findings.filter(({ key = '' }) => !verifierKeys.has(key));
    this.#findings.load(found ?? [], state?.more ?? []);
    this.#findings.isReread = state?.isReread ?? false;
    this.#streams.load(state?.strengths ?? []);
    for (const [host, [listed, ...named]] of state?.keys ?? []) {
      const keys = this.#keysOf(host);
      // Where another key is listed now, the one before may have been stolen, and so may what it named.
      if (listed === (keys.listed ?? '')) keys.named.push(...named);
    }
    for (const { host, journal, seq, ...awaited } of state?.awaited ?? [])
      this.#awaitedOf(host, journal).set(seq, awaited);
    for (const chain of state?.chains ?? []) this.#add(chain.host, new Chain(chain, this.#contextOf(chain)));
  }

  get streamSeq(): number {
    let sum = 0;
    for (const { streamSeq } of this.#places.values()) sum += streamSeq;
    return sum;
  }

  seqIn(stream: string): number {
    return this.#placeIn(stream).streamSeq;
  }

  take(
    message: FleetMessage,
    from: Pick<FleetStream, 'name' | 'host'> = { name: this.#options.stream, host: undefined },
  ): readonly FleetFinding[] {
    const { streamSeq, storedMs } = message;
    const place = this.#placeIn(from.name);
    // Taken already.
    if (streamSeq <= place.streamSeq) return [];
    const first = place.firstSeq === 0 ? { firstSeq: streamSeq, firstMs: storedMs } : {};
    this.#places.set(from.name, { ...place, ...first, streamSeq });
    this.#news = [];
    if (message.subject === checkpointSubject && from.host === undefined) {
      const { heads, by } = this.#log.takeMessage(message);
      for (const head of heads) this.#await(head, by);
    } else this.#takeOfGate(message, from);
    return this.#news;
  }

  heads(): readonly ExpectedHead[] {
    const heads = [...this.#chains.values()].flat().map(({ state }) => {
      const { host, journal, seq, hash, storedMs } = state;
      return { host, journal, seq, hash, storedMs };
    });
    const order = (head: ExpectedHead) => `${head.host} ${head.journal}`;
    return heads.filter(({ seq }) => seq > 0).toSorted((one, other) => (order(one) < order(other) ? -1 : 1));
  }

  takeLog(lines: readonly string[]): readonly FleetFinding[] {
    this.#news = [];
    this.#log.takeFile(lines);
    return this.#news;
  }

  get signed(): LogState {
    return this.#log.own;
  }

  whyNotKept(kept: ReadCheckpoint): string | undefined {
    return this.#log.whyNotKept(kept);
  }

  rewind(expected: readonly ExpectedHead[], kept?: ReadCheckpoint): void {
    const known = this.heads();
    this.#chains.clear();
    for (const head of [...known, ...expected]) this.#await(head);
    this.#log.rewind(kept);
    this.#streams.remember(kept?.streams ?? []);
    this.#findings.isReread = true;
    this.#places.clear();
  }

  judge(nowMs: number): readonly FleetFinding[] {
    this.#findings.isReread = false;
    return this.#judge(nowMs);
  }

  note(finding: FleetFinding): void {
    this.#findings.add(finding);
  }

  see(seen: DescribedStream): void {
    this.#streams.see(seen);
  }

  seeRights(texts: readonly string[]): void {
    this.#streams.seeRights(texts);
  }

  strengths(): readonly SignedStrength[] {
    return this.#streams.strengths();
  }

  accept(nowMs: number): number {
    const trails = this.#findings.isReread ? [] : this.#judgeTrails(nowMs);
    const count = this.#findings.accept(nowMs) + trails.length + this.#streams.accept();
    for (const finding of trails) this.#findings.addAccepted(finding, nowMs);
    // What was not looked for to the end yet, nobody knows to be missing.
    if (!this.#findings.isReread) {
      for (const awaited of this.#awaited.values()) awaited.clear();
      this.#log.accept();
    }
    for (const chains of this.#chains.values()) {
      const current = currentOf(chains);
      for (const chain of chains) chain.accept(chain === current);
    }
    return count;
  }

  accepted(): readonly KeptFinding[] {
    return this.#findings.accepted();
  }

  save(): unknown {
    const { kept, more } = this.#findings.save();
    const awaited = [...this.#awaited].flatMap(([key, ofChain]) => {
      const [host = '', journal = ''] = key.split(' ');
      return [...ofChain].map(([seq, one]) => ({ host, journal, seq, ...one }));
    });
    const state: FleetState = {
      format: stateFormat,
      stream: this.#options.stream,
      ...this.#placeIn(this.#options.stream),
      streams: [...this.#places].filter(([name]) => name !== this.#options.stream),
      records: this.records,
      isReread: this.#findings.isReread,
      chains: [...this.#chains.values()].flat().map((chain) => chain.save()),
      keys: [...this.#keys]
        .filter(([, { named }]) => named.length > 0)
        .map(([host, { listed, named }]) => [host, [listed ?? '', ...named]]),
      awaited,
      findings: kept,
      more,
      strengths: this.#streams.save(),
      ...this.#log.save(),
    };
    return structuredClone(state);
  }

  status(nowMs: number): FleetStatus {
    const findings = this.#judge(nowMs);
    return {
      at: formatTime(nowMs),
      stream: this.#options.stream,
      streamSeq: this.streamSeq,
      records: this.records,
      gates: rowsOf(this.#gates(), findings),
      findings,
      streams: this.#streams.rows(),
      checkpoint: this.#log.own.last,
      verifiers: this.#log.verifiers(),
    };
  }

  #takeOfGate(message: FleetMessage, from: Pick<FleetStream, 'name' | 'host'>): void {
    const named = readSubject(message.subject);
    if (named === undefined) {
      const { host = noHost, name } = from;
      const text = `the message at ${message.streamSeq} of ${name} has a subject of no gate; look who may publish it`;
      this.#report({ kind: 'malformed', host, text });
      return;
    }
    // Behind the first message of its own stream, nothing of a host comes elsewhere.
    const own = hostStreamOf(this.#options.stream, named.host).name;
    if (from.name !== own && (from.host !== undefined || this.seqIn(own) > 0)) {
      const text = `the message at ${message.streamSeq} of ${from.name} is of this host, whose stream is ${own}; look who changed the subjects of the streams`;
      this.#report({ kind: 'misplaced', ...named, text }, true);
      return;
    }
    const chain = this.#chainOf(named.host, named.journal);
    if (chain === undefined) return;
    const head = readHeadOf(message.header);
    if (head?.kind === 'mark') chain.takeMark(head);
    if (head?.kind !== 'mark' || message.bytes.length > 0)
      this.records += chain.takeBlock(message, head?.kind === 'mark' ? undefined : head);
  }

  /** Undefined, and told: it is one too many. */
  #chainOf(host: string, journal: string): Chain | undefined {
    const chains = this.#chains.get(host) ?? [];
    const known = chains.find(({ state }) => state.journal === journal);
    if (known !== undefined) return known;
    const isListed = this.#options.hosts.has(host);
    if (!isListed && this.#strangers() >= strangersMax) {
      const text = `more than ${strangersMax} journals of hosts that are not listed; the others are not followed: look who may publish, or put the hosts into "hosts"`;
      this.#report({ kind: 'unknown-host', host: noHost, text }, true);
      return undefined;
    }
    if (!isListed) {
      const text = 'it is not listed: put it into "hosts", or take its rights away';
      this.#report({ kind: 'unknown-host', host, text }, true);
    }
    const before = currentOf(chains);
    if (before !== undefined) {
      const { seq, hash } = before.state;
      const text = `a new journal; the one before, ${before.state.journal}, ended with record ${seq} (${hash}): look there who moved or removed it`;
      this.#report({ kind: 'new-journal', host, journal, text }, true);
    }
    for (const [other, others] of this.#chains) {
      if (other === host || !others.some(({ state }) => state.journal === journal)) continue;
      const text = `this is the journal of host ${other}: one machine was copied, or somebody publishes under a wrong name`;
      this.#report({ kind: 'forked', host, journal, text }, true);
    }
    if (chains.length >= chainsPerHostMax) {
      const oldest = chains.toSorted((one, other) => one.state.storedMs - other.state.storedMs)[0];
      if (oldest !== undefined) this.#forget(chains, oldest);
    }
    const state = newChain(host, journal);
    const chain = new Chain(state, this.#contextOf(state));
    this.#add(host, chain);
    return chain;
  }

  #forget(chains: Chain[], chain: Chain): void {
    chains.splice(chains.indexOf(chain), 1);
    const key = `${chain.state.host} ${chain.state.journal}`;
    if (this.#awaited.get(key)?.size === 0) this.#awaited.delete(key);
  }

  #strangers(): number {
    let count = 0;
    for (const [host, chains] of this.#chains) if (!this.#options.hosts.has(host)) count += chains.length;
    return count;
  }

  #add(host: string, chain: Chain): void {
    const chains = this.#chains.get(host);
    if (chains === undefined) this.#chains.set(host, [chain]);
    else chains.push(chain);
  }

  #contextOf({ host, journal }: { readonly host: string; readonly journal: string }) {
    return {
      keys: this.#keysOf(host),
      awaited: this.#awaitedOf(host, journal),
      isPruned: () => this.#placesOf(host).some(({ firstSeq }) => firstSeq > 1),
      report: (finding: FleetFinding) => this.#report(finding),
      isAccepted: (finding: FleetFinding) => this.#findings.isAccepted(finding),
    };
  }

  #placeIn(stream: string): StreamPlace {
    return this.#places.get(stream) ?? noPlace;
  }

  /** Of the streams that may hold records of a host. */
  #placesOf(host: string): readonly StreamPlace[] {
    const { stream } = this.#options;
    return [this.#placeIn(stream), this.#placeIn(hostStreamOf(stream, host).name)];
  }

  #keysOf(host: string): HostKeys {
    const known = this.#keys.get(host);
    if (known !== undefined) return known;
    const keys = { listed: this.#options.hosts.get(host)?.key, named: [] };
    this.#keys.set(host, keys);
    return keys;
  }

  #awaitedOf(host: string, journal: string): Map<number, Awaited> {
    const key = `${host} ${journal}`;
    const known = this.#awaited.get(key);
    if (known !== undefined) return known;
    const awaited = new Map<number, Awaited>();
    this.#awaited.set(key, awaited);
    return awaited;
  }

  /** A record that must be there. */
  #await({ host, journal, seq, hash, storedMs }: ExpectedHead, by?: string): void {
    const chain = this.#chains.get(host)?.find(({ state }) => state.journal === journal);
    if (chain !== undefined) {
      chain.expect(seq, { hash, storedMs }, by);
      return;
    }
    // Another verifier may be compromised: it must not take the room of what was read here.
    const chainsMax = by === undefined ? awaitedChainsMax : bounds.fleetAwaitedForOthers;
    if (this.#awaited.size >= chainsMax && !this.#awaited.has(`${host} ${journal}`)) return;
    awaitRecord(this.#awaitedOf(host, journal), seq, { hash, storedMs });
  }

  #judge(nowMs: number): readonly FleetFinding[] {
    const isListed = (host: string) => this.#options.hosts.has(host);
    const standing = this.#findings
      .standing()
      .filter(({ kind, host }) => kind !== 'unknown-host' || !isListed(host));
    const weakened = this.#streams.judge(this.#log.own.streams ?? []);
    return [...standing, ...weakened, ...this.#judgeTrails(nowMs), ...judgeNow(this.#gates(), nowMs)];
  }

  /** What stands in the trail, and goes when something later explains it. */
  #judgeTrails(nowMs: number): readonly FleetFinding[] {
    const findings: FleetFinding[] = [];
    for (const [host, chains] of this.#chains) {
      for (const chain of chains) {
        const unsigned = unsignedOf(chain, this.#options.hosts.get(host), nowMs);
        if (unsigned !== undefined) findings.push(unsigned);
        const late = chain.judgeBeginning();
        if (late !== undefined) findings.push(late);
      }
    }
    for (const [key, awaited] of this.#awaited) {
      const [host = '', journal = ''] = key.split(' ');
      const finding = this.#judgeAwaited(host, journal, awaited);
      if (finding !== undefined) findings.push(finding);
    }
    for (const { kind, name, seq, text } of this.#log.judge())
      findings.push({ kind, host: noHost, journal: name, seq, text });
    return findings.filter((finding) => !this.#findings.isAccepted(finding));
  }

  #judgeAwaited(
    host: string,
    journal: string,
    awaited: ReadonlyMap<number, Awaited>,
  ): FleetFinding | undefined {
    const { state } = this.#chains.get(host)?.find((one) => one.state.journal === journal) ?? {};
    const pruned = this.#placesOf(host).filter(({ firstSeq }) => firstSeq > 1);
    let seq = 0;
    for (const [one, { storedMs }] of awaited) {
      // What is older than a stream is gone by its own retention.
      const isGone = pruned.some(({ firstMs }) =>
        state !== undefined && state.seq > 0 ? one < state.firstSeq : storedMs < firstMs,
      );
      if (!isGone) seq = Math.max(seq, one);
    }
    if (seq === 0) return undefined;
    const last = state?.seq ?? 0;
    const what = last === 0 ? 'has nothing of this journal' : `ends with record ${last}`;
    const where = last > seq ? 'does not have it' : what;
    const text = `record ${seq} was here before, and the stream ${where}: the server lost it or was put back from a copy; a gate that still has it sends it again`;
    return { kind: 'cut-in-stream', host, journal, seq, text };
  }

  #gates(): Gates {
    const { hosts, openMs, driftMs } = this.#options;
    return { hosts, chains: this.#chains, openMs, driftMs };
  }

  /** `name`: of the verifier whose checkpoint it is. */
  #tell(kind: FleetFinding['kind'], text: string, seq?: number, name?: string, of?: FoundOf): void {
    const journal = name === undefined ? {} : { journal: name };
    const finding = { kind, host: noHost, ...journal, ...(seq === undefined ? {} : { seq }), text };
    this.faults += 1;
    if (this.#findings.add({ ...finding, ...of })) this.#news.push(finding);
  }

  /** `isOnce`: what is known is not told again. */
  #report(finding: FleetFinding, isOnce = false): void {
    this.faults += 1;
    if (isOnce && this.#findings.isKnown(finding)) return;
    if (this.#findings.add(finding)) this.#news.push(finding);
  }
}
