// `dovegate audit show`: all records of one exchange, with its log lines and its session.
// It is found by its id, or by the seq of any of its records, as search and verify name them.

import { type Piece, readToDamage, type Trail, type TrailFile } from '../../adapters/journal/trail.js';
import { formatJson, printable } from '../../domain/audit/encode.js';
import { isObject, parseLine } from '../../domain/audit/record.js';
import { formatValue } from '../../domain/trail/export.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { type Places, trailsOf } from './audit-places.js';
import { createDamageWatch, paintOfOutcome, reportDamage } from './audit-search.js';

type Stored = Readonly<Record<string, unknown>>;

interface Found {
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

/** 0; or 1: there is no such exchange. Throws what readers throw, and a CommandFault for what is neither id nor seq. */
export async function auditShow(
  screen: Screen,
  places: Places,
  wanted: string,
  isJson: boolean,
): Promise<number> {
  if (!/^[0-9A-Za-z-]{1,64}$/.test(wanted))
    throw new CommandFault(
      exitCodes.usage,
      `usage: dovegate audit show ID [DIRECTORY]; "${printable(wanted)}" is neither an id nor a seq`,
    );
  let isFound = false;
  for (const trail of await trailsOf(screen, places)) {
    const damage = createDamageWatch();
    const seqNeedles = /^\d{1,15}$/.test(wanted) ? [Buffer.from(`{"seq":${Number(wanted)},`)] : [];
    const bySeq = seqNeedles.length === 0 ? [] : await findAll(trail, seqNeedles, { most: 1 });
    const [alone] = bySeq;
    const id = alone === undefined ? wanted : wordOf(alone, 'id');
    const needles = id === undefined ? [] : [named('id', id), named('for', id)];
    const byId = await findAll(trail, needles, { look: damage.look });
    const found = byId.length === 0 ? bySeq : byId;
    reportDamage(screen, damage.notes());
    if (found.length === 0) continue;
    isFound = true;
    const all = [...found, ...(await findAround(trail, found, id))];
    all.sort((one, other) => seqOf(one) - seqOf(other));
    if (isJson) for (const { record } of all) await screen.print(formatJson(record));
    else for (const line of describe(screen, all, id)) await screen.print(line);
  }
  await screen.flush();
  if (!isFound) screen.complain(`dovegate: no record of ${wanted} was found`);
  return isFound ? exitCodes.ok : exitCodes.failed;
}

/** The end of its search twins, and the session that it came in. */
async function findAround(trail: Trail, found: readonly Found[], id: string | undefined): Promise<Found[]> {
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

function seqOf({ record: { seq } }: Found): number {
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

/** Shown once, in the heading. */
const headingKeys = new Set(['seq', 'event', 'time', 'id', 'prev', 'hash']);
const nameCells = 14;

function describe(screen: Screen, all: readonly Found[], id: string | undefined): string[] {
  const lines: string[] = [];
  const recordOf = (event: string): Stored | undefined =>
    all.find(({ record }) => record['event'] === event && record['id'] === id)?.record;
  if (id !== undefined) {
    const ended = recordOf('completion');
    const outcome = ended === undefined ? 'open' : textOf(ended['outcome']);
    const what = textOf(recordOf('admission')?.['command'] ?? ended?.['command']);
    const title = `exchange ${printable(id)}: ${what}${what === '' ? '' : ', '}`;
    lines.push(screen.paint('title', title) + screen.paint(paintOfOutcome(outcome), outcome));
  }
  const shown = new Map<string, string>();
  for (const found of all) {
    const { record, file, line } = found;
    const heading = `${textOf(record['time'])}  ${textOf(record['event'])}`;
    const place = screen.paint('faint', `  seq ${seqOf(found)}, ${printable(file)}:${line}`);
    if (record['event'] === 'log') {
      lines.push(`${heading} ${textOf(record['level'])}: ${textOf(record['text'])}${place}`);
      continue;
    }
    const other = record['id'] === id ? '' : ` ${textOf(record['id'])}`;
    lines.push(`${screen.paint('title', heading)}${other.trimEnd()}${place}`);
    for (const [key, value] of Object.entries(record)) {
      if (headingKeys.has(key)) continue;
      const text = printable(formatDetail(value));
      // A value that a record only repeats is left out.
      if (shown.get(key) === text) continue;
      shown.set(key, text);
      lines.push(`  ${printable(key).padEnd(nameCells)}  ${text}`);
    }
  }
  return lines;
}

function textOf(value: unknown): string {
  return printable(formatValue(value));
}

/** `uid=1000 user=bob` for an object whose parts have names of their own. */
export function formatDetail(value: unknown): string {
  const isPlain = !isObject(value) || 'hmac' in value || 'cut' in value || 'more' in value;
  if (isPlain) return formatValue(value);
  return Object.entries(value)
    .map(([key, part]) => `${key}=${formatValue(part)}`)
    .join(' ');
}
