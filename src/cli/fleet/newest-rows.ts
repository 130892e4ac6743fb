// The newest rows of a search, from rows in any order: by time, then by host, then the later record first. Only a limited number
// is kept; the others are counted.

import { bounds } from '../../bounds/bounds.js';
import { formatJson } from '../../domain/audit/encode.js';
import { parseTime } from '../../domain/audit/record.js';
import type { ExchangeRow } from '../../domain/trail/search.js';

interface Entry {
  readonly time: string;
  readonly host: string;
  readonly row: ExchangeRow;
  readonly bytes: number;
}

/** `limit`: rows to return, at most `bounds.fleetRows`; `bytesMax`: of the kept ones. */
export function createNewestRows(limit: number, bytesMax: number = bounds.fleetRowsBytes) {
  let kept: Entry[] = [];
  let bytes = 0;
  let older = 0;
  /** The newest dropped row: older ones are dropped, too. */
  let newestOlder: Entry | undefined;

  const trim = (toBytes: number): void => {
    kept.sort(compare);
    let count = 0;
    bytes = 0;
    for (const entry of kept) {
      if (count >= limit || (count > 0 && bytes + entry.bytes > toBytes)) break;
      bytes += entry.bytes;
      count += 1;
    }
    older += kept.length - count;
    newestOlder = kept[count] ?? newestOlder;
    kept = kept.slice(0, count);
  };

  return {
    add(host: string, row: ExchangeRow): void {
      const { time } = row.fields;
      // An invalid time sorts as older than all.
      const isTime = typeof time === 'string' && parseTime(time) !== undefined;
      const size = formatJson(row.fields).length;
      const entry: Entry = { time: isTime ? time : '', host, row, bytes: size };
      if (newestOlder !== undefined && compare(entry, newestOlder) > 0) {
        older += 1;
        return;
      }
      kept.push(entry);
      bytes += size;
      // Below the limit: otherwise each further row would sort them again.
      if (kept.length >= limit * 2 || bytes > bytesMax) trim(bytesMax * 0.75);
    },
    /** Newest first, and the number of older ones. */
    finish(): { readonly rows: readonly ExchangeRow[]; readonly older: number } {
      trim(bytesMax);
      return { rows: kept.map(({ row }) => row), older };
    },
  };
}

function compare(one: Entry, other: Entry): number {
  if (one.time !== other.time) return one.time < other.time ? 1 : -1;
  if (one.host !== other.host) return one.host < other.host ? -1 : 1;
  return (other.row.admittedSeq ?? 0) - (one.row.admittedSeq ?? 0);
}
