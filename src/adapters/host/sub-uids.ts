// Ranges of subordinate uids, which a user gives to the processes of their containers. The file /etc/subuid has a line for each,
// `OWNER:FIRST:COUNT` with a name or a uid, as `alice:100000:65536`.

import { idMax } from '../../domain/identity/user-word.js';

export interface SubUidRange {
  readonly first: number;
  readonly last: number;
  readonly owner: string;
}

/** Lines of another form are left out. */
export function parseSubUids(text: string): readonly SubUidRange[] {
  return text.split('\n').flatMap((line) => {
    const [, owner = '', first, count] = /^([^:\s][^:]*):(\d{1,10}):(\d{1,10})\s*$/.exec(line) ?? [];
    return owner === '' ? [] : rangeOf(owner, Number(first), Number(count));
  });
}

/** A line of `getsubids OWNER`: `0: OWNER FIRST COUNT`. */
export function parseSubUidAnswer(owner: string, line: string): readonly SubUidRange[] {
  const [, first, count] = /^\d+: .* (\d{1,10}) (\d{1,10})$/.exec(line) ?? [];
  return first === undefined ? [] : rangeOf(owner, Number(first), Number(count));
}

function rangeOf(owner: string, first: number, count: number): readonly SubUidRange[] {
  const last = Math.min(first + count - 1, idMax);
  return last < first ? [] : [{ first, last, owner }];
}

/** Finds the range of a uid. Where ranges overlap, the first of the list counts. */
export class SubUidTable {
  /** Without overlaps, by `first`. */
  readonly #parts: SubUidRange[] = [];

  constructor(ranges: readonly SubUidRange[]) {
    for (const range of ranges) this.#add(range);
  }

  ownerOf(uid: number): string | undefined {
    const part = this.#parts[this.#indexFrom(uid)];
    return part !== undefined && part.first <= uid ? part.owner : undefined;
  }

  /** Adds the parts of a range that no earlier one has. */
  #add({ first, last, owner }: SubUidRange): void {
    let from = first;
    let index = this.#indexFrom(first);
    while (from <= last) {
      const next = this.#parts[index];
      const end = next === undefined ? last : Math.min(last, next.first - 1);
      if (end >= from) {
        this.#parts.splice(index, 0, { first: from, last: end, owner });
        index += 1;
      }
      if (next === undefined) return;
      from = Math.max(from, next.last + 1);
      index += 1;
    }
  }

  /** The index of the first part that ends at `uid` or above it. */
  #indexFrom(uid: number): number {
    let low = 0;
    let high = this.#parts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#parts[middle]?.last ?? Infinity) < uid) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
