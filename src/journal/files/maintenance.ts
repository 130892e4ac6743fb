// Maintenance of an open journal: retention, compression, the reserve, in one round at a time; no failure here fails the
// journal. Ages are counted by the records' own times without recorded steps, so a clock that leaps a year ahead removes
// nothing.

import type { Clock, Timer } from '../../host/ports/machine.js';
import type { JournalSpace } from '../records/appending.js';
import type { Driver } from './driver.js';
import { JournalThread } from './handover.js';
import type { Identity, KeeperOrder, KeeperReport, Retired, Shelf, Shelved } from './keeper.js';
import type { UsedPolicies } from './past-policies.js';
import type { Filling, Shares } from './shares.js';

/** `size`: the segments have their maximum size, and none is old enough to go; `small`: the disk is not larger than the reserve. */
export type NoSpace = 'full' | 'size' | 'small';

export type MaintenanceEvent =
  | { readonly kind: 'tended'; readonly tended: Tended }
  /** Work besides the records failed (compressing, filling the reserve); it is tried again. */
  | { readonly kind: 'not-tended'; readonly text: string }
  | { readonly kind: 'space'; readonly space: JournalSpace; readonly why: NoSpace }
  /** Records that must not be removed yet began to fill the journal, or ceased to. */
  | { readonly kind: 'filling'; readonly filling: Filling };

/** Limits of retention. The last segment is never removed, nor one with a running exchange. */
export interface RetentionLimits {
  /** Age of a segment's last record beyond which it goes, by the records' own times without steps of the clock. */
  readonly keepMs: number;
  /** A younger segment is not removed for the total size. */
  readonly keepMinMs: number;
  /** All segments together: bytes, or a share of the file system's size (above 0, at most 1). */
  readonly sizeMax: { readonly bytes: number } | { readonly share: number };
  /** The last record that every receiver has; later segments stay. Undefined: nothing is shipped. */
  readonly shippedSeq: number | undefined;
  /** Limit of unshipped segments together, in bytes; above it they are removed as well. */
  readonly unshippedBytesMax: number;
}

export interface MaintenanceOptions {
  readonly directory: string;
  readonly clock: Clock;
  /** Interval of the checks of age and size; and the limits of both, requested each time. */
  readonly tendIntervalMs: number;
  readonly limits: () => RetentionLimits;
  readonly reserveBytes: number;
  readonly observe: (event: MaintenanceEvent) => void;
}

export interface RunFacts {
  /** Records a step of the wall clock, if there was one. */
  readonly noteClockStep: () => void;
  readonly policies: () => UsedPolicies;
}

export interface Tended {
  /** Names of the segments that were retired, and of those that were compressed. */
  readonly retired: readonly string[];
  /** The retired ones that not every receiver has. */
  readonly unshipped: readonly string[];
  readonly compressed: readonly string[];
  /** Bytes of all segments, and free bytes of the file system. */
  readonly bytes: number;
  readonly freeBytes: number;
}

/** While the disk or the journal is full, or nearly: the interval of checks for new space. */
const fullIntervalMs = 3000;

/** Begins with a round at once, then every `tendIntervalMs`; while the disk or the journal is full or nearly so, sooner. */
export class Maintenance {
  space: JournalSpace;
  readonly #options: MaintenanceOptions;
  readonly #driver: Driver;
  readonly #shares: Shares;
  readonly #identity: Identity;
  readonly #run: RunFacts;
  #keeper: JournalThread<KeeperOrder, KeeperReport> | undefined;
  #closed: Shelved[] = [];
  readonly #told = new Map<string, string>();
  #isEnded = false;
  #isSoon = false;
  #isUnderWay = false;
  #isFull = false;
  /** The counts of the previous run were read. */
  #hasShares = false;
  /** The count of `startLook` when the shares were written last. */
  #keptAdded = 0;
  #roundedMs = -Infinity;
  readonly #offsetMs: number;
  #timer: Timer;

  /**
   * `offsetMs`: the difference of the wall clock, without its recorded steps, to the monotonic one when the journal was opened. With it a
   * full journal gets older although nothing can be written, and an unrecorded leap of the wall clock makes nothing older.
   */
  constructor(
    options: MaintenanceOptions,
    identity: Identity,
    driver: Driver,
    shares: Shares,
    space: JournalSpace,
    offsetMs: number,
    run: RunFacts,
  ) {
    this.space = space;
    this.#options = options;
    this.#identity = identity;
    this.#driver = driver;
    this.#shares = shares;
    this.#run = run;
    this.#offsetMs = offsetMs;
    this.#timer = options.clock.setTimer(0, this.#again);
  }

  /** A piece of the reserve was released: checks again soon for new space. */
  useReserve(): void {
    this.#enter('reserve');
    if (this.#isEnded || this.#isUnderWay) return;
    this.#timer.cancel();
    this.#setTimer(fullIntervalMs);
  }

  /** The records since the last check fill the journal: checks again, if the last check is some seconds old. */
  lookSoon(): void {
    if (this.#isEnded || this.#isUnderWay || this.#isSoon) return;
    this.#isSoon = true;
    this.#timer.cancel();
    const waitMs = this.#roundedMs + fullIntervalMs - this.#options.clock.now();
    this.#timer = this.#options.clock.setTimer(Math.max(0, waitMs), this.#again);
  }

  sharesText(): string {
    return this.#shares.text(this.#nowMs());
  }

  /** Resolves when no work on the directory is left. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#timer.cancel();
    await this.#keeper?.end();
  }

  readonly #again = (): void => {
    this.#isUnderWay = true;
    this.#isSoon = false;
    void this.#round().then((hasNoRoom) => {
      this.#isUnderWay = false;
      this.#roundedMs = this.#options.clock.now();
      void this.#keeper?.end();
      this.#keeper = undefined;
      const isSoon = hasNoRoom || this.#shares.filling.isFilling || this.#shares.isNews;
      if (!this.#isEnded) this.#setTimer(isSoon ? fullIntervalMs : Infinity);
    });
  };

  #setTimer(msMax: number): void {
    const { clock, tendIntervalMs } = this.#options;
    this.#timer = clock.setTimer(Math.min(tendIntervalMs, msMax), this.#again);
  }

  #enter(space: JournalSpace, why: NoSpace = 'full'): void {
    if (this.space === space) return;
    this.space = space;
    this.#options.observe({ kind: 'space', space, why });
  }

  /** True: there is no space, and an operator may make some. */
  async #round(): Promise<boolean> {
    this.#run.noteClockStep();
    const { segment, hash } = this.#driver.mark;
    const added = this.#shares.startLook();
    const above = this.#closed.at(-1)?.number ?? -1;
    const report = await this.#keep({ do: 'look', above, mark: { segment, hash }, ...this.#identity });
    if (report?.kind !== 'looked') return false;
    const { damaged, leftovers, freeBytes, reserveBytes } = report.shelf;
    const cleared = leftovers.length > 0 ? await this.#keep({ do: 'remove', names: leftovers }) : undefined;
    const gone = cleared?.kind === 'done' ? leftovers : [];
    const text = `${damaged} or the segment after it was changed or is damaged: nothing from there on is retired`;
    this.#tell('damaged', damaged === undefined ? undefined : text);
    this.#closed = [...this.#closed, ...report.shelf.closed];
    const { retired: chosen, unshipped } = await this.#retire(report.shelf);
    const retired = [...gone, ...chosen];
    const compressed = await this.#compress();
    await this.#judgeSize(report.shelf);
    await this.#judgeShares(report.shelf, added);
    const bytes = bytesOf({ ...report.shelf, closed: this.#closed });
    this.#options.observe({ kind: 'tended', tended: { retired, unshipped, compressed, bytes, freeBytes } });
    if (this.#isFull) return true;
    if (reserveBytes >= this.#options.reserveBytes) return false;
    const filled = await this.#keep({ do: 'fill-reserve', bytes: this.#options.reserveBytes });
    if (filled?.kind === 'done') this.#enter('normal');
    if (filled?.kind !== 'failed' || !filled.isDiskFull) return false;
    this.#enter('reserve', report.shelf.totalBytes <= this.#options.reserveBytes ? 'small' : 'full');
    return true;
  }

  #nowMs(): number {
    return this.#offsetMs + this.#options.clock.now();
  }

  #choose(shelf: Shelf, openSeq: number): Choice {
    return chooseRetired({ ...shelf, closed: this.#closed }, this.#options.limits(), this.#nowMs(), openSeq);
  }

  async #retire(shelf: Shelf): Promise<Pick<Tended, 'retired' | 'unshipped'>> {
    const { openSeq } = this.#driver.mark;
    const { retired } = this.#choose(shelf, openSeq);
    const isHeldBack = this.#choose(shelf, Infinity).retired.length > retired.length;
    const text = `record ${openSeq} has no completion: no later segment is retired`;
    this.#tell('held-back', isHeldBack ? text : undefined);
    const nothing = { retired: [], unshipped: [] };
    if (retired.length === 0) return nothing;
    // Records of the removal need space, too.
    await this.#driver.setFull(false);
    const report = await this.#driver.run((wallMs, behind) => ({
      do: 'retire',
      behind,
      segments: retired,
      policies: this.#run.policies(),
      wallMs,
    }));
    if (report.kind !== 'written') return nothing;
    // Otherwise their bytes would no longer be counted, and only the next start would examine them again.
    const removed = await this.#keep({ do: 'remove', names: retired.map(({ name }) => name) });
    if (removed?.kind !== 'done') return nothing;
    this.#closed = this.#closed.slice(retired.length);
    const { shippedSeq = Infinity } = this.#options.limits();
    const unshipped = retired.filter(({ nextSeq }) => nextSeq - 1 > shippedSeq);
    return { retired: retired.map(({ name }) => name), unshipped: unshipped.map(({ name }) => name) };
  }

  /** Plain segments that a restart does not read, oldest first. */
  async #compress(): Promise<readonly string[]> {
    const { openSeq } = this.#driver.mark;
    const compressed: string[] = [];
    for (const segment of this.#closed) {
      if (segment.isCompressed || segment.nextSeq > openSeq) continue;
      const report = await this.#keep({ do: 'compress', name: segment.name });
      if (report?.kind !== 'done') continue;
      const smaller = { ...segment, isCompressed: true, bytes: report.bytes };
      this.#closed = this.#closed.map((one) => (one === segment ? smaller : one));
      compressed.push(segment.name);
    }
    return compressed;
  }

  /** Call after everything possible was removed or compressed. */
  async #judgeSize(shelf: Shelf): Promise<void> {
    const { retired, isFull: isTooLarge } = this.#choose(shelf, this.#driver.mark.openSeq);
    const isFull = isTooLarge && retired.length === 0;
    await this.#driver.setFull(isFull);
    if (isFull) this.#enter('reserve', 'size');
    else if (this.#isFull && shelf.reserveBytes >= this.#options.reserveBytes) this.#enter('normal');
    this.#isFull = isFull;
  }

  /** Determines the share of young records in the size, and their principals. `added`: from `startLook` before the check. */
  async #judgeShares(shelf: Shelf, added: number): Promise<void> {
    const shares = this.#shares;
    const limits = this.#options.limits();
    const { keepMinMs } = limits;
    const nowMs = this.#nowMs();
    const young = this.#closed.filter(({ endMs }) => Math.max(0, nowMs - endMs) < keepMinMs);
    const youngBytes = bytesOf({ ...shelf, closed: young });
    if (!this.#hasShares) shares.takeText(shelf.shares, youngBytes, nowMs);
    this.#hasShares = true;
    shares.age(nowMs, keepMinMs);
    if (shares.endLook(added, youngBytes, sizeMaxOf(shelf, limits)))
      this.#options.observe({ kind: 'filling', filling: shares.filling });
    if (this.#keptAdded === added) return;
    const report = await this.#keep({ do: 'keep-shares', text: this.sharesText() });
    if (report?.kind === 'done') this.#keptAdded = added;
  }

  /** Reported when it begins or changes, not every minute. */
  #tell(what: string, text: string | undefined): void {
    const before = this.#told.get(what);
    if (text === undefined) this.#told.delete(what);
    else this.#told.set(what, text);
    if (text !== undefined && before !== text) this.#options.observe({ kind: 'not-tended', text });
  }

  async #keep(order: KeeperOrder): Promise<KeeperReport | undefined> {
    if (this.#isEnded) return undefined;
    const report = await this.#ask(order);
    if (this.#isEnded) return undefined;
    this.#tell(order.do, report.kind === 'failed' ? `${order.do}: ${report.message}` : undefined);
    return report;
  }

  async #ask(order: KeeperOrder): Promise<KeeperReport> {
    try {
      this.#keeper ??= new JournalThread({ role: 'keep', directory: this.#options.directory });
    } catch (error) {
      // The system has no thread left. The next round tries again.
      return { kind: 'failed', message: String(error), isDiskFull: false };
    }
    return this.#keeper.ask(order);
  }
}

/** Compresses segments in a thread, as a journal does with its own. Resolves to what failed; undefined: nothing. */
export async function compressSegments(
  directory: string,
  names: readonly string[],
): Promise<string | undefined> {
  const keeper = new JournalThread<KeeperOrder, KeeperReport>({ role: 'keep', directory });
  try {
    for (const name of names) {
      const report = await keeper.ask({ do: 'compress', name });
      if (report.kind === 'failed') return `${name}: ${report.message}`;
    }
    return undefined;
  } finally {
    await keeper.end();
  }
}

type Choice = ReturnType<typeof chooseRetired>;

/**
 * `retired`: the oldest first. `isFull`: the remaining segments exceed the size, and are too young to be removed. `nowMs`: the time without
 * steps. `openSeq`: the first record that a restart must read.
 */
function chooseRetired(shelf: Shelf, limits: RetentionLimits, nowMs: number, openSeq: number) {
  const retired: Retired[] = [];
  const sizeMax = sizeMaxOf(shelf, limits);
  const { shippedSeq } = limits;
  const isShipped = (segment: Shelved) => shippedSeq === undefined || segment.nextSeq - 1 <= shippedSeq;
  let bytes = bytesOf(shelf);
  let unshippedBytes = bytes;
  for (const segment of shelf.closed) if (isShipped(segment)) unshippedBytes -= segment.bytes;
  for (const segment of shelf.closed) {
    if (segment.nextSeq > openSeq) break;
    // A wall clock that is set a little ahead leaves no record: without a minimum age nothing is too young for that.
    const ageMs = Math.max(0, nowMs - segment.endMs);
    const isOld = ageMs > limits.keepMs;
    if (!isOld && bytes <= sizeMax) break;
    // Otherwise a client that causes enough records, even refused ones, could choose what is forgotten.
    if (!isOld && ageMs < limits.keepMinMs) return { retired, isFull: true };
    if (!isShipped(segment)) {
      if (unshippedBytes <= limits.unshippedBytesMax) break;
      unshippedBytes -= segment.bytes;
    }
    retired.push({ ...segment, why: isOld ? 'age' : 'size' });
    bytes -= segment.bytes;
  }
  return { retired, isFull: false };
}

function sizeMaxOf({ totalBytes }: Shelf, { sizeMax }: RetentionLimits): number {
  return 'bytes' in sizeMax ? sizeMax.bytes : sizeMax.share * totalBytes;
}

function bytesOf(shelf: Shelf): number {
  return shelf.closed.reduce((sum, { bytes }) => sum + bytes, shelf.otherBytes);
}
