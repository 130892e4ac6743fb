// Tending the journal while it is open: retention, compression, the reserve. It knows what segments there are, has the
// keeper's thread do what is slow, and has the writer tell what goes. It owns that thread, which lives while it has work.
// The rule: one round at a time, so that nothing is compressed while it is being retired; nothing here fails the journal.

import type { JournalSpace } from '../../gateway/outcome/ports.js';
import type { Clock, Timer } from '../../ports/clock.js';
import type { Driver } from './drive.js';
import type { KeeperOrder, KeeperReport, RetentionLimits, Shelf, Shelved } from './messages.js';
import { bytesOf, chooseCompressible, chooseRetired, fileName } from './retention.js';
import { segmentNumber } from './segments.js';
import { type KeeperThread, openKeeperThread } from './thread.js';

/** What tending tells. */
export type TendEvent =
  | { readonly kind: 'tended'; readonly tended: Tended }
  /** Something beside the records did not work (compressing, filling the reserve); it will be tried again. */
  | { readonly kind: 'not-tended'; readonly text: string };

/** What tending works with: the journal's options and the parts of it that it asks. */
export interface TendOptions {
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
  readonly observe: (event: TendEvent) => void;
}

/** Tending under way. */
export interface Tending {
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
export function startTending(options: TendOptions): Tending {
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
    if (filled === undefined) return false;
    const isFilled = filled.kind === 'done';
    options.enter(isFilled ? 'normal' : 'reserve');
    return !isFilled;
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
