// `dovegate audit show`: all records of one exchange, with its log lines and its session.
// It is found by its id, or by the seq of any of its records, as search and verify name them.

import { type Piece, readPieces, type Trail, type TrailFile } from '../../adapters/journal/trail.js';
import { formatJson, formatValue, printable } from '../../domain/audit/export.js';
import { isObject, parseLine } from '../../domain/audit/record.js';
import { exitCodes } from '../../ports/exit-codes.js';
import { JournalFault } from '../../ports/journal-fault.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { type Places, pathsOf, trailAt } from './audit-places.js';
import { createDamageWatch, paintOfOutcome, tellDamage } from './audit-search.js';

interface FoundLine {
  /** Its path. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

interface Found {
  readonly record: Readonly<Record<string, unknown>>;
  readonly file: string;
  readonly line: number;
}

type Look = (file: TrailFile, piece: Piece | undefined) => void;

/** More lines of one exchange are counted and not shown. */
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
  const trails = (await pathsOf(screen, places)).map(trailAt);
  let isFound = false;
  for (const trail of trails) {
    const damage = createDamageWatch();
    const alone = /^\d{1,15}$/.test(wanted) ? await findBySeq(trail, wanted) : undefined;
    const id = alone === undefined ? wanted : wordOf(alone, 'id');
    const needles = id === undefined ? [] : [named('id', id), named('for', id)];
    let found = await findAll(trail, needles, (file, piece) => damage.look(file, piece));
    if (found.length === 0 && alone !== undefined) found = [alone];
    tellDamage(screen, damage.notes());
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

async function findBySeq(trail: Trail, seq: string): Promise<Found | undefined> {
  for await (const line of scanTrail(trail, [Buffer.from(`{"seq":${Number(seq)},`)])) {
    const found = foundOf(line);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function findAll(
  trail: Trail,
  needles: readonly Buffer[],
  look?: Look,
  isWanted: (found: Found) => boolean = () => true,
): Promise<Found[]> {
  const all: Found[] = [];
  for await (const line of scanTrail(trail, needles, look)) {
    const found = foundOf(line);
    if (found !== undefined && isWanted(found)) all.push(found);
    if (all.length >= foundMax) break;
  }
  return all;
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
  const around = await findAll(trail, needles, undefined, ({ record }) => {
    const { event, id: own } = record;
    return event === 'session-open' || event === 'session-close' || twins.some((twin) => twin === own);
  });
  return around.filter((one) => !known.has(seqOf(one)));
}

function named(key: string, value: string): Buffer {
  return Buffer.from(`,"${key}":"${value}"`);
}

function foundOf({ file, line, text }: FoundLine): Found | undefined {
  const record = parseLine(text);
  return record && { record, file, line };
}

function wordOf({ record }: Found, key: string): string | undefined {
  const value = record[key];
  return typeof value === 'string' && /^[0-9A-Za-z-]{1,64}$/.test(value) ? value : undefined;
}

function seqOf({ record: { seq } }: Found): number {
  return typeof seq === 'number' ? seq : 0;
}

/**
 * Every line with one of the needles, in the order of the trail; damage is stepped over. `look` sees every piece, and
 * undefined where a compressed file cannot be read further. Throws a JournalFault.
 */
async function* scanTrail(trail: Trail, needles: readonly Buffer[], look?: Look): AsyncGenerator<FoundLine> {
  for (const file of trail.files) {
    let linesBefore = 0;
    try {
      for await (const piece of readPieces(file)) {
        look?.(file, piece);
        const { bytes } = piece;
        let counted = 0;
        let lines = linesBefore;
        for (let at = nextHit(bytes, needles, 0); at >= 0; ) {
          const start = bytes.lastIndexOf(0x0a, at) + 1;
          const lf = bytes.indexOf(0x0a, at);
          const end = lf < 0 ? bytes.length : lf;
          lines += countLines(bytes, counted, start);
          counted = start;
          yield { file: file.path, line: lines + 1, text: bytes.toString('utf8', start, end) };
          at = lf < 0 ? -1 : nextHit(bytes, needles, end + 1);
        }
        linesBefore = lines + countLines(bytes, counted, bytes.length);
      }
    } catch (error) {
      if (!file.isCompressed) throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
      look?.(file, undefined);
    }
  }
}

function nextHit(bytes: Buffer, needles: readonly Buffer[], from: number): number {
  let first = -1;
  for (const needle of needles) {
    const at = bytes.indexOf(needle, from);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
}

function countLines(bytes: Buffer, from: number, to: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(0x0a, from); at >= 0 && at < to; at = bytes.indexOf(0x0a, at + 1)) lines += 1;
  return lines;
}

/** Said once, in the heading. */
const headingKeys = new Set(['seq', 'event', 'time', 'id', 'prev', 'hash']);
const nameCells = 14;

function describe(screen: Screen, all: readonly Found[], id: string | undefined): string[] {
  const lines: string[] = [];
  const ended = all.find(({ record }) => record['event'] === 'completion' && record['id'] === id);
  const begun = all.find(({ record }) => record['event'] === 'admission' && record['id'] === id);
  if (id !== undefined) {
    const outcome = ended === undefined ? 'open' : printable(formatValue(ended.record['outcome']));
    const what = printable(formatValue(begun?.record['command'] ?? ended?.record['command']));
    const title = `exchange ${printable(id)}: ${what}${what === '' ? '' : ', '}`;
    lines.push(screen.paint('title', title) + screen.paint(paintOfOutcome(outcome), outcome));
  }
  const told = new Map<string, string>();
  for (const found of all) {
    const { record, file, line } = found;
    const event = printable(formatValue(record['event']));
    const time = printable(formatValue(record['time']));
    const heading = `${time}  ${event}`;
    const place = screen.paint('faint', `  seq ${seqOf(found)}, ${printable(file)}:${line}`);
    if (event === 'log') {
      const text = printable(formatValue(record['text']));
      lines.push(`${heading} ${printable(formatValue(record['level']))}: ${text}${place}`);
      continue;
    }
    const other = record['id'] === id ? '' : ` ${printable(formatValue(record['id']))}`;
    lines.push(`${screen.paint('title', heading)}${other.trimEnd()}${place}`);
    for (const [key, value] of Object.entries(record)) {
      if (headingKeys.has(key)) continue;
      const text = printable(formatDetail(value));
      // What a record only repeats is not worth a line.
      if (told.get(key) === text) continue;
      told.set(key, text);
      lines.push(`  ${printable(key).padEnd(nameCells)}  ${text}`);
    }
  }
  return lines;
}

/** `uid=1000 user=bob` for an object whose parts have names of their own. */
export function formatDetail(value: unknown): string {
  const isPlain = !isObject(value) || 'hmac' in value || 'cut' in value || 'more' in value;
  if (isPlain) return formatValue(value);
  return Object.entries(value)
    .map(([key, part]) => `${key}=${formatValue(part)}`)
    .join(' ');
}
