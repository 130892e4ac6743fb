// `dovegate audit fleet cells verify`: the roots of all cells in cells.yaml, from copies of their files; no server is asked.

import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../adapters/host/clock.js';
import {
  eachLine,
  findTrail,
  firstSeqOf,
  fromLast,
  readPiecesBack,
  type TrailFile,
} from '../../adapters/journal/trail.js';
import { bounds } from '../../bounds/bounds.js';
import { agoWords } from '../../domain/language/words/words.js';
import { formatJsonLines, printable } from '../../domain/records/audit/encode.js';
import { readClaim, readLink } from '../../domain/records/audit/ledger.js';
import { formatTime, parseTime } from '../../domain/records/audit/record.js';
import {
  type CellFinding,
  CellLog,
  type CellRow,
  describeCells,
  type FindRecord,
  type Held,
  judgeCells,
} from '../../domain/records/fleet/cells.js';
import { readCheckpoint } from '../../domain/records/fleet/checkpoint.js';
import { JournalFault, messageOf } from '../../ports/faults.js';
import { exitCodes } from '../../ports/machine.js';
import { type Column, createTable, formatMoment, reportHidden } from '../audit/audit-table.js';
import { mirrorIn, readAsked, readCells } from '../audit/fleet-places.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';

export interface CellsFlags {
  readonly json?: boolean;
  /** A file with lines that were kept elsewhere. */
  readonly checkpoint?: string;
}

/** Exit code 0; 1: something is wrong. Throws a CommandFault. */
export async function cellsVerify(screen: Screen, config: string, flags: CellsFlags): Promise<number> {
  try {
    return await verify(screen, config, flags);
  } catch (fault) {
    const isOfFiles = fault instanceof JournalFault || (fault instanceof Error && 'syscall' in fault);
    if (!isOfFiles) throw fault;
    throw new CommandFault(
      exitCodes.configuration,
      `the copies of a cell cannot be read: ${messageOf(fault)}`,
    );
  }
}

async function verify(screen: Screen, config: string, flags: CellsFlags): Promise<number> {
  const { cells, rootEveryMs } = readCells(config, screen);
  const logs = cells.map((cell) => new CellLog(cell));
  if (flags.checkpoint !== undefined) expectKept(flags.checkpoint, logs);
  for (const [at, { directory }] of cells.entries()) {
    const log = logs[at];
    for (const line of linesOf(join(directory, 'checkpoints.jsonl'))) log?.take(line);
    log?.finish();
  }
  const directories = new Map(cells.map(({ name, directory }) => [name, directory]));
  const find: FindRecord = ({ cell, host, journal }, seq) => {
    const mirror = mirrorIn(directories.get(cell) ?? '');
    if (!isThere(mirror)) return Promise.resolve(undefined);
    return findRecord(join(mirror, host, journal), seq);
  };
  const nowMs = systemClock.wallMs();
  const { rows, findings } = await judgeCells(logs, { nowMs, rootEveryMs }, find);
  const passed = findings.length === 0;
  if (flags.json === true)
    await screen.print(formatJsonLines({ passed, at: formatTime(nowMs), cells: rows, findings }));
  else {
    await screen.print(screen.paint(passed ? 'good' : 'bad', describeCells(rows, findings)));
    await screen.print('');
    const table = createTable(columnsAt(nowMs), screen);
    for (const row of rows) for (const line of table.add(row)) await screen.print(line);
    for (const line of table.finish()) await screen.print(line);
    if (!passed) await screen.print('');
    for (const finding of findings) await screen.print(screen.paint('bad', formatFinding(finding)));
    reportHidden(screen, table.hidden());
  }
  await screen.flush();
  return passed ? exitCodes.ok : exitCodes.failed;
}

/** Throws a CommandFault for a line that proves nothing. */
function expectKept(path: string, logs: readonly CellLog[]): void {
  for (const line of readAsked(path).trimEnd().split('\n')) {
    const kept = readCheckpoint(line);
    const log = logs.find(({ expected }) => expected.name === kept?.cell);
    const why =
      kept === undefined
        ? 'a line is no root of a cell, or it was changed after it was signed'
        : log === undefined
          ? `root ${kept.seq} is of a cell that is not listed`
          : log.awaitKept(kept);
    if (why !== undefined) throw new CommandFault(exitCodes.failed, `${path} proves nothing: ${why}`);
  }
}

const chunkBytes = 1 << 20;

/** Whole lines without LF; a longer one than a root can be is cut, and is none then. Nothing: there is no file. */
function* linesOf(path: string): Generator<Buffer> {
  if (!isThere(path)) return;
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, cause);
  }
  try {
    const chunk = Buffer.alloc(chunkBytes);
    let parts: Buffer[] = [];
    let bytes = 0;
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
      for (let at = 0; at < read; ) {
        const lf = chunk.subarray(0, read).indexOf(0x0a, at);
        const end = lf < 0 ? read : lf;
        if (bytes <= bounds.fleetCheckpointBytes) parts.push(Buffer.from(chunk.subarray(at, end)));
        bytes += end - at;
        if (lf >= 0) {
          yield Buffer.concat(parts);
          parts = [];
          bytes = 0;
        }
        at = end + 1;
      }
    }
  } finally {
    closeSync(file);
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** The part of a segment that is read at once, from its end: the newest root is about its last lines. */
const pieceBytes = 1 << 18;

/** A record of a mirrored journal whose own hash is right. Rejects with a JournalFault. */
export async function findRecord(directory: string, seq: number): Promise<Held> {
  if (!isThere(directory)) return 'absent';
  const { files } = findTrail([directory]);
  const [file] = await fromLast(files, seq, (line) => readClaim(line)?.seq);
  if (file === undefined) return 'absent';
  // Nobody signs where a mirror begins: `audit verify` looks for the reason.
  if (file === files[0] && ((await firstSeqOf(file)) ?? 0) > seq) return 'gone';
  return findIn(file, seq);
}

async function findIn(file: TrailFile, seq: number): Promise<Held> {
  // An empty piece was passed over by its sketch, which nobody signed: where it lies, the record is not found.
  const wants = (sketch: { readonly firstSeq: number; readonly lines: number }): boolean =>
    seq >= sketch.firstSeq && seq < sketch.firstSeq + sketch.lines;
  let firstSeq = Infinity;
  for await (const piece of readPiecesBack(file, () => pieceBytes, wants)) {
    if (piece === undefined) break;
    let found: Held | undefined;
    eachLine(piece, (line) => {
      const claim = readClaim(line);
      firstSeq = Math.min(firstSeq, claim?.seq ?? Infinity);
      if (claim?.seq !== seq) return;
      const link = readLink(line);
      if (link?.isIntact === true) found = { hash: link.hash, prev: link.prev };
    });
    if (found !== undefined) return found;
    if (firstSeq < seq) return 'absent';
  }
  return 'absent';
}

const columnsAt = (nowMs: number): readonly Column<CellRow>[] => [
  {
    name: 'CELL',
    text: ({ cell }) => printable(cell),
    cellsMin: 8,
    paint: ({ findings }) => (findings > 0 ? 'bad' : undefined),
  },
  { name: 'ROOT', isNumber: true, text: ({ seq }) => String(seq ?? '-') },
  { name: 'TIME (UTC)', text: ({ time }) => (time === undefined ? 'never' : formatMoment(time)) },
  {
    name: 'AGE',
    text: ({ time = '' }) => {
      const ms = parseTime(time);
      return ms === undefined ? '-' : agoWords(Math.max(0, nowMs - ms));
    },
    goes: 1,
  },
  { name: 'HOSTS', isNumber: true, text: ({ hosts }) => String(hosts) },
  { name: 'MIRRORED', isNumber: true, text: ({ mirrored }) => String(mirrored), goes: 2 },
  { name: 'FINDINGS', isNumber: true, text: ({ findings }) => String(findings) },
];

function formatFinding({ kind, cell, host, seq, text }: CellFinding): string {
  const place = host === undefined ? cell : `${cell}/${host}${seq === undefined ? '' : ` seq ${seq}`}`;
  return printable(`${place}: ${kind}: ${text}`);
}
