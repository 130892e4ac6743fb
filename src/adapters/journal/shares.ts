// How many bytes each principal wrote to the journal within audit.keep_min, and who is refused when these bytes fill it.
// The rules: below 80 % of audit.max_size nobody is limited. From there on a principal is refused while it wrote at least so much of
// what the largest writer wrote, as a share, as is left of the last 20 %: the largest writers are refused first, and the others go on
// until all of the space is used. A principal that wrote less than 1 % of audit.max_size goes on until then, too.
//
// Bytes are counted in eight parts of keep_min, so a record counts for at most an eighth longer than that. The counts are kept in a file
// beside the segments. Where that is gone, the young segments count as written by nobody.

import { bounds } from '../../bounds/bounds.js';
import { parseLine } from '../../domain/audit/record.js';
import type { JournalFill, WriterShare } from '../../gateway/outcome/journal.js';

/** Where the young records fill the journal: as a share of audit.max_size. */
const fillingShare = bounds.fillingPercent / 100;
/** Below it the warning ends: a share around the limit must not warn again and again. */
const calmShare = bounds.calmPercent / 100;
/** A principal that wrote less is not limited; as a share of audit.max_size. */
const smallShare = bounds.smallWriterPercent / 100;
/** Principals that are counted by name; the smallest half becomes one number when there are more. */
const principalsMax = bounds.writers;
const partsPerWindow = 8;
/** Parts from several runs may be short; the oldest two become one. */
const partsMax = bounds.writerParts;
const namedMax = bounds.writersNamed;
const format = 1;

export interface Filling extends JournalFill {
  readonly isFilling: boolean;
}

interface Counted {
  bytes: number;
  /** Those of the current part. */
  current: number;
}

/** Bytes of a part of the window that is over; `bytes` has those of principals that were counted by name. */
interface Part {
  untilMs: number;
  all: number;
  bytes: Map<string, number>;
}

export class Shares {
  readonly #counted = new Map<string, Counted>();
  #parts: Part[] = [];
  #partSinceMs: number | undefined;
  /** All bytes of the window, and of its current part: of principals and of nobody. */
  #all = 0;
  #current = 0;
  #largestBytes = 0;
  /** All bytes since the process began, and how many of them there were at the last look at the segments. */
  #added = 0;
  #addedBefore = 0;
  #segmentBytes = 0;
  #bytesMax = Infinity;
  #isFilling = false;

  /** Bytes that a principal caused; undefined: nobody. */
  add(principal: string | undefined, bytes: number): void {
    this.#added += bytes;
    this.#all += bytes;
    this.#current += bytes;
    if (principal === undefined) return;
    let counted = this.#counted.get(principal);
    if (counted === undefined) {
      if (this.#counted.size >= principalsMax) this.#forgetSmall();
      counted = { bytes: 0, current: 0 };
      this.#counted.set(principal, counted);
    }
    counted.bytes += bytes;
    counted.current += bytes;
    if (counted.bytes > this.#largestBytes) this.#largestBytes = counted.bytes;
  }

  /** Whether the records of a principal are too much while the journal fills. */
  isOver(principal: string): boolean {
    const bytesMax = this.#bytesMax;
    const youngBytes = this.youngBytes;
    if (youngBytes < fillingShare * bytesMax) return false;
    const bytes = this.#counted.get(principal)?.bytes ?? 0;
    if (bytes < smallShare * bytesMax) return false;
    const left = Math.max(0, bytesMax - youngBytes) / ((1 - fillingShare) * bytesMax);
    return bytes >= Math.min(1, left) * this.#largestBytes;
  }

  /** Segments hold records that are older, too, and compressed ones are smaller than their records. */
  get youngBytes(): number {
    return Math.min(this.#all, this.#segmentBytes + this.#added - this.#addedBefore);
  }

  /** Whether the young records reached their limit, or left it, since the last look. */
  get isNews(): boolean {
    return this.#isFilling !== this.#isFillingNow();
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

  /** Before a look at the segments: what is added from now on may not be among their bytes. */
  startLook(): number {
    return this.#added;
  }

  /** After it. `segmentBytes`: of segments with records younger than `keepMinMs`. Returns whether `isFilling` changed. */
  endLook(added: number, segmentBytes: number, bytesMax: number): boolean {
    this.#addedBefore = added;
    this.#segmentBytes = segmentBytes;
    this.#bytesMax = bytesMax;
    const isFilling = this.#isFillingNow();
    const isNews = isFilling !== this.#isFilling;
    this.#isFilling = isFilling;
    return isNews;
  }

  /** Forgets what is older than `keepMinMs`. `nowMs`: as ages of segments are counted. */
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

  /** As a text for `takeText`. */
  text(nowMs: number): string {
    const current: Part = { untilMs: nowMs, all: this.#current, bytes: this.#currentBytes() };
    const parts = [...this.#parts, current].map(({ untilMs, all, bytes }) => ({
      until: Math.round(untilMs),
      all,
      bytes: [...bytes],
    }));
    return `${JSON.stringify({ format, parts })}\n`;
  }

  /** Adds what a run before counted; undefined: that is not known, and `unknownBytes` were written by nobody. */
  takeText(text: string | undefined, unknownBytes: number, nowMs: number): void {
    const parts = text === undefined ? undefined : readParts(text, nowMs);
    for (const part of parts ?? [{ untilMs: nowMs, all: unknownBytes, bytes: new Map() }]) {
      this.#all += part.all;
      for (const [principal, bytes] of part.bytes) {
        const counted = this.#counted.get(principal) ?? { bytes: 0, current: 0 };
        counted.bytes += bytes;
        this.#counted.set(principal, counted);
      }
      this.#parts.push(part);
    }
    this.#join();
    if (this.#counted.size > principalsMax) this.#forgetSmall();
    this.#findLargest();
  }

  #isFillingNow(): boolean {
    return this.youngBytes >= (this.#isFilling ? calmShare : fillingShare) * this.#bytesMax;
  }

  #largest(): WriterShare[] {
    const all = this.#all;
    return [...this.#counted]
      .toSorted(([, one], [, other]) => other.bytes - one.bytes)
      .slice(0, namedMax)
      .map(([principal, { bytes }]) => ({ principal, share: bytes / all }));
  }

  #closePart(nowMs: number): Part {
    const part = { untilMs: nowMs, all: this.#current, bytes: this.#currentBytes() };
    this.#current = 0;
    for (const counted of this.#counted.values()) counted.current = 0;
    return part;
  }

  #currentBytes(): Map<string, number> {
    const bytes = new Map<string, number>();
    for (const [principal, { current }] of this.#counted) if (current > 0) bytes.set(principal, current);
    return bytes;
  }

  #drop(part: Part): void {
    this.#all -= part.all;
    for (const [principal, bytes] of part.bytes) {
      const counted = this.#counted.get(principal);
      if (counted === undefined) continue;
      counted.bytes -= bytes;
      if (counted.bytes <= 0) this.#counted.delete(principal);
    }
    this.#findLargest();
  }

  #join(): void {
    while (this.#parts.length > partsMax) {
      const [first, second] = this.#parts.splice(0, 2);
      if (first === undefined || second === undefined) return;
      const bytes = new Map(first.bytes);
      for (const [principal, more] of second.bytes) bytes.set(principal, (bytes.get(principal) ?? 0) + more);
      this.#parts.unshift({ untilMs: second.untilMs, all: first.all + second.all, bytes });
    }
  }

  /** Half of them at once, so that a full table is not sorted for each record. Their bytes stay among all. */
  #forgetSmall(): void {
    const small = [...this.#counted].toSorted(([, one], [, other]) => one.bytes - other.bytes);
    for (const [principal] of small.slice(0, this.#counted.size - principalsMax / 2)) {
      this.#counted.delete(principal);
      for (const { bytes } of this.#parts) bytes.delete(principal);
    }
  }

  #findLargest(): void {
    this.#largestBytes = 0;
    for (const { bytes } of this.#counted.values())
      if (bytes > this.#largestBytes) this.#largestBytes = bytes;
  }
}

/** Undefined: it is no text of `Shares`. */
function readParts(text: string, nowMs: number): Part[] | undefined {
  const read = parseLine(text.trimEnd());
  const parts = read?.['parts'];
  if (read?.['format'] !== format || !Array.isArray(parts) || parts.length > partsMax + 1) return undefined;
  const found: Part[] = [];
  for (const part of parts) {
    const { until, all, bytes } = Object(part);
    if (!isCount(until) || !isCount(all) || !Array.isArray(bytes) || bytes.length > principalsMax)
      return undefined;
    const named = new Map<string, number>();
    for (const pair of bytes) {
      const [principal, count] = Array.isArray(pair) ? pair : [];
      if (typeof principal !== 'string' || !isCount(count)) return undefined;
      named.set(principal, count);
    }
    // One of a clock that was set back would stay for as long.
    found.push({ untilMs: Math.min(until, nowMs), all, bytes: named });
  }
  return found;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
