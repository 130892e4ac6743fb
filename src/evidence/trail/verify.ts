// Follows a trail to its end and reports its faults with their places. A decoder, fed with segments and their lines; memory is bounded by
// the exchanges that are open at once. A fault is reported once, at the first line that shows it, and the trail is followed on from there.

import {
  asNumber,
  asObject,
  asText,
  isCount,
  isText,
  parseLine,
  type StoredRecord,
} from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { createArgumentsCheck } from '../../journal/records/arguments-check.js';
import {
  type CheckpointFaultKind,
  createCheckpointVerifier,
  type Fault,
  type KeptCheckpoint,
} from '../../journal/records/checkpoints.js';
import { genesisHash, journalFormat, type Link, readLink } from '../../journal/records/ledger.js';
import { asTimeMs, isDistanceMs, readHead, readWord } from '../../journal/records/record.js';
import type { RetiredRecords } from '../views/trail.js';
import { createRunEnds } from './run-ends.js';

/** Kinds of faults of a trail. A closed list. */
export type TrailFaultKind =
  | CheckpointFaultKind
  | 'changed'
  | 'malformed'
  | 'missing'
  /** A record comes after a later one. */
  | 'reordered'
  | 'duplicated'
  /** Two records claim the same place. */
  | 'inserted'
  /** `prev` is not the hash of the record before. */
  | 'unlinked'
  /** Argument records of an admission are missing, changed or surplus. */
  | 'arguments'
  /** A segment is missing without a retire record, or one does not follow the previous one. */
  | 'segment-missing'
  | 'clock-back'
  | 'foreign'
  /** Records follow an orderly stop that the next start did not write; or that start found some, and moved them away. */
  | 'journal-appended';

export type TrailFault = Fault<TrailFaultKind>;

/** The wall clock leapt from one time to another (RFC 3339). */
export interface ClockStep {
  readonly from: string;
  readonly to: string;
  readonly seq: number;
  /** Found at a start: a step ahead may be a long stop instead. */
  readonly isAtStart: boolean;
}

/** A statement of a start record that is no fault. */
export interface StartNote extends Omit<Required<TrailFault>, 'kind'> {
  readonly time: string;
}

/** The admission of an exchange that has no completion. */
interface OpenPlace {
  readonly id: string;
  readonly seq: number;
  readonly file: string;
  readonly line: number;
}

/** The result of a verification. No faults: the trail is whole. */
export type Verdict = ReturnType<Verifier['finish']>;

export interface TrailOptions {
  /** Public keys in base64; none: signatures are only tested to be right, and prove nothing. */
  readonly trustedKeys: readonly string[];
  /** The host's own public key: counts as well, but a change to it that the previous key did not announce is a fault. */
  readonly ownKey?: string | undefined;
  /** The checkpoints kept beside the segments, read before the segments were; empty where there are none (shipped copies). */
  readonly kept: readonly KeptCheckpoint[];
  /** True: the first fed segment is not the journal's first, and earlier ones are ignored. */
  readonly isPart: boolean;
  /** True: files end where a receiver of records cut them, not at segments. */
  readonly isShipped?: boolean;
  readonly faultsMax: number;
}

/** Limit of the faults that a check of files lists. */
export const checkedFaults = 20;
/** Records may be a little older than the previous one: they are numbered in the order in which they were handed over. */
const clockBackMsMax = 1000;
/** Limits for a forged journal, which must not fill the memory. */
const openMax = 200_000;
const openShownMax = 20;
const stepMsMin = 60_000;
const stepsMax = 10_000;
/** The beginning of a record with its time, event and ids. */
const headBytes = 320;

/** A start record's statement about the previous end, by its key `error`. */
const damageText: ReadonlyMap<unknown, string> = new Map([
  ['journal-cut', 'records that the last checkpoint named were missing before this one'],
  ['journal-rewritten', 'the record that the last checkpoint named was another one'],
  ['journal-changed', 'records before the last checkpoint were not those that it signs'],
  ['journal-unvouched', 'no checkpoint lay beside the segments, so records before this one may be missing'],
  ['journal-removed', 'segments at the beginning were missing that retention had left'],
  [
    'journal-gap',
    'records after the last checkpoint were missing before others, which it moved to a file *.appended',
  ],
]);
const removedCode = 'journal-removed';
const returnedText =
  'segments at the beginning of the journal were missing at this start; they are there now';
const unseenText =
  'segments at the beginning of the journal were missing at this start; whether they are back is seen where all of it is verified';
const appendedCode = 'journal-appended';

/** A start record's statement about the memory of the previous run, by its key `ring`. */
const ringText: ReadonlyMap<unknown, string> = new Map([
  ['missing', 'the memory of the run before was gone'],
  ['damaged', 'the memory of the run before was damaged'],
  ['foreign', 'the memory of the run before was replaced, or the machine was started since'],
]);

/** The lines that a start moved away, by its key `appended`. */
function appendedText(appended: unknown): string {
  const found = 'the daemon found then: lines were appended after the run before had ended';
  const { file, bytes } = asObject(appended) ?? {};
  const isOurs = isText(file) && /^\d{8,15}\.jsonl(\.gz)?\.appended(-\d{1,3})?$/.test(file);
  return isOurs && isCount(bytes) ? `${found}; ${bytes} bytes lie in ${file}` : found;
}

/** The verdict with one more fault, as of a comparison with another store. `isLast`: after the others, else before them. */
export function withFault(verdict: Verdict, fault: TrailFault, isLast = false): Verdict {
  const faults = isLast ? [...verdict.faults, fault] : [fault, ...verdict.faults];
  return { ...verdict, faults, faultCount: verdict.faultCount + 1 };
}

/** For a limited view: the texts of faults may quote records. */
export function withoutTexts(verdict: Verdict): Verdict {
  const faults = verdict.faults.map((fault) => ({ ...fault, text: 'the record is not what it should be' }));
  return { ...verdict, faults };
}

interface Damage {
  readonly kind: 'cut' | 'journal-appended';
  readonly code: string;
  readonly text: string;
}

/** What a start record says that it found at the end of the run before, or at the beginning of the journal. */
export function damagesOf({ error, appended }: StoredRecord): readonly Damage[] {
  // One start may have found several faults.
  return (asText(error)?.split(' ') ?? []).flatMap((code): readonly Damage[] => {
    if (code === appendedCode) return [{ kind: appendedCode, code, text: appendedText(appended) }];
    const text = damageText.get(code);
    return text === undefined ? [] : [{ kind: 'cut', code, text: `the daemon found then: ${text}` }];
  });
}

/** The records that may be missing before a start record; undefined: none that it reports. */
function forgottenText({ ring, lost }: StoredRecord): string | undefined {
  if (ring === undefined) return undefined;
  const count = isCount(lost) && lost > 0 ? ` (${lost} place${lost === 1 ? '' : 's'})` : '';
  return `${ringText.get(ring) ?? 'the memory of the run before could not be used'}${count}, so the last reads and outcomes before this start may be missing`;
}

export function noteRetired(
  retired: Map<RetiredRecords['by'], RetiredRecords>,
  { action, until }: StoredRecord,
): void {
  const by = action === 'age' || action === 'size' ? action : undefined;
  const segments = (retired.get(by)?.segments ?? 0) + 1;
  retired.set(by, { by, segments, until: asText(until) });
}

export type Verifier = ReturnType<typeof createVerifier>;

function withoutSegment(name: string, firstSeq: number): TrailFault {
  const text = `${name} is missing, and no signed record says that retention removed it`;
  return { kind: 'segment-missing', file: name, line: 0, seq: firstSeq - 1, text };
}

export function createVerifier(options: TrailOptions) {
  const faults: TrailFault[] = [];
  let faultCount = 0;
  const checkpoints = createCheckpointVerifier(options.trustedKeys, options.kept, fault, options.ownKey);
  const argumentRecords = createArgumentsCheck();
  const open = new Map<string, Omit<OpenPlace, 'id'>>();
  const forgotten: StartNote[] = [];
  const returned: StartNote[] = [];
  const steps: ClockStep[] = [];
  /** Since the last step only ends of exchanges came. */
  let isStepNew = false;
  const ends = createRunEnds();
  const retiredBy = new Map<RetiredRecords['by'], RetiredRecords>();
  /** Position of each file in the order of reading. */
  const files = new Map<string, number>();
  let fileCount = 0;
  let file = '';
  let line = 0;
  let records = 0;
  let firstSeq: number | undefined;
  let last: Link | undefined;
  /** After a fault the next record's `prev` is unknown. */
  let isDoubtful = false;
  let gap: { readonly from: number; readonly to: number; readonly fault: number } | undefined;
  /** The fault of a beginning other than record 1, unless retention explains it. */
  let begun: TrailFault | undefined;
  let beforeName: string | undefined;
  let lastTime = '';
  let firstRecordTime = '';
  let lastRecordTime = '';
  let journal: string | undefined;
  let isNewer = false;
  let torn: { readonly file: string; readonly line: number } | undefined;

  return {
    /** A file begins; `name` as records name it (without `.gz`). */
    beginSegment(name: string): void {
      tellTorn();
      beforeName = file === '' ? undefined : file;
      file = name;
      files.set(name, fileCount);
      fileCount += 1;
      line = 0;
    },
    /** The next line, without LF. `isWhole`: it ended in LF. The caller may reuse its bytes afterwards. */
    takeLine(bytes: Buffer, isWhole: boolean): void {
      tellTorn();
      line += 1;
      if (!isWhole) {
        torn = { file, line };
        return;
      }
      records += 1;
      const link = readLink(bytes);
      if (link === undefined) {
        const seq = nextSeq();
        fault({ kind: 'malformed', file, line, seq, text: 'this is not a record' });
        doubt(seq, last?.hash);
        return;
      }
      if (!link.isIntact) {
        const seq = last !== undefined && link.prev === last.hash ? last.seq + 1 : link.seq;
        fault({ kind: 'changed', file, line, seq, text: 'the record is not what its hash says' });
        doubt(seq, link.hash);
        return;
      }
      const head = bytes.toString('latin1', 0, headBytes);
      const { event, time } = readHead(head) ?? { event: '', time: '' };
      const isOwn = event === 'checkpoint' || event === 'start' || event === 'retire' || event === 'clock';
      const text = isOwn || line === 1 ? bytes.toString('utf8') : '';
      const record = text === '' ? undefined : (parseLine(text) ?? {});
      const isNext = follow(link, record);
      if (record !== undefined) look(event, text, record, link);
      followStep(event);
      if (!isNext) return;
      const appended = ends.take(event, head, record, link, { file, line, seq: link.seq });
      if (appended !== undefined) fault(appended);
      checkpoints.compare(link.seq, link.hash, file, line);
      const unlike = argumentRecords.take(event, bytes, link);
      if (unlike !== undefined) fault({ kind: 'arguments', file, line, ...unlike });
      tellTime(event, time, link.seq);
      note(event, head, link.seq);
    },
    /** A foreign line: it only counts for the places of later ones. */
    skipLine(): void {
      line += 1;
    },
    /** The rest of the file is unreadable (a damaged compressed one). */
    breakOff(text: string): void {
      fault({ kind: 'malformed', file, line: line + 1, seq: nextSeq(), text });
      doubt(undefined, undefined);
    },
    finish() {
      if (begun !== undefined && (firstSeq ?? 1) > checkpoints.oldestSeq) fault(begun);
      const pending = ends.finish();
      if (pending !== undefined) fault(pending);
      const place = { file, line: torn === undefined ? line : line - 1, seq: last?.seq };
      const signed = checkpoints.finish(place, firstSeq ?? 1);
      const order = (found: TrailFault) => files.get(found.file) ?? (found.line === 0 ? -1 : Infinity);
      return {
        faults: faults.toSorted((one, other) => order(one) - order(other) || one.line - other.line),
        faultCount,
        records,
        firstSeq,
        lastSeq: last?.seq,
        /** Times of the first and the last record (RFC 3339); empty: there is none. */
        firstTime: firstRecordTime,
        lastTime: lastRecordTime,
        retired: [...retiredBy.values()],
        journal,
        /**
         * `signedSeq`: the last record covered by a signature of a trusted key, or, if none was given, of any key; later records are only
         * chained. `earlierKeys`: untrusted keys that signed before the first trusted one, which confirmed their records as it found them.
         */
        ...signed,
        /** Exchanges with an admission and no completion: their ending is unknown, or they are running. */
        open: [...open].slice(0, openShownMax).map(([id, where]) => ({ id, ...where })),
        openCount: open.size,
        /** Starts that did not find everything from the memory of the previous run: records may be missing, without anyone's fault. */
        forgotten,
        /** Starts that did not find the beginning of the journal, which is there now and chained; a check of a part does not look. */
        returned,
        /** Steps of the wall clock by a minute and more: times around them may be wrong. */
        steps,
        /** The last line has no end: a crash, or a record that is being written just now. */
        isTorn: torn !== undefined,
        /** A later release wrote it; its new keys were ignored. */
        isNewer,
      };
    },
  };

  function fault(found: TrailFault): void {
    faultCount += 1;
    if (faults.length < options.faultsMax) faults.push(found);
  }

  /** A line without end is a fault only in the middle of the trail. */
  function tellTorn(): void {
    if (torn === undefined) return;
    const seq = nextSeq();
    fault({ kind: 'malformed', ...torn, seq, text: 'a record is cut' });
    doubt(seq, last?.hash);
    torn = undefined;
  }

  function nextSeq(): number | undefined {
    return last === undefined ? undefined : last.seq + 1;
  }

  function doubt(seq: number | undefined, hash: string | undefined): void {
    if (seq !== undefined) last = { seq, hash: hash ?? '', prev: last?.hash ?? '' };
    firstSeq ??= seq;
    isDoubtful = true;
    argumentRecords.forget();
  }

  function follow(link: Link, record: StoredRecord | undefined): boolean {
    if (last === undefined) {
      firstSeq = link.seq;
      begin(link, record);
      last = link;
      return true;
    }
    // Garbage between two records: the next one claims the garbage's place.
    const isBehindGarbage = isDoubtful && link.seq === last.seq && link.prev === last.hash;
    const isNewFile = line === 1 && beforeName !== undefined && options.isShipped !== true;
    if (isBehindGarbage || (isNewFile && isJump(link, record))) {
      last = link;
      isDoubtful = false;
      return true;
    }
    const expected = last.seq + 1;
    const { seq } = link;
    if (seq === expected) {
      if (!isDoubtful && link.prev !== last.hash) {
        fault({ kind: 'unlinked', file, line, seq, text: 'prev is not the hash of the record before' });
      }
    } else if (seq > expected) {
      const which = seq - 1 === expected ? `record ${expected} is` : `records ${expected} to ${seq - 1} are`;
      gap = { from: expected, to: seq - 1, fault: faults.length };
      argumentRecords.forget();
      fault({ kind: 'missing', file, line, seq: expected, text: `${which} missing before this one` });
    } else {
      tellRepeated(link, last);
      return false;
    }
    isDoubtful = false;
    last = link;
    return true;
  }

  function begin(link: Link, record: StoredRecord | undefined): void {
    if (options.isPart || (link.seq === 1 && link.prev === genesisHash)) return;
    const name = record?.['segment'];
    begun =
      isText(name) && line === 1
        ? withoutSegment(name, link.seq)
        : {
            kind: 'segment-missing',
            file,
            line,
            seq: 1,
            text: `${link.seq === 2 ? 'record 1 is' : `records 1 to ${link.seq - 1} are`} missing, and nothing explains it`,
          };
  }

  /** True, with a report: this segment does not follow the previous one. Its content is still verified. */
  function isJump(link: Link, record: StoredRecord | undefined): boolean {
    const isFollowing = last !== undefined && link.seq === last.seq + 1;
    if (!isFollowing) argumentRecords.forget();
    if (last !== undefined && link.seq <= last.seq) {
      const text = 'this segment stands behind one that came later';
      fault({ kind: 'reordered', file, line, seq: link.seq, text });
      lastTime = '';
      return true;
    }
    const named = record?.['segment'];
    if (named === beforeName || !isText(named) || last === undefined) return false;
    const text = `${named}, which stood before this segment, is missing`;
    fault({ kind: 'segment-missing', file, line, seq: last.seq + 1, text });
    gap = { from: last.seq + 1, to: link.seq - 1, fault: faultCount - 1 };
    return true;
  }

  function tellRepeated(link: Link, previous: Link): void {
    const { seq } = link;
    if (gap !== undefined && seq >= gap.from && seq <= gap.to) {
      // Not missing, but later than it should be. The reported place was right.
      const told = faults[gap.fault];
      if (told?.kind === 'missing') {
        const text = `record ${seq} stands later, at line ${line} of ${file}`;
        faults[gap.fault] = { ...told, kind: 'reordered', text };
      }
      return;
    }
    if (link.hash === previous.hash) {
      fault({ kind: 'duplicated', file, line, seq, text: 'the same record a second time' });
    } else if (seq === previous.seq && link.prev === previous.prev) {
      const text = 'this record and the one before it claim the same place';
      fault({ kind: 'inserted', file, line, seq, text });
      isDoubtful = true;
    } else {
      fault({ kind: 'duplicated', file, line, seq, text: `record ${seq} comes a second time` });
    }
  }

  function look(event: string, whole: string, record: StoredRecord, link: Link): void {
    const { seq } = link;
    const counts =
      (event === 'checkpoint' || event === 'retire') && checkpoints.judge(whole, record, { file, line, seq });
    if (event === 'checkpoint' && record['head'] !== link.prev) {
      fault({ kind: 'unlinked', file, line, seq, text: 'head is not the hash of the record before' });
    }
    const { journal: id, format, segment } = record;
    if (event === 'retire' && counts && isText(segment)) noteRetired(retiredBy, record);
    if (event === 'start') tellDamage(record, seq);
    const text = event === 'start' ? forgottenText(record) : undefined;
    if (text !== undefined) noteStart(forgotten, text, seq, record);
    if (event === 'clock') noteStep(record, seq);
    if ((asNumber(format) ?? 0) > journalFormat) isNewer = true;
    if (!isText(id)) return;
    journal ??= id;
    if (id !== journal) fault({ kind: 'foreign', file, line, seq, text: `this belongs to journal ${id}` });
  }

  function noteStart(notes: StartNote[], text: string, seq: number, { time }: StoredRecord): void {
    if (notes.length < openShownMax) notes.push({ seq, file, line, time: String(time), text });
  }

  function tellDamage(record: StoredRecord, seq: number): void {
    const hasBeginning = firstSeq === 1 || (firstSeq ?? 1) <= checkpoints.oldestSeq;
    for (const { kind, code, text } of damagesOf(record)) {
      if (code === removedCode && (options.isPart || hasBeginning)) {
        noteStart(returned, options.isPart ? unseenText : returnedText, seq, record);
        continue;
      }
      fault({ kind, file, line, seq, text });
    }
  }

  function noteStep({ time, step_ms: stepMs }: StoredRecord, seq: number): void {
    const toMs = asTimeMs(time);
    if (toMs === undefined || !isDistanceMs(stepMs) || Math.abs(stepMs) < stepMsMin) return;
    if (steps.length >= stepsMax) return;
    steps.push({ from: formatTime(toMs - stepMs), to: formatTime(toMs), seq, isAtStart: false });
    isStepNew = true;
  }

  /** A start writes its step first, then the ends of open exchanges, then itself. */
  function followStep(event: string): void {
    if (!isStepNew || event === 'clock' || event === 'completion') return;
    const step = steps.pop();
    if (step !== undefined) steps.push({ ...step, isAtStart: event === 'start' });
    isStepNew = false;
  }

  function tellTime(event: string, time: string, seq: number): void {
    if (firstRecordTime === '') firstRecordTime = time;
    lastRecordTime = time;
    // The journal's own records are made when a group is written, so they may be younger than the group's records.
    if (event === 'checkpoint' || event === 'retire') return;
    if (time < lastTime && event !== 'clock') {
      const backMs = (parseTime(lastTime) ?? 0) - (parseTime(time) ?? 0);
      if (backMs <= clockBackMsMax) return;
      const text = `time goes back by ${backMs} ms, and no record says why`;
      fault({ kind: 'clock-back', file, line, seq, text });
    }
    lastTime = time;
  }

  function note(event: string, head: string, seq: number): void {
    if (event !== 'admission' && event !== 'completion') return;
    const id = readWord(head, 'id');
    if (id === undefined) return;
    if (event === 'completion') open.delete(id);
    else if (open.size < openMax) open.set(id, { seq, file, line });
  }
}
