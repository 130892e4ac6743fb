// Maintenance of an open journal: retention, compression, the reserve. The keeper's thread does what is slow and lives while it
// has work; the writer records what is removed.
// The rules: one round at a time, so that nothing is compressed while it is being retired. Nothing here fails the journal.
// Ages are counted by the records' own times, without the steps of the wall clock that the journal recorded: a clock that leaps
// a year ahead removes nothing.

import type { JournalSpace } from '../../gateway/outcome/journal.js';
import type { Clock, Timer } from '../../ports/machine.js';
import type { Driver } from './driver.js';
import type { KeeperOrder, KeeperReport, Retired, Shelf, Shelved } from './keeper.js';
import { fileName, segmentNumber } from './segments.js';
import { type KeeperThread, openKeeperThread } from './thread.js';

export type MaintenanceEvent =
  | { readonly kind: 'tended'; readonly tended: Tended }
  /** Something beside the records did not work (compressing, filling the reserve); it will be tried again. */
  | { readonly kind: 'not-tended'; readonly text: string };

/** What retention may remove. Never the last segment, and none that holds an exchange under way. */
export interface RetentionLimits {
  /** Age of a segment's last record beyond which it goes, by the records' own times without steps of the clock. */
  readonly keepMs: number;
  /** A segment whose last record is younger does not go for the size of all. */
  readonly keepMinMs: number;
  /** All segments together: bytes, or a share of the file system's size (above 0, at most 1). */
  readonly sizeMax: { readonly bytes: number } | { readonly share: number };
  /** The last record that every receiver has; segments behind it stay. Undefined: nothing is shipped. */
  readonly shippedSeq: number | undefined;
  /** Segments that were not shipped may have so many bytes together; above that they go as well. */
  readonly unshippedBytesMax: number;
}

export interface MaintenanceOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly tendIntervalMs: number;
  readonly limits: () => RetentionLimits;
  readonly reserveBytes: number;
  /** `isForSize`: not the disk is full, but the segments have reached their size. */
  readonly enter: (space: JournalSpace, isForSize?: boolean) => void;
  /** Whether the segments have reached their size and none of them may go yet; asked for with each healing. */
  readonly setFull: (isFull: boolean) => Promise<void>;
  readonly noteClockStep: () => void;
  readonly observe: (event: MaintenanceEvent) => void;
}

export interface Maintenance {
  /** The disk is full: look again soon whether somebody made room. */
  hurry(): void;
  /** Resolves when nothing of it touches the directory any more. */
  end(): Promise<void>;
}

/** What a round found and did. */
export interface Tended {
  /** Names of the segments that were retired, and of those that were compressed. */
  readonly retired: readonly string[];
  /** Those of the retired that not every receiver has. */
  readonly unshipped: readonly string[];
  readonly compressed: readonly string[];
  /** Bytes of all segments, and free bytes of the file system. */
  readonly bytes: number;
  readonly freeBytes: number;
}

/** While the disk is full: how soon somebody who made room is noticed. */
const fullIntervalMs = 3000;

/** Begins with a round at once, then every `tendIntervalMs`; while the disk is full, sooner. */
export function startMaintenance(options: MaintenanceOptions): Maintenance {
  const { clock, driver, observe } = options;
  let keeper: KeeperThread | undefined;
  /** Closed segments that are known: what does not change is not looked at twice. */
  let closed: readonly Shelved[] = [];
  /** What keeps segments from being retired, as it was told last. */
  const told = new Map<string, string>();
  let isEnded = false;
  let isUnderWay = false;
  let isFull = false;
  // Ages are counted from the last record of the opening by the monotonic clock: a full journal gets older too although
  // nothing can be written, and a leap of the wall clock whose record is not there yet makes nothing older.
  const openedMs = driver.mark.timeMs - driver.mark.stepsMs - clock.now();
  let timer: Timer = clock.setTimer(0, again);

  return {
    hurry() {
      if (isEnded || isUnderWay) return;
      timer.cancel();
      timer = clock.setTimer(Math.min(options.tendIntervalMs, fullIntervalMs), again);
    },
    async end() {
      isEnded = true;
      timer.cancel();
      await keeper?.end();
    },
  };

  function again(): void {
    isUnderWay = true;
    void round().then((hasNoRoom) => {
      isUnderWay = false;
      void keeper?.end();
      keeper = undefined;
      if (isEnded) return;
      const intervalMs = Math.min(options.tendIntervalMs, hasNoRoom ? fullIntervalMs : Infinity);
      timer = clock.setTimer(intervalMs, again);
    });
  }

  /** True: there is no room, and somebody may make some. */
  async function round(): Promise<boolean> {
    options.noteClockStep();
    const mark = segmentNumber(driver.mark.segment);
    const report = await keep({ do: 'look', above: closed.at(-1)?.number ?? -1, mark });
    if (report?.kind !== 'looked') return false;
    const { damaged } = report.shelf;
    const text = `${damaged} is damaged, or the segment behind it: nothing from there on is retired`;
    tell('damaged', damaged === undefined ? undefined : text);
    closed = [...closed, ...report.shelf.closed];
    const shelf = { ...report.shelf, closed };
    const { retired, unshipped } = await retire(shelf);
    const compressed = await compress({ ...shelf, closed });
    await judgeSize({ ...shelf, closed });
    const { freeBytes, reserveBytes } = shelf;
    observe({
      kind: 'tended',
      tended: { retired, unshipped, compressed, bytes: bytesOf({ ...shelf, closed }), freeBytes },
    });
    if (isFull) return true;
    if (reserveBytes >= options.reserveBytes) return false;
    const filled = await keep({ do: 'fill-reserve', bytes: options.reserveBytes });
    if (filled?.kind === 'done') options.enter('normal');
    if (filled?.kind !== 'failed' || !filled.isDiskFull) return false;
    options.enter('reserve');
    return true;
  }

  async function retire(shelf: Shelf): Promise<Pick<Tended, 'retired' | 'unshipped'>> {
    const { openSeq } = driver.mark;
    const limits = options.limits();
    const nowMs = openedMs + clock.now();
    const { retired } = chooseRetired(shelf, limits, nowMs, openSeq);
    const all = chooseRetired(shelf, limits, nowMs, Infinity);
    const isHeldBack = all.retired.length > retired.length;
    tell(
      'held-back',
      isHeldBack ? `record ${openSeq} has no completion: no segment behind it is retired` : undefined,
    );
    const nothing = { retired: [], unshipped: [] };
    if (retired.length === 0) return nothing;
    // The records of that need room, too.
    await options.setFull(false);
    const report = await driver.run((wallMs) => ({ do: 'retire', segments: retired, wallMs }));
    if (report.kind !== 'written') return nothing;
    await keep({ do: 'remove', files: retired.map(fileName) });
    closed = closed.slice(retired.length);
    const { shippedSeq = Infinity } = limits;
    const unshipped = retired.filter(({ nextSeq }) => nextSeq - 1 > shippedSeq);
    return { retired: retired.map(({ name }) => name), unshipped: unshipped.map(({ name }) => name) };
  }

  /** After all that could be removed or compressed. */
  async function judgeSize(shelf: Shelf): Promise<void> {
    const { openSeq } = driver.mark;
    const nowMs = openedMs + clock.now();
    const { retired, isFull: isTooLarge } = chooseRetired(shelf, options.limits(), nowMs, openSeq);
    const isFullNow = isTooLarge && retired.length === 0;
    await options.setFull(isFullNow);
    if (isFullNow) options.enter('reserve', true);
    else if (isFull && shelf.reserveBytes >= options.reserveBytes) options.enter('normal');
    isFull = isFullNow;
  }

  /** Told when it begins or changes, not every minute. */
  function tell(what: string, text: string | undefined): void {
    if (text !== undefined && told.get(what) !== text) observe({ kind: 'not-tended', text });
    if (text === undefined) told.delete(what);
    else told.set(what, text);
  }

  async function compress(shelf: Shelf): Promise<readonly string[]> {
    const compressed: string[] = [];
    for (const segment of chooseCompressible(shelf, driver.mark.openSeq)) {
      const report = await keep({ do: 'compress', name: segment.name });
      if (report?.kind !== 'done') continue;
      const smaller = { ...segment, isCompressed: true, bytes: report.bytes };
      closed = closed.map((one) => (one.number === segment.number ? smaller : one));
      compressed.push(segment.name);
    }
    return compressed;
  }

  /** Undefined: the journal is being closed. */
  async function keep(order: KeeperOrder): Promise<KeeperReport | undefined> {
    if (isEnded) return undefined;
    keeper ??= openKeeperThread(options.directory);
    const report = await keeper.ask(order);
    if (isEnded) return undefined;
    tell(order.do, report.kind === 'failed' ? `${order.do}: ${report.message}` : undefined);
    return report;
  }
}

/** What retention does with the segments that there are. */
export interface Choice {
  /** Oldest first. */
  readonly retired: readonly Retired[];
  /** What stays is above the size, and too young to go. */
  readonly isFull: boolean;
}

/** `nowMs`: the time without steps. `openSeq`: what a restart must read from. */
export function chooseRetired(shelf: Shelf, limits: RetentionLimits, nowMs: number, openSeq: number): Choice {
  const retired: Retired[] = [];
  const sizeMax = 'bytes' in limits.sizeMax ? limits.sizeMax.bytes : limits.sizeMax.share * shelf.totalBytes;
  const { shippedSeq } = limits;
  const isShipped = (segment: Shelved) => shippedSeq === undefined || segment.nextSeq - 1 <= shippedSeq;
  let bytes = bytesOf(shelf);
  let unshippedBytes = bytes;
  for (const segment of shelf.closed) if (isShipped(segment)) unshippedBytes -= segment.bytes;
  for (const segment of shelf.closed) {
    if (segment.nextSeq > openSeq) break;
    const ageMs = nowMs - segment.endMs;
    const isOld = ageMs > limits.keepMs;
    if (!isOld && bytes <= sizeMax) break;
    // Else somebody who writes enough records, refused ones too, could choose what is forgotten.
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

/** Plain segments that a restart does not read, oldest first. */
export function chooseCompressible(shelf: Shelf, openSeq: number): readonly Shelved[] {
  return shelf.closed.filter((segment) => !segment.isCompressed && segment.nextSeq <= openSeq);
}

/** Bytes of all segments. */
export function bytesOf(shelf: Shelf): number {
  return shelf.closed.reduce((sum, { bytes }) => sum + bytes, shelf.otherBytes);
}
