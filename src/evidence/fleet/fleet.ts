// Follows the chains of many gates from the store of a fleet, and reports their faults. Each chain takes constant memory, and the state can
// be saved and resumed. A fault of the trail is reported once and stands until a person accepts it; the chain is followed on from there.
// Present faults (silent, apart, open, differs) are evaluated each time.
//
// A chain that does not begin with record 1 is explained by the store's own retention (its first block is old enough for that) or by the
// host's (a retire record names the segment before); otherwise its beginning is `missing`.

import { bounds } from '../../host/bounds/bounds.js';
import { formatTime } from '../../host/words/instants.js';
import type { ForkedName } from '../store/names.js';
import { type Awaited, awaitRecord, Chain, type Late, lastSignedIn, type Unproved } from './chain.js';
import type { ReadCheckpoint, SignedHead } from './checkpoint.js';
import { Findings, type FoundFinding, noHost } from './findings.js';
import {
  currentOf,
  type Gates,
  judgeCopies,
  judgeMirror,
  judgeNow,
  locksOf,
  rowsOf,
  unsignedOf,
} from './judge.js';
import { FleetLog, type VerifierKeys } from './log.js';
import {
  type ExpectedHead,
  type FleetState,
  type KeptFinding,
  newChain,
  readState,
  stateFormat,
} from './saved.js';
import type { FleetFinding, FleetStatus, StoredBlock } from './shapes.js';
import type { HostKeys } from './signatures.js';

export interface FleetOptions extends Omit<Gates, 'chains'> {
  /** Where the objects are. */
  readonly store: string;
  readonly wallMs: () => number;
  /** How long the store keeps records; 0 or undefined: for ever. Records older than half of it that are not mirrored are a finding. */
  readonly keepMs?: number;
  /** Each change of the policies is a finding. */
  readonly tellsPolicies?: boolean;
  /** The public keys of this verifier's checkpoints in base64, oldest first; undefined: the key of the first one that is read. */
  readonly verifier?: VerifierKeys | undefined;
  readonly others?: ReadonlyMap<string, readonly string[]> | undefined;
}

/** The part of `keepMs` after which the store may have dropped a record: its clock and the verifier's may differ. */
const agePart = 0.9;

export class Fleet {
  records: number;
  /** Findings of this run, counted ones included. */
  faults = 0;
  /** The records of the last block that filled a hole; undefined: none did. */
  late: Late | undefined;
  readonly #options: FleetOptions;
  readonly #findings = new Findings();
  readonly #chains = new Map<string, Chain[]>();
  readonly #keys = new Map<string, HostKeys>();
  readonly #awaited = new Map<string, Map<number, Awaited>>();
  readonly log: FleetLog;
  #news: FleetFinding[] = [];
  #mirroredMs: ReadonlyMap<string, number> = new Map();

  /** `saved`: a result of `save`; throws a TypeError with a sentence for any other value. */
  constructor(options: FleetOptions, saved?: unknown) {
    const state = saved === undefined ? undefined : readState(saved, options.store);
    this.#options = options;
    this.records = state?.records ?? 0;
    this.log = new FleetLog(
      state && { log: state.log, others: state.others },
      options.verifier ?? { name: undefined, keys: [] },
      options.others ?? new Map(),
      (found) => this.#report(found),
    );
    const verifierKeys = new Set([options.verifier?.keys ?? [], ...(options.others?.values() ?? [])].flat());
    // Lines signed by an unknown key are no fault once a person lists the key.
    const found = state?.findings.filter(({ key = '' }) => !verifierKeys.has(key));
    this.#findings.load(found ?? [], state?.more ?? []);
    this.#findings.isReread = state?.isReread ?? false;
    for (const [host, [listed, ...named]] of state?.keys ?? []) {
      const keys = this.#keysOf(host);
      // If another key is listed now, the previous one may have been stolen, together with the keys that it named.
      if (listed === (keys.listed ?? '')) keys.named.push(...named);
    }
    for (const { host, journal, seq, ...awaited } of state?.awaited ?? [])
      this.#awaitedOf(host, journal).set(seq, awaited);
    for (const chain of state?.chains ?? []) this.#add(chain.host, new Chain(chain, this.#contextOf(chain)));
  }

  /** Takes a block of a journal, in the order of their records as far as possible. Returns new findings, in their order. */
  take(block: StoredBlock): readonly FleetFinding[] {
    return this.#newsOf(() => {
      const chain = this.#chainOfBlock(block);
      this.records += chain?.takeBlock(block) ?? 0;
      this.late = chain?.late;
    });
  }

  /** Seq of the last checkpoint in a block (whose lines join) that its host signed, 0: none; and findings about other signatures in it. */
  readSignatures(block: StoredBlock): readonly [number, readonly FleetFinding[]] {
    this.#news = [];
    const { text = Buffer.alloc(0), storedMs } = block;
    const signedSeq = this.#chainOfBlock(block)?.signedSeqIn(text, storedMs) ?? 0;
    return [signedSeq, this.#news];
  }

  /** Undefined: every record of this journal that was read is taken. */
  noteUnproved(host: string, journal: string, unproved: Unproved | undefined): void {
    const chain = this.#find(host, journal);
    if (chain !== undefined) chain.unproved = unproved;
  }

  /** Takes a block whose lines join, and whose last record differs from the one that was taken. */
  takeFork(block: StoredBlock, isProved: boolean): readonly FleetFinding[] {
    return this.#newsOf(() => this.#chainOfBlock(block)?.takeFork(block, isProved));
  }

  /** Takes the mark of a gate that stopped. `isMirrored`: the mirror has its record. */
  takeMark(mark: ForkedName, isMirrored = false): readonly FleetFinding[] {
    return this.#newsOf(() => this.#chainOf(mark.host, mark.journal)?.takeMark(mark, isMirrored));
  }

  /** Takes a line of a verifier, with the time of its object. The lines of one verifier must come in order. */
  takeLine(read: ReadCheckpoint, storedMs: number): readonly FleetFinding[] {
    return this.#newsOf(() => {
      const { heads, by } = this.log.takeLine(read, storedMs);
      for (const head of heads) this.#await(head, by);
    });
  }

  /** The first and the last record of a journal that were taken; undefined: none of it was. */
  endOf(host: string, journal: string): { readonly from: number; readonly seq: number } | undefined {
    const { firstSeq: from, seq = 0 } = this.#find(host, journal)?.state ?? {};
    return from === undefined || seq === 0 ? undefined : { from, seq };
  }

  /** Whether records are missing that this block may have. */
  lacks(name: Pick<StoredBlock['name'], 'host' | 'journal' | 'first' | 'last'>): boolean {
    return this.#find(name.host, name.journal)?.lacks(name) === true;
  }

  /** `LAST HASH` of each block that would fill a hole from its end. */
  holeEnds(host: string, journal: string): readonly string[] {
    return this.#find(host, journal)?.state.gaps.map(({ to, hash }) => `${to} ${hash}`) ?? [];
  }

  /** Journals of a host that its key signed, that were here before, or that a verifier's line names. */
  vouchedOf(host: string): readonly string[] {
    const signed = (this.#chains.get(host) ?? []).filter(({ state }) => state.signedSeq > 0);
    const awaited = [...this.#awaited].filter(([key, { size }]) => size > 0 && key.startsWith(`${host} `));
    return [
      ...signed.map(({ state }) => state.journal),
      ...awaited.map(([key]) => key.slice(host.length + 1)),
    ];
  }

  /** See `lastSignedIn`. */
  lastSigned({ host, journal }: Pick<StoredBlock['name'], 'host' | 'journal'>, text: Buffer) {
    return lastSignedIn(text, journal, this.#keysOf(host));
  }

  heads(): readonly SignedHead[] {
    const heads = [...this.#chains.values()].flat().map(({ state }) => {
      const { host, journal, firstSeq: from, seq, hash, storedMs } = state;
      return { host, journal, from, seq, hash, storedMs };
    });
    const order = (head: SignedHead) => `${head.host} ${head.journal}`;
    return heads.filter(({ seq }) => seq > 0).toSorted((one, other) => (order(one) < order(other) ? -1 : 1));
  }

  /** Takes the last lines of the checkpoint file, without a gap: they must be one chain, equal to the store's. Returns new findings. */
  takeLog(lines: readonly string[]): readonly FleetFinding[] {
    return this.#newsOf(() => this.log.takeFile(lines));
  }

  /** Begins to read everything again: known and given heads, and `kept`, must be found again; `judge` reports missing ones. */
  rewind(expected: readonly ExpectedHead[], kept?: ReadCheckpoint): void {
    const known = this.heads();
    this.#chains.clear();
    for (const head of [...known, ...expected]) this.#await(head);
    this.log.rewind(kept);
    this.#findings.isReread = true;
  }

  /** Those of the heads that were not found because the store keeps nothing so old: only a mirror can have them. Call after reading. */
  olderThanStore(heads: readonly SignedHead[]): readonly SignedHead[] {
    return heads.filter(({ host, journal, seq }) => {
      const awaited = this.#awaited.get(`${host} ${journal}`)?.get(seq);
      return awaited !== undefined && this.#isOlderThanStore(host, journal, seq, awaited);
    });
  }

  /** Call when everything that is there was taken: returns all faults, those of the trail and present ones. */
  judge(nowMs: number): readonly FleetFinding[] {
    this.#findings.isReread = false;
    return this.#judge(nowMs);
  }

  /**
   * Adds a finding from outside: about names, or a mirror. Without a host it gets `noHost`. False: one of that kind is known of the same
   * record, or was accepted. `storedMs`: time of the object that shows it.
   */
  note(finding: FleetFinding, storedMs = Infinity): boolean {
    this.faults += 1;
    const found = { ...finding, storedMs };
    return !this.#findings.isKnown(found) && this.#findings.add(found);
  }

  /** By the word of a listed host: everything stored before this time (milliseconds since 1970) is in the mirror. */
  seeMirrored(mirroredMs: ReadonlyMap<string, number>): void {
    this.#mirroredMs = mirroredMs;
  }

  accept(nowMs: number): number {
    const trails = this.#findings.isReread ? [] : this.#judgeTrails(nowMs);
    const count = this.#findings.accept(nowMs) + trails.length;
    for (const finding of trails) this.#findings.addAccepted(finding, nowMs);
    // Nothing counts as missing before the search for it has ended.
    if (!this.#findings.isReread) {
      for (const awaited of this.#awaited.values()) awaited.clear();
      this.log.accept();
    }
    for (const chains of this.#chains.values()) {
      const current = currentOf(chains);
      for (const chain of chains) chain.accept(chain === current);
    }
    return count;
  }

  /** Accepted findings, as far as they are kept: `judge` leaves them out. */
  accepted(): readonly KeptFinding[] {
    return this.#findings.accepted();
  }

  /** The state for its file: to be written as JSON at once, since it shares parts with what goes on. */
  save(): unknown {
    const { kept, more } = this.#findings.save();
    const awaited = [...this.#awaited].flatMap(([key, ofChain]) => {
      const [host = '', journal = ''] = key.split(' ');
      return [...ofChain].map(([seq, one]) => ({ host, journal, seq, ...one }));
    });
    const state: FleetState = {
      format: stateFormat,
      store: this.#options.store,
      records: this.records,
      isReread: this.#findings.isReread,
      chains: [...this.#chains.values()].flat().map((chain) => chain.save()),
      keys: [...this.#keys]
        .filter(([, { named }]) => named.length > 0)
        .map(([host, { listed, named }]) => [host, [listed ?? '', ...named]]),
      awaited,
      findings: kept,
      more,
      ...this.log.save(),
    };
    return state;
  }

  /** `findings`: what `judge` returned; default: judged now. */
  status(nowMs: number, findings = this.#judge(nowMs)): FleetStatus {
    return {
      at: formatTime(nowMs),
      store: this.#options.store,
      records: this.records,
      gates: rowsOf(this.#gates(), findings),
      locks: locksOf(this.#gates(), nowMs),
      findings,
      checkpoint: this.log.own.last,
      verifiers: this.log.verifiers(),
    };
  }

  #newsOf(take: () => void): readonly FleetFinding[] {
    this.#news = [];
    take();
    return this.#news;
  }

  #find(host: string, journal: string): Chain | undefined {
    return this.#chains.get(host)?.find(({ state }) => state.journal === journal);
  }

  #chainOfBlock({ name, storedMs }: StoredBlock): Chain | undefined {
    const chain = this.#chainOf(name.host, name.journal);
    if (chain?.state.beganMs === 0) chain.state.beganMs = storedMs;
    return chain;
  }

  #chainOf(host: string, journal: string): Chain | undefined {
    const chains = this.#chains.get(host) ?? [];
    const known = chains.find(({ state }) => state.journal === journal);
    if (known !== undefined) return known;
    if (!this.#options.hosts.has(host)) {
      const strangers = [...this.#chains].flatMap(([of, all]) => (this.#options.hosts.has(of) ? [] : all));
      if (strangers.length >= bounds.fleetStrangers) {
        const text = `more than ${bounds.fleetStrangers} journals of hosts that are not listed; the others are not followed: look who may write there, or put the hosts into "hosts"`;
        this.#report({ kind: 'unknown-host', host: noHost, text }, true);
        return undefined;
      }
      const text = 'it is not listed: put it into "hosts", or take its rights away';
      this.#report({ kind: 'unknown-host', host, text }, true);
    }
    const before = currentOf(chains);
    if (before !== undefined) {
      const { seq, hash } = before.state;
      const end = seq === 0 ? 'has no proved record' : `ended with record ${seq} (${hash})`;
      const text = `a new journal; the one before, ${before.state.journal}, ${end}: look there who moved or removed it`;
      this.#report({ kind: 'new-journal', host, journal, text }, true);
    }
    if (chains.length >= bounds.fleetChains) {
      // Journals without a signed record are forgotten first.
      const isSigned = ({ state }: Chain): number => Number(state.signedSeq > 0);
      const oldest = chains.toSorted(
        (one, other) => isSigned(one) - isSigned(other) || one.state.storedMs - other.state.storedMs,
      )[0];
      if (oldest !== undefined) {
        chains.splice(chains.indexOf(oldest), 1);
        const key = `${host} ${oldest.state.journal}`;
        if (this.#awaited.get(key)?.size === 0) this.#awaited.delete(key);
      }
    }
    const state = newChain(host, journal);
    const chain = new Chain(state, this.#contextOf(state));
    this.#add(host, chain);
    return chain;
  }

  #add(host: string, chain: Chain): void {
    this.#chains.set(host, [...(this.#chains.get(host) ?? []), chain]);
  }

  #contextOf({ host, journal }: { readonly host: string; readonly journal: string }) {
    return {
      keys: this.#keysOf(host),
      awaited: this.#awaitedOf(host, journal),
      // A block of that age may be the first that the store still has: few hosts are silent for half of the time for which it keeps them.
      isPruned: (storedMs: number) => {
        const { keepMs = 0, wallMs } = this.#options;
        return keepMs > 0 && wallMs() - storedMs >= keepMs / 2;
      },
      // Reported once: a signature is checked when its block is read and when it is taken, and a fork may have any number of objects.
      report: (finding: FoundFinding) =>
        this.#report(finding, finding.kind === 'bad-signature' || finding.kind === 'forked'),
      filled: (seq: number) => {
        const hole = { kind: 'missing', host, journal, seq } as const;
        this.#findings.remove({ ...hole, isProved: true });
        this.#news = this.#news.filter(
          (one) => one.kind !== 'missing' || one.journal !== journal || one.seq !== seq,
        );
      },
      isAccepted: (finding: FoundFinding) => this.#findings.isAccepted(finding),
      tellsPolicies: this.#options.tellsPolicies === true,
    };
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
    const awaited = this.#awaited.get(key) ?? new Map<number, Awaited>();
    this.#awaited.set(key, awaited);
    return awaited;
  }

  #await({ host, journal, seq, hash, storedMs }: ExpectedHead, by?: string): void {
    const chain = this.#find(host, journal);
    if (chain !== undefined) {
      chain.expect(seq, { hash, storedMs }, by);
      return;
    }
    // Another verifier may be compromised: its heads must not displace those that were read here.
    const chainsMax = by === undefined ? bounds.fleetAwaitedChains : bounds.fleetAwaitedForOthers;
    if (this.#awaited.size >= chainsMax && !this.#awaited.has(`${host} ${journal}`)) return;
    awaitRecord(this.#awaitedOf(host, journal), seq, { hash, storedMs });
  }

  #judge(nowMs: number): readonly FleetFinding[] {
    const isListed = (host: string) => this.#options.hosts.has(host);
    const standing = this.#findings
      .standing()
      .filter(({ kind, host }) => kind !== 'unknown-host' || !isListed(host));
    const unmirrored = judgeMirror(this.#mirroredMs, this.#options.keepMs ?? 0, nowMs);
    return [...standing, ...this.#judgeTrails(nowMs), ...judgeNow(this.#gates(), nowMs), ...unmirrored];
  }

  /** Faults of the trail that a later record may explain. */
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
    findings.push(...judgeCopies(this.#options.hosts, [...this.#chains.values()].flat()));
    for (const [key, awaited] of this.#awaited) {
      const [host = '', journal = ''] = key.split(' ');
      const finding = this.#judgeAwaited(host, journal, awaited);
      if (finding !== undefined) findings.push(finding);
    }
    findings.push(...this.log.judge());
    const known = this.#findings;
    return findings.filter((finding) => !known.isAccepted(finding) && !known.isCut(finding));
  }

  #judgeAwaited(
    host: string,
    journal: string,
    awaited: ReadonlyMap<number, Awaited>,
  ): FleetFinding | undefined {
    let seq = 0;
    for (const [one, of] of awaited)
      if (!this.#isOlderThanStore(host, journal, one, of)) seq = Math.max(seq, one);
    if (seq === 0) return undefined;
    const last = this.#find(host, journal)?.state.seq ?? 0;
    const what = last === 0 ? 'has nothing of this journal' : `ends with record ${last}`;
    const where = last > seq ? 'does not have it' : what;
    const text = `record ${seq} was here before, and the store ${where}: somebody removed it, or the store was put back from a copy; look whether the host's own journal still has it`;
    return { kind: 'cut-in-store', host, journal, seq, text };
  }

  /** Whether the store's retention has removed it. */
  #isOlderThanStore(host: string, journal: string, seq: number, { storedMs }: Awaited): boolean {
    const { keepMs = 0, wallMs } = this.#options;
    const chain = this.#find(host, journal);
    if (chain !== undefined && chain.state.seq > 0) return seq < chain.state.firstSeq && !chain.state.isLate;
    return keepMs > 0 && wallMs() - storedMs >= agePart * keepMs;
  }

  #gates(): Gates {
    return { ...this.#options, chains: this.#chains };
  }

  /** `isOnce`: a known finding is not reported again. */
  #report(found: FoundFinding, isOnce = false): void {
    this.faults += 1;
    if (isOnce && this.#findings.isKnown(found)) return;
    const { isProved: _, key: _k, line: _l, storedMs: _s, ...finding } = found;
    if (this.#findings.add(found)) this.#news.push(finding);
  }
}
