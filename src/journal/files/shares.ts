// The bytes that each origin wrote to the journal within audit.keep_min. Above 80 % of audit.max_size an origin is refused
// if its bytes, as a share of the largest writer's, are at least the unused part of the last 20 %; below 1 % of audit.max_size
// it is served until the space is used.
//
// Bytes are counted in eight parts of keep_min, so a record counts for at most an eighth longer than that. The counts are kept in a file
// beside the segments. Without that file, the young segments count as written by no origin.

import { bounds } from '../../host/bounds/bounds.js';
import { asList, asObject, isCount, isText, parseLine } from '../../host/values/values.js';
import type { JournalFill, WriterShare } from '../records/appending.js';

/** The share of audit.max_size from which young records count as filling the journal. */
const fillingShare = bounds.fillingPercent / 100;
/** Below it the warning ends: a share around the limit must not warn again and again. */
const calmShare = bounds.calmPercent / 100;
/** An origin below it is not limited; as a share of audit.max_size. */
const smallShare = bounds.smallWriterPercent / 100;
/** Origins that are counted by name; beyond it the smallest half becomes one number. */
const originsMax = 512;
const partsPerWindow = 8;
/** Parts from several runs may be short; the oldest two are joined. */
const partsMax = 24;
const namedMax = 5;
const format = 1;

export interface Filling extends JournalFill {
  readonly isFilling: boolean;
}

interface Counted {
  /** The principal of its last record; absent: it has written nothing since the start. */
  principal?: string | undefined;
  bytes: number;
  current: number;
}

/** Bytes of a finished part of the window; `bytes` has those of origins that were counted by name. */
interface Part {
  untilMs: number;
  all: number;
  bytes: Map<string, number>;
}

export class Shares {
  readonly #counted = new Map<string, Counted>();
  #parts: Part[] = [];
  #partSinceMs: number | undefined;
  /** All bytes of the window, and of its current part, with or without an origin. */
  #all = 0;
  #current = 0;
  #largestBytes = 0;
  /** All bytes since the process began, and their number at the last check of the segments. */
  #added = 0;
  #addedBefore = 0;
  #segmentBytes = 0;
  #bytesMax = Infinity;
  #isFilling = false;

  /** Adds bytes of an origin; undefined: of none. `principal`: its name for people. */
  add(origin: string | undefined, bytes: number, principal = origin): void {
    this.#added += bytes;
    this.#all += bytes;
    this.#current += bytes;
    if (origin === undefined) return;
    let counted = this.#counted.get(origin);
    if (counted === undefined) {
      if (this.#counted.size >= originsMax) this.#forgetSmall();
      counted = { bytes: 0, current: 0 };
      this.#counted.set(origin, counted);
    }
    counted.bytes += bytes;
    counted.current += bytes;
    counted.principal = principal;
    if (counted.bytes > this.#largestBytes) this.#largestBytes = counted.bytes;
  }

  /** Whether an origin is refused while the journal fills. */
  isOver(origin: string): boolean {
    const bytesMax = this.#bytesMax;
    const youngBytes = this.youngBytes;
    if (youngBytes < fillingShare * bytesMax) return false;
    const bytes = this.#counted.get(origin)?.bytes ?? 0;
    if (bytes < smallShare * bytesMax) return false;
    const left = Math.max(0, bytesMax - youngBytes) / ((1 - fillingShare) * bytesMax);
    return bytes >= Math.min(1, left) * this.#largestBytes;
  }

  /** Segments contain older records too, and compressed ones are smaller than their records. */
  get youngBytes(): number {
    return Math.min(this.#all, this.#segmentBytes + this.#added - this.#addedBefore);
  }

  /** Whether the young records reached their limit, or fell below it, since the last check. */
  get isNews(): boolean {
    const share = this.#isFilling ? calmShare : fillingShare;
    return this.#isFilling !== this.youngBytes >= share * this.#bytesMax;
  }

  get filling(): Filling {
    const isFilling = this.#isFilling;
    const { youngBytes } = this;
    return {
      isFilling,
      youngBytes,
      bytesMax: this.#bytesMax,
      largest: isFilling ? this.#largest() : [],
    };
  }

  /** Call before a check of the segments: later bytes may not be in its result. */
  startLook(): number {
    return this.#added;
  }

  /** Call after the check. `segmentBytes`: of segments with records younger than `keepMinMs`. Returns whether `isFilling` changed. */
  endLook(added: number, segmentBytes: number, bytesMax: number): boolean {
    this.#addedBefore = added;
    this.#segmentBytes = segmentBytes;
    this.#bytesMax = bytesMax;
    const { isNews } = this;
    if (isNews) this.#isFilling = !this.#isFilling;
    return isNews;
  }

  /** Forgets bytes older than `keepMinMs`. `nowMs`: on the clock of the segments' ages. */
  age(nowMs: number, keepMinMs: number): void {
    this.#partSinceMs ??= nowMs;
    if (nowMs - this.#partSinceMs >= keepMinMs / partsPerWindow) {
      this.#parts.push(this.#closePart(nowMs));
      this.#partSinceMs = nowMs;
    }
    this.#join();
    while (this.#parts[0] !== undefined && nowMs - this.#parts[0].untilMs >= keepMinMs) {
      const part = this.#parts.shift();
      if (part !== undefined) this.#drop(part);
    }
  }

  text(nowMs: number): string {
    const current: Part = { untilMs: nowMs, all: this.#current, bytes: this.#currentBytes() };
    const parts = [...this.#parts, current].map(({ untilMs, all, bytes }) => ({
      until: Math.round(untilMs),
      all,
      bytes: [...bytes],
    }));
    return `${JSON.stringify({ format, parts })}\n`;
  }

  /** Adds the counts of a previous run; undefined: they are unknown, and `unknownBytes` belong to no origin. */
  takeText(text: string | undefined, unknownBytes: number, nowMs: number): void {
    const parts = text === undefined ? undefined : readParts(text, nowMs);
    for (const part of parts ?? [{ untilMs: nowMs, all: unknownBytes, bytes: new Map() }]) {
      this.#all += part.all;
      for (const [origin, bytes] of part.bytes) {
        const counted = this.#counted.get(origin) ?? { bytes: 0, current: 0 };
        counted.bytes += bytes;
        this.#counted.set(origin, counted);
      }
      this.#parts.push(part);
    }
    this.#join();
    if (this.#counted.size > originsMax) this.#forgetSmall();
    this.#findLargest();
  }

  #largest(): WriterShare[] {
    const all = this.#all;
    return [...this.#counted]
      .toSorted(([, one], [, other]) => other.bytes - one.bytes)
      .slice(0, namedMax)
      .map(([origin, { bytes, principal = origin }]) => ({ principal, share: bytes / all }));
  }

  #closePart(nowMs: number): Part {
    const part = { untilMs: nowMs, all: this.#current, bytes: this.#currentBytes() };
    this.#current = 0;
    for (const counted of this.#counted.values()) counted.current = 0;
    return part;
  }

  #currentBytes(): Map<string, number> {
    const bytes = new Map<string, number>();
    for (const [origin, { current }] of this.#counted) if (current > 0) bytes.set(origin, current);
    return bytes;
  }

  #drop(part: Part): void {
    this.#all -= part.all;
    for (const [origin, bytes] of part.bytes) {
      const counted = this.#counted.get(origin);
      if (counted === undefined) continue;
      counted.bytes -= bytes;
      if (counted.bytes <= 0) this.#counted.delete(origin);
    }
    this.#findLargest();
  }

  #join(): void {
    while (this.#parts.length > partsMax) {
      const [first, second] = this.#parts.splice(0, 2);
      if (first === undefined || second === undefined) return;
      const bytes = new Map(first.bytes);
      for (const [origin, more] of second.bytes) bytes.set(origin, (bytes.get(origin) ?? 0) + more);
      this.#parts.unshift({ untilMs: second.untilMs, all: first.all + second.all, bytes });
    }
  }

  /** Half of them at once, so that a full table is not sorted for each record. Their bytes stay in the total. */
  #forgetSmall(): void {
    const small = [...this.#counted].toSorted(([, one], [, other]) => one.bytes - other.bytes);
    for (const [origin] of small.slice(0, this.#counted.size - originsMax / 2)) {
      this.#counted.delete(origin);
      for (const { bytes } of this.#parts) bytes.delete(origin);
    }
  }

  #findLargest(): void {
    this.#largestBytes = 0;
    for (const { bytes } of this.#counted.values())
      if (bytes > this.#largestBytes) this.#largestBytes = bytes;
  }
}

function readParts(text: string, nowMs: number): Part[] | undefined {
  const read = parseLine(text.trimEnd());
  const parts = asList(read?.['parts']);
  if (read?.['format'] !== format || parts === undefined || parts.length > partsMax + 1) return undefined;
  const found: Part[] = [];
  for (const part of parts) {
    const { until, all, bytes } = asObject(part) ?? {};
    const pairs = asList(bytes);
    if (!isCount(until) || !isCount(all) || pairs === undefined || pairs.length > originsMax)
      return undefined;
    const named = new Map<string, number>();
    for (const pair of pairs) {
      const [origin, count] = asList(pair) ?? [];
      if (!isText(origin) || !isCount(count)) return undefined;
      named.set(origin, count);
    }
    // After a clock was set back, the part would otherwise stay for that much longer.
    found.push({ untilMs: Math.min(until, nowMs), all, bytes: named });
  }
  return found;
}
