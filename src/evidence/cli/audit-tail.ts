// `dovegate audit tail`: the last records of a journal, one a line, and with -f new ones as they are written. Records are shown before
// they are synced, and nothing is verified.

import { closeSync, fstatSync } from 'node:fs';
import { pause } from '../../host/concurrency/waiting.js';
import { openRegular } from '../../host/machine/regular-file.js';
import type { Screen } from '../../host/output/screen.js';
import { JournalFault } from '../../host/ports/faults.js';
import { type Clock, exitCodes } from '../../host/ports/machine.js';
import { parseLine } from '../../host/values/values.js';
import { formatJson, printable } from '../../host/words/text.js';
import { findTrail, readLines, readPieces, type TrailFile } from '../../journal/files/trail.js';
import { recordKeys, rowOf } from '../../journal/records/keys.js';
import { textIn } from '../../journal/records/stored.js';
import { readToDamage } from '../reading/search-trail.js';
import { flushedJournalsOf, type Places, trailAt } from './audit-places.js';
import { paintOfOutcome } from './audit-search.js';
import { formatDetail } from './audit-show.js';
import { formatLocal, showsLocalTime } from './audit-table.js';

export interface TailFlags {
  readonly lines: number;
  readonly follow?: boolean;
  readonly json?: boolean;
}

const lookIntervalMs = 200;

/** Follows one journal. Exit code 0, also if the reader closes the pipe. Throws as the readers do. */
export async function auditTail(
  screen: Screen,
  clock: Clock,
  places: Places,
  { lines, follow = false, json = false }: TailFlags,
): Promise<number> {
  const [path = ''] = (await flushedJournalsOf(screen, places)).paths;
  let read = await readLast(trailAt(path).files, lines);
  for (;;) {
    for (const text of read.lines) await screen.print(formatLine(screen, text, json));
    await screen.flush();
    if (!follow || screen.isGone) return exitCodes.ok;
    await pause(clock, lookIntervalMs);
    read = await readNew(path, read.position);
  }
}

interface Read {
  readonly lines: readonly string[];
  readonly position: { readonly file: string; readonly bytes: number };
}

/** The last lines of the trail, from as many files as needed. */
async function readLast(files: readonly TrailFile[], count: number): Promise<Read> {
  let lines: string[] = [];
  let position: Read['position'] | undefined;
  for (const file of files.toReversed()) {
    let here: string[] = [];
    let bytes = 0;
    for await (const piece of readToDamage(file)) {
      if (piece?.endsInLine !== true) break;
      bytes += piece.bytes.length;
      here = [...here, ...lastLines(piece.bytes, count)].slice(-count);
    }
    position ??= { file: file.name, bytes };
    lines = [...here, ...lines].slice(-count);
    if (lines.length >= count) break;
  }
  return { lines: count === 0 ? [] : lines, position: position ?? { file: '', bytes: 0 } };
}

function lastLines(bytes: Buffer, count: number): string[] {
  const lines: string[] = [];
  for (let end = bytes.length - 1; end > 0 && lines.length < count; ) {
    const start = bytes.lastIndexOf(0x0a, end - 1) + 1;
    lines.push(bytes.toString('utf8', start, end));
    end = start - 1;
  }
  return lines.toReversed();
}

/** The lines after a position: the rest of that file, then the files after it. */
async function readNew(path: string, from: Read['position']): Promise<Read> {
  const files = findTrail([path]).files.filter(({ name }) => name >= from.file);
  const lines: string[] = [];
  let position = from;
  for (const file of files) {
    const at = file.name === from.file ? from.bytes : 0;
    // A compressed file does not grow; it is read again if another file follows.
    if (file.isCompressed && file.name === from.file && file === files.at(-1)) break;
    const bytes = file.isCompressed ? await inflateFrom(file, at, lines) : readFrom(file.path, at, lines);
    // It was compressed just now; the next round finds it under its new name.
    if (bytes === undefined) break;
    position = { file: file.name, bytes };
  }
  return { lines, position };
}

/** As `readFrom`, for a file that was compressed since the last check. */
async function inflateFrom(file: TrailFile, from: number, lines: string[]): Promise<number> {
  let at = 0;
  try {
    for await (const { bytes, endsInLine } of readPieces(file)) {
      if (!endsInLine) break;
      const skipped = Math.min(Math.max(from - at, 0), bytes.length);
      at += bytes.length;
      const text = bytes.toString('utf8', skipped);
      if (text !== '') lines.push(...text.slice(0, -1).split('\n'));
    }
  } catch {
    // verify reports damage; everything readable was shown.
  }
  return at;
}

/** Adds the whole lines from there on; returns their end. Undefined: there is no such file. */
function readFrom(path: string, from: number, lines: string[]): number | undefined {
  let descriptor: number;
  try {
    descriptor = openRegular(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new JournalFault('unreadable', `${path} cannot be read`, error);
  }
  try {
    // A start after a crash can cut off records that were not yet acknowledged.
    let end = Math.min(from, fstatSync(descriptor).size);
    readLines(descriptor, end, (line) => {
      if (!line.isWhole) return false;
      lines.push(line.bytes.toString('utf8'));
      end = line.end;
      return true;
    });
    return end;
  } finally {
    closeSync(descriptor);
  }
}

/** Shown at the beginning of the line, or useless while watching. */
const quietKeys: ReadonlySet<string> = new Set([
  'seq',
  'time',
  'event',
  'prev',
  'hash',
  ...recordKeys.filter((key) => rowOf(key).isQuiet === true),
]);

function formatLine(screen: Screen, text: string, isJson: boolean): string {
  const record = parseLine(text);
  if (record === undefined) return isJson ? formatJson({ damaged: text }) : `(no record) ${printable(text)}`;
  if (isJson) return formatJson(record);
  const { seq, time, event, decision } = record;
  const parts = Object.entries(record)
    .filter(([key]) => !quietKeys.has(key))
    .map(([key, value]) => `${printable(key)}=${quoted(printable(formatDetail(value)))}`);
  const name = printable(formatDetail(event)).padEnd(10);
  const paint =
    event === 'completion'
      ? paintOfOutcome(textIn(record, 'outcome'))
      : decision === 'deny'
        ? 'bad'
        : ('title' as const);
  const local = showsLocalTime(screen) ? ` (${formatLocal(time)})` : '';
  const head = `${printable(formatDetail(time))}${local} ${printable(formatDetail(seq))}`;
  return `${screen.paint('faint', head)} ${screen.paint(paint, name)} ${parts.join(' ')}`;
}

function quoted(text: string): string {
  return /^[^\s"=]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`;
}
