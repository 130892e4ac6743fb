// Finds all records of one exchange in a trail, with its search twins and its session; for a limited view, those that it shows.

import { parseLine } from '../../domain/audit/record.js';
import type { View } from '../../domain/views/view.js';
import { type Piece, readToDamage, type Trail, type TrailFile } from '../journal/trail.js';

type Stored = Readonly<Record<string, unknown>>;

/** A record, and where it stands. */
export interface Found {
  readonly record: Stored;
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

interface Wanted {
  readonly isWanted?: (record: Stored) => boolean;
  /** Sees every piece that is read, and undefined where a compressed file cannot be read further. */
  readonly look?: (file: TrailFile, piece: Piece | undefined) => void;
  readonly most?: number;
}

/** More records of one exchange are not shown. */
const foundMax = 10_000;

/** An exchange, in the order of its records. */
export interface FoundExchange {
  /** Undefined: the record that was asked for belongs to none. */
  readonly id: string | undefined;
  /** Empty: there is no such record. */
  readonly all: readonly Found[];
}

/**
 * The exchange with this id, or of the record with this seq; `view`: a new one, of what is shown. An exchange that it hides is not found by
 * its id, like one that does not exist; by its seq it is one hidden record. Throws a JournalFault.
 */
export async function findExchange(
  trail: Trail,
  wanted: string,
  view: View,
  look?: Wanted['look'],
): Promise<FoundExchange> {
  const seqNeedles = /^\d{1,15}$/.test(wanted) ? [Buffer.from(`{"seq":${Number(wanted)},`)] : [];
  const bySeq = seqNeedles.length === 0 ? [] : await findAll(trail, seqNeedles, { most: 1 });
  const [alone] = bySeq;
  const id = alone === undefined ? wanted : wordOf(alone, 'id');
  const needles = id === undefined ? [] : [named('id', id), named('for', id)];
  const byId = seenIn(view, await findAll(trail, needles, look === undefined ? {} : { look }));
  if (byId.length === 0) return { id: undefined, all: seenIn(view, bySeq, true) };
  const all = [...byId, ...seenIn(view, await findAround(trail, byId, id))];
  return { id, all: all.toSorted((one, other) => seqOf(one) - seqOf(other)) };
}

/** As the view shows them. `withHidden`: records of which only the head is shown, too. */
function seenIn(view: View, found: readonly Found[], withHidden = false): Found[] {
  return found.flatMap((one) => {
    const line = view.take(Buffer.from(`${JSON.stringify(one.record)}\n`)).toString('utf8');
    const record = parseLine(line);
    const isShown = record !== undefined && (withHidden || Object.keys(record).length > 3);
    return isShown ? [{ ...one, record }] : [];
  });
}

/** The end of its search twins, and the session that it came in. */
async function findAround(
  trail: Trail,
  found: readonly Found[],
  id: string | undefined,
): Promise<readonly Found[]> {
  const session = found.map((one) => wordOf(one, 'session')).find((one) => one !== undefined);
  const known = new Set(found.map(seqOf));
  const twins = found.flatMap((one) =>
    id !== undefined && wordOf(one, 'for') === id ? (wordOf(one, 'id') ?? []) : [],
  );
  const needles = twins.map((twin) => named('id', twin));
  if (session !== undefined) needles.push(named('session', session));
  const around = await findAll(trail, needles, {
    isWanted: ({ event, id: own }) =>
      event === 'session-open' || event === 'session-close' || twins.some((twin) => twin === own),
  });
  return around.filter((one) => !known.has(seqOf(one)));
}

function named(key: string, value: string): Buffer {
  return Buffer.from(`,"${key}":"${value}"`);
}

function wordOf({ record }: Found, key: string): string | undefined {
  const value = record[key];
  return typeof value === 'string' && /^[0-9A-Za-z-]{1,64}$/.test(value) ? value : undefined;
}

/** 0: it has none. */
export function seqOf({ record: { seq } }: Found): number {
  return typeof seq === 'number' ? seq : 0;
}

/** The records whose lines have one of the needles, in the order of the trail; damage is stepped over. Throws a JournalFault. */
async function findAll(
  trail: Trail,
  needles: readonly Buffer[],
  { isWanted, look, most = foundMax }: Wanted,
): Promise<Found[]> {
  const all: Found[] = [];
  for (const file of trail.files) {
    let line = 1;
    for await (const piece of readToDamage(file)) {
      look?.(file, piece);
      if (piece === undefined) continue;
      const { bytes } = piece;
      let counted = 0;
      for (let at = nextHit(bytes, needles, 0); at >= 0; ) {
        const start = bytes.lastIndexOf(LF, at) + 1;
        const lf = bytes.indexOf(LF, at);
        const end = lf < 0 ? bytes.length : lf;
        line += countLines(bytes, counted, start);
        counted = start;
        const record = parseLine(bytes.toString('utf8', start, end));
        if (record !== undefined && isWanted?.(record) !== false) all.push({ record, file: file.path, line });
        if (all.length >= most) return all;
        at = lf < 0 ? -1 : nextHit(bytes, needles, end + 1);
      }
      line += countLines(bytes, counted, bytes.length);
    }
  }
  return all;
}

const LF = 0x0a;

function nextHit(bytes: Buffer, needles: readonly Buffer[], from: number): number {
  const hits = needles.map((needle) => bytes.indexOf(needle, from)).filter((at) => at >= 0);
  return hits.length === 0 ? -1 : Math.min(...hits);
}

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF, from); at >= 0 && at < to; at = bytes.indexOf(LF, at + 1)) lines += 1;
  return lines;
}
