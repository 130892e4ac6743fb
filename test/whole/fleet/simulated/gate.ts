// One gate of a simulated fleet: the writer of the journal and the shipper of the daemon, without clients and without processes. Its
// records come in bulk; everything behind the ring of records is the real thing: segments with heads, chain, signed checkpoints, recovery
// after a crash, the connection with the host's own credentials, blocks, positions, doubts.

import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { headerNames } from '../../../../src/evidence/fleet/block.js';
import type { NatsSettings } from '../../../../src/evidence/nats/dial.js';
import { NatsFault } from '../../../../src/evidence/nats/fault.js';
import { type GateLink, openNats } from '../../../../src/evidence/nats/link.js';
import { createUlidSource } from '../../../../src/gate/daemon/ulid.js';
import { systemClock } from '../../../../src/host/machine/clock.js';
import type { AuditRecord, JournalRecord } from '../../../../src/journal/records/record.js';
import type { makeSignKey } from '../../../../src/rules/keys/sign-key.js';
import { createNatsCarrier } from '../../../../src/ship/shipping/nats-carrier.js';
import { openShipping, type Shipping, type Sink } from '../../../../src/ship/shipping/shipping.js';
import {
  append,
  checkpoint,
  kill,
  type Place,
  placeIn,
  type Run,
  startRun,
  stop,
  write,
} from '../../../journal/files/forged-run.js';
import { segmentFiles } from '../../../journal/files/reading.js';
import type { Random } from '../../../kit/plain/chunkings.js';
import { until } from '../../../kit/plain/until.js';
import { exchange } from '../../bench/load/journal.js';

export interface GateOptions {
  readonly host: string;
  readonly folder: string;
  readonly link: NatsSettings;
  readonly stream: string;
  readonly signKey: ReturnType<typeof makeSignKey>;
  readonly isSigned?: boolean;
  readonly program?: string;
  readonly catalog?: string;
  /** The version that its admissions name. */
  readonly version?: string;
  /** How far its clock is ahead. */
  readonly aheadMs?: number;
  /** The time that all hosts agree on. */
  readonly wallMs: () => number;
  readonly random: Random;
  /** A block was acknowledged; its oldest record had been on disk for so long. */
  readonly acknowledged: (lagMs: number) => void;
  /** Events of its shipper, by kind. */
  readonly told: (kind: string) => void;
}

/** Bytes of records that go through the ring at once. */
const ringBytes = 128 << 10;
const pairsAtOnce = 40;
/** As by default. */
const settleMs = 300_000;

/** Records up to `seq` are on disk since then. */
interface Moment {
  readonly seq: number;
  readonly atMs: number;
}

export class SimulatedGate {
  readonly host: string;
  readonly place: Place;
  readonly options: GateOptions;
  journal = '';
  seq = 0;
  /** Its journals before: the directory of the segments, and the id. */
  readonly before: { readonly directory: string; readonly journal: string }[] = [];
  /** Nothing more comes from it. */
  isOut = false;
  /** How often it has begun or ended a connection itself. */
  moves = 0;
  readonly #nextId = createUlidSource();
  readonly #moments: Moment[] = [];
  #exchanges: number;
  #aheadMs: number;
  #acknowledgedSeq = 0;
  #run: Run | undefined;
  #shipping: Shipping | undefined;
  #link: GateLink | undefined;

  constructor(options: GateOptions, parent = join(options.folder, options.host)) {
    this.host = options.host;
    this.options = options;
    this.place = placeIn(parent);
    this.#aheadMs = options.aheadMs ?? 0;
    // Not all hosts begin with the same user.
    this.#exchanges = Math.floor(options.random() * 1_000_000);
  }

  get nowMs(): number {
    return this.options.wallMs() + this.#aheadMs;
  }

  get sentSeq(): number {
    return this.#shipping?.sinks[0]?.sentSeq ?? this.#acknowledgedSeq;
  }

  get isForked(): boolean {
    return this.#shipping?.sinks[0]?.state.at === 'forked';
  }

  /** Since when the record after `seq` is on disk. Undefined: there is none. */
  waitingSince(seq: number): number | undefined {
    return this.#moments.find((moment) => moment.seq > seq)?.atMs;
  }

  /** Forgets the moments before a record that was verified. */
  verified(seq: number): void {
    const at = this.#moments.findIndex((moment) => moment.seq > seq);
    this.#moments.splice(0, at < 0 ? this.#moments.length : at);
  }

  /** Opens the journal, or a new one. Returns the records that a crash left in the ring. */
  open(): number {
    const { signKey, isSigned = true, program = 'dovegate 1.0.0', catalog = 'ca'.repeat(32) } = this.options;
    const run = startRun(this.place, {
      journal: this.#chanceHex(),
      wallMs: this.nowMs,
      secretPem: signKey.secretPem,
      isSigned,
      program,
      catalog,
      hasRing: true,
      segmentBytes: 64 << 20,
      sharedBytes: ringBytes,
    });
    this.#run = run;
    this.journal = run.found.journal;
    this.#onDisk(run.mark.seq);
    return run.found.recovered;
  }

  /** Connects, and resolves when everything on disk was acknowledged, or the journal is forked. */
  async ship(): Promise<void> {
    this.moves += 1;
    const { link, stream, told, random } = this.options;
    const isDead = (): boolean => this.#shipping !== shipping;
    const sink: Sink = {
      name: 'nats',
      key: 'nats',
      carrier: (parts) =>
        createNatsCarrier({
          ...parts,
          receiver: { link, stream, host: this.host, settleMs },
          openLink: async (settings, signal) => {
            if (isDead()) throw new NatsFault('dial-refused', 'the gate is dead');
            return (this.#link = this.#watched(await openNats(settings, signal)));
          },
        }),
    };
    const shipping: Shipping = await openShipping({
      directory: this.place.directory,
      stateDirectory: this.place.state,
      clock: systemClock,
      chance: random,
      sinks: [sink],
      sender: { hostName: this.host, processId: 1 },
      connect: () => Promise.reject(new Error('there is no syslog here')),
      observe: ({ kind }) => told(kind),
    });
    this.#shipping = shipping;
    shipping.start({ id: this.journal, seq: () => this.seq });
    await this.shipped();
  }

  /** Resolves when everything on disk was acknowledged. */
  async shipped(): Promise<void> {
    await until(
      () => this.isForked || this.sentSeq >= this.seq,
      () => `${this.host} has sent ${this.sentSeq} of ${this.seq}`,
      600_000,
    );
  }

  /** So many commands, each with its admission and its completion. */
  work(pairs: number): void {
    for (let left = pairs; left > 0; left -= pairsAtOnce) {
      const records = Array.from({ length: Math.min(left, pairsAtOnce) }, () => this.#pair()).flat();
      this.write(...records);
    }
  }

  /** One whose completion never comes. */
  leaveOpen(): void {
    this.write(...this.#pair().slice(0, 1));
  }

  write(...records: readonly JournalRecord[]): void {
    this.#onDisk(write(this.#open, ...records).seq);
  }

  checkpoint(): void {
    this.#onDisk(checkpoint(this.#open, this.nowMs).seq);
  }

  /** As the daemon records a leap of its clock. */
  stepClock(ms: number): void {
    this.#aheadMs += ms;
    this.write({ time: this.nowMs, event: 'clock', step_ms: ms });
  }

  /** What is on disk is sent first, and then nothing more. */
  async park(): Promise<void> {
    this.moves += 1;
    await this.shipped();
    const shipping = this.#shipping;
    this.#acknowledgedSeq = this.sentSeq;
    this.#shipping = undefined;
    await shipping?.end();
  }

  /** In order, as a service manager stops it: the last records are sent, too. */
  async stop(): Promise<void> {
    const run = this.#open;
    this.#run = undefined;
    this.#onDisk(stop(run, this.nowMs).seq);
    await this.park();
  }

  /** The process and its connection end at once, with commands in the ring that are not in a segment yet. */
  async crash(pairs = 0): Promise<void> {
    this.moves += 1;
    const run = this.#open;
    this.#run = undefined;
    const records = Array.from({ length: pairs }, () => this.#pair()).flat();
    if (records.length > 0) run.publish(...records);
    this.#acknowledgedSeq = this.sentSeq;
    const shipping = this.#shipping;
    this.#shipping = undefined;
    await this.#link?.close();
    await shipping?.end();
    kill(run);
  }

  /** The journal and all that the gate knows of it are put elsewhere; `open` begins a new one. */
  putAway(): void {
    const directory = `${this.place.directory}-before-${this.before.length}`;
    this.before.push({ directory, journal: this.journal });
    renameSync(this.place.directory, directory);
    rmSync(this.place.state, { recursive: true });
    placeIn(join(this.place.directory, '..'));
    this.seq = 0;
    this.#acknowledgedSeq = 0;
    this.#moments.length = 0;
  }

  /** All of its files, as a copy of its disk has them. */
  copyTo(folder: string): void {
    cpSync(join(this.place.directory, '..'), folder, { recursive: true });
  }

  /** Of a dead gate: its disk is the copy from now on. */
  restoreFrom(folder: string): void {
    const own = join(this.place.directory, '..');
    rmSync(own, { recursive: true });
    renameSync(folder, own);
    this.seq = 0;
    this.#moments.length = 0;
  }

  /** Somebody without the key adds a command to the journal of a gate that was stopped. */
  forgeEnd(): void {
    append(this.place, this.#pair());
  }

  /** Lines of the journal, with their LFs. */
  lines(directory = this.place.directory): readonly string[] {
    const texts = segmentFiles(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
    return texts.join('').split(/(?<=\n)/);
  }

  /** Ends what it has open, without a word. */
  async close(): Promise<void> {
    if (this.#run !== undefined) await this.crash();
    else await this.#shipping?.end();
  }

  get #open(): Run {
    if (this.#run === undefined) throw new Error(`${this.host} does not run`);
    return this.#run;
  }

  #pair(): readonly AuditRecord[] {
    const { version, random } = this.options;
    this.#exchanges += 1;
    const atMs = this.nowMs;
    const chance = Uint8Array.from({ length: 10 }, () => Math.floor(random() * 256));
    const pair = exchange(this.#exchanges, atMs, this.#nextId(atMs, chance));
    return version === undefined
      ? pair
      : pair.map((record) => (record.event === 'admission' ? { ...record, version } : record));
  }

  #onDisk(seq: number): void {
    this.seq = seq;
    this.#moments.push({ seq, atMs: performance.now() });
    this.#shipping?.nudge();
  }

  #watched(link: GateLink): GateLink {
    const publish: GateLink['publish'] = async (subject, headers, bytes, expected) => {
      const answer = await link.publish(subject, headers, bytes, expected);
      const said = headers.find(([name]) => name === headerNames.seq)?.[1] ?? '';
      const [first = 0, last = 0] = said.split('-').map(Number);
      const since = this.#moments.find((moment) => moment.seq >= first)?.atMs;
      if (since !== undefined && last >= first) this.options.acknowledged(performance.now() - since);
      return answer;
    };
    return { ...link, publish };
  }

  #chanceHex(): string {
    const { random } = this.options;
    return Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('');
  }
}
