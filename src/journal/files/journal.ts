// The journal for the engine: takes records into the ring, and reports when they are on disk. Records are encoded when they are
// appended, so a long or hostile one delays no other; the driver does the rest.

import { statSync } from 'node:fs';
import { predicateOf } from '../../host/kinds/kinds.js';
import { JournalFault, messageOf } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { parseSignKey } from '../../rules/keys/sign-key.js';
import type { Journal, JournalSpace } from '../records/appending.js';
import { encodeBody, encodeRecord } from '../records/encode.js';
import type { AuditRecord, JournalRecord, RecordRoom } from '../records/record.js';
import { Driver, type DriverEvent, type DriverOptions, type Missing } from './driver.js';
import {
  type Found,
  type Opened,
  type Report,
  type RingShare,
  type WriterOptions,
  WriterThread,
} from './handover.js';
import { Maintenance, type MaintenanceEvent, type MaintenanceOptions, type RunFacts } from './maintenance.js';
import { formatRing, type RingIdentity, RingWriter, readRingHeader } from './ring.js';
import { isSameFile } from './segments.js';
import { type Filling, Shares } from './shares.js';

export interface JournalOptions
  extends WriterOptions,
    Omit<MaintenanceOptions, 'observe'>,
    Omit<DriverOptions, 'wallMs' | 'openThread' | 'shares' | 'observe'> {
  /** Opening reads the remains of a crash, so it may take longer than `deadlineMs`. */
  readonly openDeadlineMs: number;
  /** Who has the lock of an open file, in words. */
  readonly holderOf?: (descriptor: number) => string;
  /** Interval of the checks whether the written files are still there, also without new records. */
  readonly lookIntervalMs: number;
  readonly checkpointIntervalMs: number;
  /** Maps the ring's file, for the life of the process; throws if that is impossible. */
  readonly map: (path: string, bytes: number) => Mapped;
  readonly observe: (event: JournalEvent) => void;
}

export interface Mapped {
  readonly memory: ArrayBuffer;
  readonly address: bigint;
}

export type JournalEvent =
  | DriverEvent
  | MaintenanceEvent
  /** The file of the ring was removed: from now on every record is synced before its command is sent. */
  | { readonly kind: 'memory-gone'; readonly text: string };

export const isJournalEvent = predicateOf<JournalEvent>();

const replacedText = 'was removed or replaced; does another daemon have the same audit.memory?';
/** The approximate size that number, hashes and line end add to a record. */
const sealBytes = 160;
/** Smaller steps of the wall clock are not recorded. */
const clockStepMsMin = 1000;
/** No record is appended so long after its time was read. */
const staleMsMax = 60_000;
/**
 * Records of an end, and of what the journal could not take, may use the whole ring. All others may use half of it. The end
 * of a command that was never sent leaves a quarter free. Otherwise a client that is refused and tries again at once would take the space
 * that running commands need for their ends.
 */
const outcomes: ReadonlySet<string> = new Set(['completion', 'log', 'clock', 'journal']);

/** Rejects with a JournalFault: `locked`, `newer-format`, `unreadable`, `write-failed`, `writer-died`, `deadline`. */
export async function openJournal(options: JournalOptions): Promise<OpenJournal> {
  const { clock, directory, openDeadlineMs } = options;
  const thread = new WriterThread(options, clock);
  const clockOffsetMs = clock.wallMs() - clock.now();
  let timer: Timer | undefined;
  const late = new Promise<Report>((resolve) => {
    const message = `${directory} could not be opened within ${openDeadlineMs} ms: its disk does not answer, or is too slow`;
    timer = clock.setTimer(openDeadlineMs, () => resolve({ kind: 'failed', code: 'deadline', message }));
  });
  const ask = (lock: number | undefined): Promise<Report> =>
    // The time is read for each try: the previous daemon may have written until the lock was free.
    Promise.race([thread.ask({ do: 'open', lock, wallMs: clock.now() + clockOffsetMs }), late]);
  let report = await ask(undefined);
  let holder: string | undefined;
  if (report.kind === 'lock') {
    if (takeLock(options, report.descriptor)) report = await ask(report.descriptor);
    else holder = options.holderOf?.(report.descriptor);
  }
  timer?.cancel();
  if (report.kind === 'opened') {
    const ring = openRing(options, report);
    attach(thread, ring.share);
    return new OpenJournal(options, thread, report, ring, clockOffsetMs);
  }
  void thread.end();
  throw report.kind === 'failed'
    ? new JournalFault(report.code, report.message)
    : new JournalFault(
        'locked',
        `${holder ?? 'another process'} writes the journal in ${directory}, or its file system has no locks; stop that process, or name another audit.directory`,
      );
}

interface OpenRing {
  readonly writer: RingWriter;
  readonly share: RingShare;
  /** Why its content does not survive the process; undefined: it does. */
  readonly whyNot: string | undefined;
  /** The file that a start after a crash reads; undefined: there is none. */
  readonly file: RingFile | undefined;
}

interface RingFile {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
}

/** The ring in the thread's file; without a file, or if it cannot be mapped, in process memory. */
function openRing({ map, memory: { path, bytes } }: JournalOptions, { ring, found }: Opened): OpenRing {
  let whyNot = typeof ring === 'string' ? ring : undefined;
  if (typeof ring !== 'string' && path !== undefined) {
    try {
      const { dev: device, ino: inode } = statSync(path);
      const { memory, address } = map(path, ring.bytes);
      const { generation } = ring;
      if (readRingHeader(new Uint8Array(memory))?.generation !== generation)
        throw new Error(`${path} ${replacedText}`);
      return {
        writer: new RingWriter(memory, generation),
        share: { memory: { address, bytes: ring.bytes }, generation },
        whyNot,
        file: { path, device, inode },
      };
    } catch (error) {
      whyNot = messageOf(error);
    }
  }
  const memory = new SharedArrayBuffer(bytes);
  const identity: RingIdentity = { bytes, journal: found.journal, generation: 0n };
  formatRing(new Uint8Array(memory), identity);
  return { writer: new RingWriter(memory, 0n), share: { memory, generation: 0n }, whyNot, file: undefined };
}

function isThere(file: RingFile): boolean {
  try {
    return isSameFile(file.path, file);
  } catch {
    return false;
  }
}

/** Passes the ring to a thread: it attaches, or dies, which the next order shows. */
function attach(thread: WriterThread, ring: RingShare): WriterThread {
  thread.give({ do: 'attach', ring }, () => undefined);
  return thread;
}

/** If the lock call fails, the lock is not ours. */
function takeLock(options: JournalOptions, descriptor: number): boolean {
  try {
    return options.lock(descriptor);
  } catch (error) {
    options.observe({ kind: 'not-tended', text: `lock: ${String(error)}` });
    return false;
  }
}

/** The journal as the program uses it; the engine uses less of it. */
export class OpenJournal implements Journal {
  readonly found: Found;
  /** Why unsynced records would not survive the process; undefined: they would. */
  whyNotCrashProof: string | undefined;
  isCrashProof: boolean;
  readonly #options: JournalOptions;
  readonly #clock: Clock;
  readonly #driver: Driver;
  readonly #maintenance: Maintenance;
  readonly #shares = new Shares();
  readonly #policies = new Set<string>();
  readonly #repeated: readonly Timer[];
  /** Difference of the wall clock to the monotonic one, according to the records. */
  #clockOffsetMs: number;
  #closed: Promise<void> | undefined;
  #steppedMs = -Infinity;

  constructor(
    options: JournalOptions,
    thread: WriterThread,
    opened: Opened,
    ring: OpenRing,
    clockOffsetMs: number,
  ) {
    const { clock, observe } = options;
    this.whyNotCrashProof = ring.whyNot;
    this.isCrashProof = ring.whyNot === undefined;
    this.#options = options;
    this.#clock = clock;
    this.#clockOffsetMs = clockOffsetMs;
    this.found = opened.found;
    // The journal's own records follow the record of a step, never precede it.
    const wallMs = (): number => clock.now() + this.#clockOffsetMs;
    const drive: DriverOptions = {
      ...options,
      wallMs,
      lock: (descriptor) => takeLock(options, descriptor),
      openThread: () => attach(new WriterThread(options, clock), ring.share),
      shares: () => this.#maintenance.sharesText(),
      observe: (event) => {
        if (event.kind === 'reserve-used') this.#maintenance.useReserve();
        // The next start takes them from the file of the ring, if there is one.
        if (event.kind === 'left' && !this.isCrashProof) this.#driver.lose(event.records);
        else observe(event);
      },
    };
    this.#driver = new Driver(drive, thread, opened, ring.writer);
    if (opened.checkpoint !== undefined) observe({ kind: 'checkpoint', line: opened.checkpoint });
    const space = opened.isReserveUsed ? 'reserve' : 'normal';
    const offsetMs = clockOffsetMs - opened.mark.stepsMs;
    const key = options.signKey === undefined ? undefined : parseSignKey(options.signKey).key;
    const identity = { journal: opened.found.journal, key };
    const startSeq = opened.mark.seq;
    const facts: RunFacts = {
      noteClockStep: () => this.#noteClockStep(),
      policies: () => ({ versions: [...this.#policies], startSeq }),
    };
    this.#maintenance = new Maintenance(
      options,
      identity,
      this.#driver,
      this.#shares,
      space,
      offsetMs,
      facts,
    );
    this.#repeated = [
      this.#repeat(options.lookIntervalMs, () => {
        if (ring.file !== undefined) this.#lookAtMemory(ring.file);
        return this.#driver.run((_, behind) => ({ do: 'look', behind }));
      }),
      this.#repeat(options.checkpointIntervalMs, () =>
        this.#driver.run((timeMs, behind) => ({ do: 'checkpoint', behind, wallMs: timeMs })),
      ),
    ];
  }

  /** The mapping stays, but a start after a crash would not find the file. */
  #lookAtMemory(file: RingFile): void {
    if (!this.isCrashProof || isThere(file)) return;
    this.isCrashProof = false;
    this.whyNotCrashProof = `${file.path} ${replacedText}`;
    this.#options.observe({ kind: 'memory-gone', text: this.whyNotCrashProof });
  }

  append(record: AuditRecord, room?: RecordRoom): JournalFault | undefined {
    if (this.#closed !== undefined) return this.#lost('closed', 'the journal is closed');
    const bodies = this.#encode(record, room);
    if (!this.#driver.add(bodies, this.#room(record))) return this.#overflow(bodies);
    this.#count(record, bodies);
    return undefined;
  }

  /** A record whose promise was rejected may still reach the disk later: after every appended admission append its completion, too. */
  appendDurable(record: AuditRecord, room?: RecordRoom): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#lost('closed', 'the journal is closed'));
    const bodies = this.#encode(record, room);
    const { state } = this.#driver;
    if (state.at !== 'writable') {
      // Kept all the same, so that the journal records the attempt when the disk is back.
      const isKept = this.#driver.add(bodies, this.#room(record));
      return Promise.reject(isKept ? state.fault : this.#overflow(bodies));
    }
    return new Promise((resolve, reject) => {
      const isTaken = this.#driver.addAwaited(bodies, this.#room(record), resolve, reject);
      if (isTaken) this.#count(record, bodies);
      else reject(this.#overflow(bodies));
    });
  }

  /** A time from before a step of the clock must not follow the record of that step: it would look like a second step. */
  #encode(record: AuditRecord, room: RecordRoom | undefined): readonly string[] {
    const wallMs = this.#noteClockStep();
    const isEarlier =
      Math.abs(record.time - wallMs) > clockStepMsMin && this.#clock.now() - this.#steppedMs < staleMsMax;
    return encodeRecord(isEarlier ? { ...record, time: wallMs } : record, room);
  }

  /** The only place that counts the bytes of a record for its origin. */
  #count({ origin, principal, by }: AuditRecord, bodies: readonly string[]): void {
    let bytes = 0;
    for (const body of bodies) bytes += Buffer.byteLength(body) + sealBytes;
    const name = principal ?? by;
    this.#shares.add(origin ?? name, bytes, name);
    if (this.#shares.isNews) this.#maintenance.lookSoon();
  }

  #room({ event, sent }: AuditRecord): number {
    const { half, whole } = this.#driver;
    if (!outcomes.has(event)) return half;
    return sent === false ? (half + whole) / 2 : whole;
  }

  #overflow(bodies: readonly string[]): JournalFault {
    return this.#lost('overflow', 'too many records wait for the disk', bodies.length);
  }

  #lost(code: JournalFault['code'], message: string, records = 1): JournalFault {
    this.#driver.lose(records);
    return new JournalFault(code, message);
  }

  /** Resolves when all appended records are on disk, without a sync of its own. Rejects with a JournalFault. */
  readonly flushed = (): Promise<void> => this.#driver.flushed();

  async checkpoint(): Promise<void> {
    if (this.#closed !== undefined) throw new JournalFault('closed', 'the journal is closed');
    const report = await this.#driver.run((wallMs, behind) => ({ do: 'checkpoint', behind, wallMs }));
    if (report.kind === 'failed') throw new JournalFault(report.code, report.message);
  }

  /** Keeps a policy's text beside the segments; resolves when it is on disk. `version`: its hash, hex. Rejects with a JournalFault. */
  async keepPolicy(version: string, text: string): Promise<void> {
    // It becomes a file name: only characters of a hash are allowed.
    if (!/^[0-9a-f]{16,128}$/.test(version)) throw new TypeError('a policy version is a hash in hex');
    this.#policies.add(version);
    const report = await this.#driver.run((_, behind) => ({ do: 'keep-policy', behind, version, text }));
    if (report.kind === 'failed') throw new JournalFault(report.code, report.message);
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#noteClockStep();
    for (const timer of this.#repeated) timer.cancel();
    const { deadlineMs } = this.#options;
    const untilMs = this.#clock.now() + 2 * deadlineMs;
    // The lock ends with the thread: its next owner must be alone in the directory. But there is no wait for a hanging disk.
    const late = new Promise<void>((resolve) => {
      this.#clock.setTimer(deadlineMs, resolve);
    });
    await Promise.race([this.#maintenance.end(), late]);
    this.#noteClockStep();
    await this.#driver.close(untilMs);
  }

  get state(): 'writable' | 'failed' {
    return this.#driver.state.at === 'writable' && this.#closed === undefined ? 'writable' : 'failed';
  }

  /** Why the state is `failed`; undefined while it is writable, and after the close. */
  get fault(): JournalFault | undefined {
    const { state } = this.#driver;
    return state.at === 'failed' || state.at === 'slow' ? state.fault : undefined;
  }

  get refusal(): JournalFault | undefined {
    const { state } = this.#driver;
    return state.at === 'failed' || state.at === 'closed' ? state.fault : undefined;
  }

  get unsyncedMs(): number {
    return this.#driver.unsyncedMs;
  }

  get space(): JournalSpace {
    return this.#maintenance.space;
  }

  isOverShare(origin: string): boolean {
    return this.#shares.isOver(origin);
  }

  get filling(): Filling {
    return this.#shares.filling;
  }

  get lost(): number {
    return this.#driver.lost;
  }

  get missing(): Missing | undefined {
    return this.#driver.missing;
  }

  /** Seq of the last record on disk: up to it records may be shown elsewhere. */
  get seq(): number {
    return this.#driver.mark.seq;
  }

  /** Sum of the recorded steps of the wall clock: ages of records exclude them. */
  get stepsMs(): number {
    return this.#driver.mark.stepsMs;
  }

  /**
   * A clock that was set back must not look like tampering. A step whose record finds no space is seen again by the next call, and small
   * steps once they are a large one together.
   */
  #noteClockStep(): number {
    const wallMs = this.#clock.wallMs();
    const offsetMs = wallMs - this.#clock.now();
    const stepMs = Math.round(offsetMs - this.#clockOffsetMs);
    if (Math.abs(stepMs) > clockStepMsMin) {
      const record: JournalRecord = { time: wallMs, event: 'clock', step_ms: stepMs };
      if (!this.#driver.add([encodeBody(record)], this.#driver.whole)) return wallMs;
      this.#steppedMs = this.#clock.now();
      this.#clockOffsetMs = offsetMs;
    }
    return wallMs;
  }

  /** Repeats until the journal is closed. A failed order needs no action here: healing does as much. */
  #repeat(intervalMs: number, run: () => unknown): Timer {
    const again = (): void => {
      this.#noteClockStep();
      void Promise.resolve(run()).then(() => {
        if (this.#closed === undefined) timer = this.#clock.setTimer(intervalMs, again);
      });
    };
    let timer = this.#clock.setTimer(intervalMs, again);
    return { cancel: () => timer.cancel() };
  }
}
