// The records of outages, drains and restarts, from the end of the journal back. They are few among many, so lines are found by their event
// and only those are parsed. They concern no mail user.

import { isCount, parseLine, parseTime, readHead, readWord } from '../../domain/records/audit/record.js';
import { isTurn, type NamedCommand, namedIn, type Turn } from '../../domain/records/story/incidents.js';
import type { Clock } from '../../ports/machine.js';
import { filesSince, findTrail } from '../journal/trail.js';
import { createLooked, piecesBack } from './newest-first.js';
import { createDamageCount, seqOfLine } from './reading.js';

export interface IncidentsTask {
  readonly directory: string;
  readonly incidentsSinceMs: number;
  /** Records from this seq on are known. */
  readonly before: number | undefined;
  /** Records up to this seq are known. */
  readonly after: number;
  readonly timeMs: number;
}

export interface IncidentsRead {
  /** The oldest first. */
  readonly turns: readonly Turn[];
  /** 0: nothing was read. */
  readonly fromSeq: number;
  readonly toSeq: number;
  /** False: time ran out, and `fromSeq` is where it goes on. */
  readonly isThrough: boolean;
}

const marks = ['backend', 'start', 'stop', 'reload', 'operator'].map((event) => `","event":"${event}"`);
const LF = 0x0a;

/** Rejects with a JournalFault where the journal cannot be read. */
export async function readIncidents(
  { directory, incidentsSinceMs: sinceMs, before, after, timeMs }: IncidentsTask,
  clock: Pick<Clock, 'now'>,
): Promise<IncidentsRead> {
  const startedMs = clock.now();
  const looked = createLooked();
  const turns: Turn[] = [];
  let isThrough = true;
  const files = await filesSince(findTrail([directory]).files, sinceMs);
  for await (const { bytes } of piecesBack(files, before, createDamageCount(), undefined, sinceMs)) {
    looked.take(bytes);
    turns.unshift(
      ...turnsIn(bytes)
        .filter(([seq]) => seq > after)
        .map(([, turn]) => turn),
    );
    if (looked.fromSeq() <= after + 1) break;
    isThrough = clock.now() - startedMs < timeMs;
    if (!isThrough) break;
  }
  const { fromSeq = 0, toSeq = 0 } = looked.finish(undefined, undefined) ?? {};
  const isSince = ({ record }: Turn): boolean => (parseTime(String(record['time'])) ?? 0) >= sinceMs;
  // The last turns before the window give the state at its start.
  const last = new Map(turns.filter((turn) => !isSince(turn)).map((turn) => [kindOf(turn), turn]));
  const kept = turns.filter((turn) => isSince(turn) || last.get(kindOf(turn)) === turn);
  return { turns: kept, fromSeq, toSeq, isThrough };
}

function kindOf({ record: { event, action, backend, error } }: Turn): string {
  return JSON.stringify([event, action, backend, error === 'backend-drained']);
}

function turnsIn(bytes: Buffer): readonly (readonly [seq: number, turn: Turn])[] {
  const places = new Set<number>();
  for (const mark of marks)
    for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length))
      places.add(bytes.lastIndexOf(LF, at) + 1);
  return [...places]
    .toSorted((one, other) => one - other)
    .flatMap((at): (readonly [number, Turn])[] => {
      const line = bytes.subarray(at, bytes.indexOf(LF, at));
      const record = parseLine(line.toString('utf8'));
      if (record === undefined || !isTurn(record)) return [];
      const lastSeq = record['last_seq'];
      const ofRun = isCount(lastSeq) ? runBefore(bytes, at, lastSeq) : {};
      return [[seqOfLine(line) ?? 0, { record, ...ofRun }]];
    });
}

/**
 * Lines before a start that are looked through: it writes copies of requests and grants ahead of its own record, and ends of the commands
 * that the run before left open. A forged journal may have a start in every line.
 */
const linesBackMax = 4096;

/** The time of the last record of the run before, and the commands that the start ended for it. */
function runBefore(bytes: Buffer, from: number, seq: number): Pick<Turn, 'before' | 'left'> {
  const left: NamedCommand[] = [];
  for (let end = from, lines = linesBackMax; end > 0 && lines > 0; lines -= 1) {
    const at = end < 2 ? 0 : bytes.lastIndexOf(LF, end - 2) + 1;
    const line = bytes.toString('latin1', at, end);
    const head = readHead(line);
    if ((seqOfLine(bytes.subarray(at, end)) ?? 0) <= seq) return { before: head?.time, left };
    if (head?.event === 'completion' && readWord(line, 'error') === 'stopped')
      left.unshift(namedIn(parseLine(bytes.toString('utf8', at, end)) ?? {}));
    end = at;
  }
  return { left };
}
