// Ranges of subordinate uids, which a user gives to the processes of their containers. The file /etc/subuid has a line for each,
// `OWNER:FIRST:COUNT` with a name or a uid, as `alice:100000:65536`.

import { bounds } from '../bounds/bounds.js';
import { idMax } from '../words/user-word.js';

export interface SubUidRange {
  readonly first: number;
  readonly last: number;
  readonly owner: string;
}

/** Lines of another form are left out. Numbers as newuidmap reads them: also ` +1`, `0x30d40`, and octal with a leading zero. */
export function parseSubUids(text: string): readonly SubUidRange[] {
  return text.split('\n').flatMap((line) => {
    const [, owner = '', first = '', count = ''] =
      /^([^:\s][^:]*):([^:]{1,40}):([^:]{1,40}?)\s*$/.exec(line) ?? [];
    return owner === '' ? [] : rangeOf(owner, readNumber(first), readNumber(count));
  });
}

/** A line of `getsubids OWNER`: `0: OWNER FIRST COUNT`. */
export function parseSubUidAnswer(owner: string, line: string): readonly SubUidRange[] {
  const [, first, count] = /^\d+: .* (\d{1,10}) (\d{1,10})$/.exec(line) ?? [];
  return first === undefined ? [] : rangeOf(owner, Number(first), Number(count));
}

function readNumber(written: string): number {
  const text = written.replace(/^\s*\+?/, '');
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^(?:0x[0-9a-f]+|[1-9]\d*|0)$/i.test(text) ? Number(text) : Number.NaN;
}

function rangeOf(owner: string, first: number, count: number): readonly SubUidRange[] {
  const last = Math.min(first + count - 1, idMax);
  return last >= first ? [{ first, last, owner }] : [];
}

interface Part {
  readonly first: number;
  readonly last: number;
  readonly owners: readonly string[];
}

export class SubUidTable {
  /** Without overlaps, by `first`. */
  readonly #parts: readonly Part[];

  constructor(ranges: readonly SubUidRange[]) {
    this.#parts = partsOf(ranges);
  }

  /** In the order of the list, at most {@link bounds.subUidOwners}: newuidmap lets each of them use it. Empty: no range holds it. */
  ownersOf(uid: number): readonly string[] {
    let low = 0;
    let high = this.#parts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#parts[middle]?.last ?? Infinity) < uid) low = middle + 1;
      else high = middle;
    }
    const part = this.#parts[low];
    return part !== undefined && part.first <= uid ? part.owners : none;
  }
}

const none: readonly never[] = [];

function partsOf(ranges: readonly SubUidRange[]): readonly Part[] {
  const ends = ranges.flatMap(({ first, last }, index) => [
    { at: first, index, isStart: true },
    { at: last + 1, index, isStart: false },
  ]);
  ends.sort((one, other) => one.at - other.at);
  const parts: Part[] = [];
  /** Indexes of the ranges that hold the next uid, in their order. */
  const held: number[] = [];
  for (const [n, { at, index, isStart }] of ends.entries()) {
    const place = placeIn(held, index);
    if (isStart) held.splice(place, 0, index);
    else held.splice(place, 1);
    const next = ends[n + 1]?.at ?? at;
    if (held.length === 0 || next === at) continue;
    const owners = held.slice(0, bounds.subUidOwners).map((each) => ranges[each]?.owner ?? '');
    parts.push({ first: at, last: next - 1, owners: [...new Set(owners)] });
  }
  return parts;
}

function placeIn(sorted: readonly number[], index: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < index) low = middle + 1;
    else high = middle;
  }
  return low;
}
