// The time stamps of a journal, for `dovegate audit verify --stamps`. What a stamp covers was there at its time, also to whoever has the
// signing key since. Stamps are kept elsewhere than the journal, so one that is missing is not seen, but that its day has none is.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readStamps } from '../../adapters/stamps/stamp-folder.js';
import { bounds } from '../../bounds/bounds.js';
import { plural } from '../../domain/language/words/words.js';
import { printable } from '../../domain/records/audit/encode.js';
import { readLink } from '../../domain/records/audit/ledger.js';
import { formatTime, parseLine, parseTime } from '../../domain/records/audit/record.js';
import { asText } from '../../domain/records/audit/stored.js';
import { type Certificate, readAuthority } from '../../domain/records/stamps/certificate.js';
import { StampFault, type StampFaultCode } from '../../domain/records/stamps/fault.js';
import { checkStamp, type Stamp, stampDay, whyOddTime } from '../../domain/records/stamps/stamp.js';
import type { Fault, KeptCheckpoint } from '../../domain/records/trail/checkpoints.js';
import type { Verdict } from '../../domain/records/trail/verify.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import { readSmallFile } from './audit-places.js';

export interface FoundStamps {
  readonly count: number;
  /** Of them, those of records that are not in the journal any more. */
  readonly retired: number;
  readonly firstDay: string;
  readonly lastDay: string;
  /** The last record that one covers, and the time of that stamp. */
  readonly seq: number;
  readonly time: string;
  readonly signer: string;
  /** Days without one, from the first stamp up to the day before the last record. */
  readonly missing: readonly { readonly from: string; readonly to: string }[];
}

/** One that proves nothing, one whose time does not fit to its record, or those of another journal. */
export type StampFinding = Fault<'stamp' | 'stamp-time' | 'stamp-foreign'>;

export interface JudgedStamps {
  readonly faults: readonly StampFinding[];
  /** Undefined: none is right. */
  readonly found: FoundStamps | undefined;
}

interface Stamped {
  readonly file: string;
  readonly day: string;
  readonly stamp: Stamp;
  readonly line: StampedLine & { readonly journal: string | undefined; readonly text: string };
  /** Of the next checkpoint in the journal. */
  nextMs: number | undefined;
}

const dayMs = 86_400_000;
const shownMax = 5;

/** What a stamped line says of itself. */
export interface StampedLine {
  readonly seq: number;
  readonly timeMs: number;
}

/**
 * The stamps of a folder that are right, with what `read` makes of the line in each (undefined: it is none), and what is wrong with the
 * others. `authorityFile`: what they must chain to. Throws a CommandFault for files that cannot be read.
 */
export function checkStamps<Line extends StampedLine>(
  folder: string,
  authorityFile: string,
  read: (text: string) => Line | undefined,
  isCopy = false,
) {
  const authority = readAuthorityFile(authorityFile);
  const files: string[] = [];
  const faults: StampFinding[] = [];
  const stamps: { file: string; day: string; stamp: Stamp; line: Line }[] = [];
  for (const { day, file, answer, line: bytes } of openFolder(folder, isCopy)) {
    files.push(file);
    try {
      if (bytes === undefined) throw new StampFault('other-bytes', `${day}.jsonl is not there`);
      const stamp = checkStamp(answer, bytes, authority);
      const line = read(bytes.toString('utf8').trimEnd());
      if (line === undefined) throw new StampFault('other-bytes', 'no signed checkpoint');
      stamps.push({ file, day, stamp, line });
      if (stampDay(stamp.timeMs) !== day) faults.push(faultOf(file, line.seq, 'other-day'));
    } catch (fault) {
      if (!(fault instanceof StampFault)) throw fault;
      faults.push({ kind: 'stamp', file, line: 0, seq: undefined, text: `${fault.message}; ${fault.ask}` });
    }
  }
  const text = `${folder} holds no stamp (DATE.tsr)`;
  if (files.length === 0) faults.push({ kind: 'stamp', file: '', line: 0, seq: undefined, text });
  return { files, faults, stamps };
}

/** Throws a CommandFault if it holds none. */
export function readAuthorityFile(path: string): readonly Certificate[] {
  const authority = readAuthority(readSmallFile(path, true));
  if (authority.length === 0)
    throw new CommandFault(exitCodes.configuration, `${path} holds no certificate (PEM)`);
  return authority;
}

/** The checkpoint of a journal that was stamped, without its LF. Undefined: it is none; whose signature counts is for the caller. */
export function readStampedLine(text: string) {
  if (text.length > bounds.besideFileBytes) return undefined;
  const { event, journal, time } = parseLine(text) ?? {};
  const link = readLink(Buffer.from(text));
  if (event !== 'checkpoint' || link?.isIntact !== true) return undefined;
  const { seq, hash } = link;
  return { seq, hash, timeMs: parseTime(asText(time) ?? '') ?? 0, journal: asText(journal), text };
}

/** A finding if a stamp was not taken while its line was the newest. `nextMs`: the time of the next one. */
export function oddTimeIn(
  { file, stamp, line }: { readonly file: string; readonly stamp: Stamp; readonly line: StampedLine },
  nextMs: number | undefined,
): StampFinding[] {
  const why = whyOddTime(stamp, line.timeMs, nextMs);
  return why === undefined ? [] : [faultOf(file, line.seq, why)];
}

/** The stamps of a gate, of whatever journals. `isCopy`: without the folder there is none. Throws as `checkStamps`. */
export function readStamped(folder: string, authorityFile: string, isCopy = false) {
  return { folder, ...checkStamps(folder, authorityFile, readStampedLine, isCopy) };
}

/** One journal of several of a gate, whose stamps lie in one folder. */
export interface StampedJournal {
  readonly journal: string;
  readonly others: ReadonlySet<string>;
  /** What is of none of them, or cannot be read, is said with it. */
  readonly isNewest: boolean;
}

/** Those of one journal, for its check; `of`: undefined: they are all of it. */
export function stampsOf({ folder, ...checked }: ReturnType<typeof readStamped>, of?: StampedJournal) {
  const isOf = (journal: string | undefined): boolean =>
    of === undefined || journal === of.journal || (of.isNewest && !of.others.has(journal ?? ''));
  const stamps = checked.stamps
    .filter(({ line }) => isOf(line.journal))
    .map((each): Stamped => ({ ...each, nextMs: undefined }));
  const kept = stamps.map(
    ({ file, stamp, line }): KeptCheckpoint => ({
      file,
      text: line.text,
      stampedAt: formatTime(Math.floor(stamp.timeMs)),
    }),
  );
  const open = stamps.toSorted((one, other) => one.line.seq - other.line.seq);

  return {
    kept,
    /** For their paths in messages. */
    files: checked.files.map((file) => ({ name: file, path: join(folder, file) })),
    /** Call for each checkpoint, in their order. */
    onCheckpoint: (seq: number, time: string): void => {
      for (let first = open[0]; first !== undefined && first.line.seq < seq; first = open[0]) {
        first.nextMs = parseTime(time);
        open.shift();
      }
    },
    judge(verdict: Verdict): JudgedStamps {
      const odd = stamps.flatMap((each) => oddTimeIn(each, each.nextMs));
      const { journal } = verdict;
      const foreign = stamps.filter(({ line }) => journal !== undefined && line.journal !== journal);
      const [one] = foreign;
      const elsewhere: StampFinding[] =
        one === undefined
          ? []
          : [
              {
                kind: 'stamp-foreign',
                file: one.file,
                line: 0,
                seq: one.line.seq,
                text: `${plural(foreign.length, 'stamp is', 'stamps are')} of journal ${one.line.journal ?? ''}: if an older journal was put away, put its stamps there; if not, somebody began this one anew`,
              },
            ];
      const ofFolder = of?.isNewest === false ? [] : checked.faults;
      return { faults: [...ofFolder, ...elsewhere, ...odd], found: foundOf(stamps, verdict) };
    },
  };
}

function* openFolder(folder: string, mayLack: boolean): ReturnType<typeof readStamps> {
  if (mayLack && !existsSync(folder)) return;
  try {
    yield* readStamps(folder);
  } catch (error) {
    throw new CommandFault(exitCodes.configuration, `${folder} cannot be read`, error);
  }
}

function faultOf(file: string, seq: number, code: StampFaultCode): StampFinding {
  const fault = new StampFault(code);
  return { kind: 'stamp-time', file, line: 0, seq, text: `${fault.message}; ${fault.ask}` };
}

function foundOf(stamps: readonly Stamped[], { firstSeq = 0, lastTime }: Verdict): FoundStamps | undefined {
  const last = stamps.at(-1);
  const first = stamps[0];
  if (first === undefined || last === undefined) return undefined;
  const most = stamps.reduce((one, each) => (each.line.seq > one.line.seq ? each : one), last);
  const { timeMs, signer } = most.stamp;
  return {
    count: stamps.length,
    retired: stamps.filter(({ line }) => line.seq < firstSeq).length,
    firstDay: first.day,
    lastDay: last.day,
    seq: most.line.seq,
    time: formatTime(Math.floor(timeMs)),
    signer,
    missing: missingDays(new Set(stamps.map(({ day }) => day)), first.day, parseTime(lastTime)),
  };
}

/** The day of the last record may get its stamp yet. */
export function missingDays(
  days: ReadonlySet<string>,
  from: string,
  untilMs = 0,
): { from: string; to: string }[] {
  const missing: { from: string; to: string }[] = [];
  const until = stampDay(untilMs);
  let isOpen = false;
  for (let atMs = Date.parse(from), day = from; day < until; atMs += dayMs, day = stampDay(atMs)) {
    const last = missing.at(-1);
    if (days.has(day)) isOpen = false;
    else if (isOpen && last !== undefined) last.to = day;
    else {
      missing.push({ from: day, to: day });
      isOpen = true;
    }
  }
  return missing;
}

export function stampLines({ count, retired, firstDay, lastDay, seq, time, signer, missing }: FoundStamps) {
  const range =
    firstDay === lastDay ? `of ${firstDay}` : `of ${plural(count, 'day')} from ${firstDay} to ${lastDay}`;
  const lines: { readonly kind: 'stamped' | 'warning'; readonly text: string }[] = [];
  const of = `stamped ${range}: what is here up to seq ${seq} was there at ${time}, by ${signer}`;
  lines.push({ kind: 'stamped', text: printable(of) });
  if (retired > 0)
    lines.push({
      kind: 'stamped',
      text: `${plural(retired, 'stamp is', 'stamps are')} of records that retention removed`,
    });
  if (missing.length > 0) {
    const shown = missing.slice(0, shownMax).map(({ from, to }) => (from === to ? from : `${from} to ${to}`));
    const more =
      missing.length > shown.length ? `, and ${plural(missing.length - shown.length, 'other time')}` : '';
    const text = `warning: no stamp of ${shown.join(', ')}${more}: what is of those days was there at the next stamp, and nothing says that it was before`;
    lines.push({ kind: 'warning', text });
  }
  return lines;
}

export function stampsJson({ firstDay, lastDay, ...rest }: FoundStamps): Readonly<Record<string, unknown>> {
  return { ...rest, first_day: firstDay, last_day: lastDay };
}
