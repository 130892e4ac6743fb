// Reads the records of outages, drains, restarts, locks and faults of the journal, from the end of the journal back. They are few among
// many, so lines are found by their event and only those are parsed. Holds, and the permissions that a reload added, name mail users.

import { cutTo } from '../../host/output/table.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { isCount, parseLine, type StoredRecord } from '../../host/values/values.js';
import { plural } from '../../host/words/words.js';
import { readPolicyTexts } from '../../journal/files/kept-policies.js';
import { findTrail, firstSeqOf } from '../../journal/files/trail.js';
import { asTimeMs, readHead, readWord } from '../../journal/records/record.js';
import { textIn } from '../../journal/records/stored.js';
import { wideningsBetween } from '../review/widenings.js';
import { contentOf } from '../story/content.js';
import { isTurn, type NamedCommand, namedIn, type Turn } from '../story/incidents.js';
import { createLooked, piecesBack } from './newest-first.js';
import { createDamageCount, seqOfLine } from './reading.js';
import { filesSince } from './search-trail.js';

export interface IncidentsTask {
  readonly directory: string;
  readonly incidentsSinceMs: number;
  /** Records from this seq on are known. */
  readonly before: number | undefined;
  /** Records up to this seq are known. */
  readonly after: number;
  readonly timeMs: number;
}

export type IncidentsRead = Awaited<ReturnType<typeof readIncidents>>;

const marks = ['backend', 'journal', 'start', 'stop', 'reload', 'operator', 'lock'].map(
  (event) => `","event":"${event}"`,
);
const LF = 0x0a;

/**
 * Resolves with the turns in the records from `fromSeq` to `toSeq`, the oldest first; both are 0 if nothing was read. `isThrough` false:
 * time ran out, and the next reading continues at `fromSeq`. Rejects with a JournalFault.
 */
export async function readIncidents(
  { directory, incidentsSinceMs: sinceMs, before, after, timeMs }: IncidentsTask,
  clock: Pick<Clock, 'now'>,
) {
  const startedMs = clock.now();
  const looked = createLooked();
  const turns: WritableTurn[] = [];
  let isThrough = true;
  /** Starts whose previous run ended in a piece that was not read yet. */
  let cut: readonly Start[] = [];
  const all = findTrail([directory]).files;
  // Back to the head of the segment with `sinceMs`, which copies open records. One segment more, for the run before a start at that head.
  const [first] = await filesSince(all, sinceMs);
  const files = all.slice(Math.max(0, first === undefined ? 0 : all.indexOf(first) - 1));
  const headSeq = (first && (await firstSeqOf(first))) ?? 0;
  for await (const { bytes } of piecesBack(files, before, createDamageCount())) {
    looked.take(bytes);
    const older = cut.filter((start) => !lookBack(start, bytes, bytes.length));
    const found = turnsIn(bytes);
    turns.unshift(...found.turns.filter(([seq]) => seq > after).map(([, turn]) => turn));
    cut = [...older, ...found.cut];
    if (cut.length > 0) continue;
    if (looked.fromSeq() <= Math.max(after + 1, headSeq)) break;
    isThrough = clock.now() - startedMs < timeMs;
    if (!isThrough) break;
  }
  const { fromSeq = 0, toSeq = 0 } = looked.finish(undefined, undefined) ?? {};
  const shown = withoutCopies(turns);
  const widenings = wideningsIn(directory, clock);
  for (const turn of shown) turn.widens = widenings(turn.record);
  return { turns: shown, fromSeq, toSeq, isThrough };
}

/** Time limit for comparing policies in one reading. Later changes are reported as not compared. */
const wideningMsMax = 4_000;
const wideningsMax = 20;
const wideningCharsMax = 500;

/** What policies permit more than others, in words: `was` and `now` are hashes of lists of policies. Empty: nothing. */
export function createWidenings(directory: string, clock: Pick<Clock, 'now'>) {
  const textOf = readPolicyTexts(directory);
  const endMs = clock.now() + wideningMsMax;
  const isOver = (): boolean => clock.now() > endMs;
  return (was: string, now: string, nowMs: number): readonly string[] => {
    if (isOver()) return ['what it permits cannot be said: there was no time to compare it'];
    try {
      const words = wideningsBetween(was, now, textOf, { nowMs, isOver });
      const more = words.length - wideningsMax;
      return [
        ...words.slice(0, wideningsMax).map((each) => cutTo(each, wideningCharsMax)),
        ...(more > 0 ? [`and ${plural(more, 'other change')}`] : []),
      ];
    } catch (fault) {
      return [`what it permits cannot be said: ${cutTo(messageOf(fault), wideningCharsMax)}`];
    }
  };
}

/** What a start or a reload newly permits. Undefined: the record is neither, or its policies did not change. */
function wideningsIn(
  directory: string,
  clock: Pick<Clock, 'now'>,
): (record: StoredRecord) => readonly string[] | undefined {
  const tell = createWidenings(directory, clock);
  // A program may switch between the same two policies all day.
  const known = new Map<string, readonly string[]>();
  return (record) => {
    const [was, now] = [textIn(record, 'was'), textIn(record, 'policies')];
    const isChange = record['event'] === 'start' || record['event'] === 'reload';
    if (!isChange || was === '' || was === now) return undefined;
    const key = `${was} ${now}`;
    const words = known.get(key) ?? tell(was, now, asTimeMs(textIn(record, 'time')) ?? 0);
    known.set(key, words);
    return words;
  };
}

/** Each segment begins with copies of open records. Only those of the first segment count, and those of a lock not seen before. */
function withoutCopies<T extends Turn>(turns: readonly T[]): readonly T[] {
  const known = new Set<unknown>();
  const head = turns.find(({ record }) => record['carried'] === true)?.record['time'];
  return turns.filter(({ record: { event, carried, lock, time } }) => {
    const isCopy = carried === true && (event === 'lock' ? known.has(lock) : time !== head);
    known.add(lock);
    return !isCopy;
  });
}

function turnsIn(bytes: Buffer) {
  const places = new Set<number>();
  for (const mark of marks)
    for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length))
      places.add(bytes.lastIndexOf(LF, at) + 1);
  const turns: [seq: number, turn: WritableTurn][] = [];
  const cut: Start[] = [];
  for (const at of [...places].toSorted((one, other) => one - other)) {
    const line = bytes.subarray(at, bytes.indexOf(LF, at));
    const record = parseLine(line.toString('utf8'));
    if (record === undefined || !isTurn(record)) continue;
    const turn: WritableTurn = { record };
    turns.push([seqOfLine(line) ?? 0, turn]);
    const lastSeq = record['last_seq'];
    if (!isCount(lastSeq)) continue;
    const start = { turn, lastSeq, lines: linesBackMax };
    if (!lookBack(start, bytes, at)) cut.push(start);
  }
  return { turns, cut };
}

type WritableTurn = { -readonly [Key in keyof Turn]: Turn[Key] };

/** A start record for which the end of the previous run is searched. */
interface Start {
  readonly turn: WritableTurn;
  readonly lastSeq: number;
  lines: number;
}

/**
 * Limit of lines searched before a start, which first writes copies of requests and grants, and ends of commands that the previous run left
 * open. A forged journal may have a start in every line.
 */
const linesBackMax = 4096;

function endedIn(record: StoredRecord): NamedCommand {
  const content = contentOf(record);
  return { ...namedIn(record), ...(content !== undefined && { content }) };
}

/** Sets the time of the previous run's last record, and the commands that it left open. False: that record is in an older piece. */
function lookBack(start: Start, bytes: Buffer, from: number): boolean {
  const { turn, lastSeq } = start;
  const left: NamedCommand[] = [];
  turn.left ??= [];
  for (let end = from; end > 0 && start.lines > 0; start.lines -= 1) {
    const at = end < 2 ? 0 : bytes.lastIndexOf(LF, end - 2) + 1;
    const line = bytes.toString('latin1', at, end);
    const head = readHead(line);
    if ((seqOfLine(bytes.subarray(at, end)) ?? 0) <= lastSeq) {
      turn.before = head?.time;
      start.lines = 0;
    } else if (head?.event === 'completion' && readWord(line, 'error') === 'stopped')
      left.unshift(endedIn(parseLine(bytes.toString('utf8', at, end)) ?? {}));
    end = at;
  }
  turn.left = [...left, ...turn.left];
  return start.lines <= 0;
}
