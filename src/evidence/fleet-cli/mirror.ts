// The mirror of a fleet: plain journal directories, STATE/journals/HOST/JOURNAL/0000000N.jsonl, which every `audit` command reads, with
// segments cut as at the gate. Verified lines are appended and synced before the verifier's position is saved: after a crash the next run
// reads the lines after that position again and skips those that are there. A line whose own hash is wrong is left out, and records that
// the store lacks are missing here, too: `audit verify` finds the same hole. Late records are kept beside the segments until `tend` puts
// them in. The mirror of a host whose share of the disk is used up stops after a whole line, until there is room. Segments that the gate
// still has are never removed; retired ones only after `mirror_keep`.

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { systemClock } from '../../host/machine/clock.js';
import { readRegular, syncDirectory } from '../../host/machine/regular-file.js';
import { CommandFault } from '../../host/output/output.js';
import { messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { asText, isCount, parseLine } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { bytesWords } from '../../host/words/words.js';
import { inflateStart } from '../../journal/files/compressed.js';
import { compressSegments } from '../../journal/files/maintenance.js';
import {
  createSegment,
  fileName,
  listSegments,
  makeDirectory,
  openIn,
  openSegment,
  removeSegment,
  type Segment,
  segmentName,
  withFile,
  writeWhole,
} from '../../journal/files/segments.js';
import { findTrail, firstSeqOf, readPieces, type TrailFile } from '../../journal/files/trail.js';
import { readLink } from '../../journal/records/ledger.js';
import { foldersIn, mirroredJournals, mirrorIn } from '../cli/fleet-places.js';
import type { Fleet } from '../fleet/fleet.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { StoredBlock } from '../fleet/shapes.js';

export type Mirror = ReturnType<typeof openMirror>;

interface Journal {
  readonly host: string;
  readonly directory: string;
  /** The number of the last segment; 0: none. Its bytes, and the last record. */
  number: number;
  bytes: number;
  seq: number;
  isDirty: boolean;
}

/** Runs a step; throws a CommandFault for an error of the file system. */
type Attempt = <Result>(run: () => Result) => Result;

/** A file takes whole blocks of the disk, and so does a directory. */
const blockBytes = 4096;

/**
 * For the process that holds the state. Hosts that are not listed are not mirrored. `fleet` gets a finding about a host whose share is used
 * up, once while the mirror is open, and about missing records without another fault: the store dropped them before they came.
 */
export function openMirror(
  {
    state,
    hosts,
    mirrorBytes,
    mirrorKeepMs,
  }: Pick<FleetSettings, 'state' | 'mirrorBytes' | 'mirrorKeepMs'> & {
    readonly hosts: Pick<FleetSettings['hosts'], 'has'>;
  },
  fleet: Pick<Fleet, 'note'>,
) {
  const root = mirrorIn(state);
  const journals = new Map<string, Journal>();
  const used = new Map<string, number>();
  const told = new Set<string>();
  const attempt: Attempt = (run) => {
    try {
      return run();
    } catch (cause) {
      const text = `the mirror in ${root} cannot be written: ${messageOf(cause)}; nothing is lost: the next run goes on from there`;
      throw new CommandFault(exitCodes.configuration, text);
    }
  };
  const usedBy = (host: string): number => {
    const known = used.get(host) ?? usedIn(join(root, host));
    used.set(host, known);
    return known;
  };
  const journalOf = (host: string, journal: string): Journal => {
    const key = `${host} ${journal}`;
    const found = journals.get(key) ?? openJournal(host, join(root, host, journal));
    journals.set(key, found);
    return found;
  };
  const shareOf = (host: string): number => (hosts.has(host) ? mirrorBytes : 0);
  /** A full mirror stays full while it is open: nothing may follow records that were left out. */
  const isFull = (host: string): boolean => {
    const share = shareOf(host);
    if (told.has(host) || usedBy(host) + bounds.storeTextBytes <= share) return told.has(host);
    // Counts again from the disk, as the next run will.
    used.delete(host);
    if (usedBy(host) + bounds.storeTextBytes <= share) return false;
    told.add(host);
    const text = `its mirror has its share of ${bytesWords(share)}, so its records are only in the store, for as long as that keeps them: raise "mirror_share"`;
    fleet.note({ kind: 'mirror-full', host, time: formatTime(systemClock.wallMs()), text });
    return true;
  };
  /** Appends whole lines to the last segment. */
  const append = (to: Journal, bytes: Buffer): void => {
    if (bytes.length === 0) return;
    const isNew = to.number === 0 || to.bytes + bytes.length > bounds.plainSegmentBytes;
    if (isNew) begin(to, to.number + 1);
    withFile(openSegment(to.directory, segmentName(to.number)), (file) => writeFileSync(file, bytes));
    to.bytes += bytes.length;
    to.isDirty = true;
    used.set(to.host, usedBy(to.host) + bytes.length);
  };
  const begin = (to: Journal, number: number): void => {
    sync(to);
    if (to.number === 0) makeDirectory(to.directory, groupOf(root));
    closeSync(createSegment(to.directory, segmentName(number)));
    to.number = number;
    to.bytes = 0;
    used.set(to.host, usedBy(to.host) + blockBytes);
  };
  /** Begins a segment at a line that names the one before. The first segment may have begun in the middle: only now its number is known. */
  const cut = (to: Journal, before: number): void => {
    if (to.number === 0) return begin(to, before + 1);
    const isOnly = before > to.number && listSegments(to.directory).length === 1;
    if (isOnly) {
      renameSync(join(to.directory, segmentName(to.number)), join(to.directory, segmentName(before)));
      syncDirectory(to.directory);
      to.number = before;
    }
    begin(to, Math.max(before, to.number) + 1);
  };
  const takeLines = (to: Journal, bytes: Buffer, isClean: boolean, last: number): void => {
    let from = 0;
    // Of lines without a fault, only those that begin a segment are parsed.
    let at = isClean ? nextStart(bytes, 0) : 0;
    while (at < bytes.length) {
      const lf = bytes.indexOf(0x0a, at);
      const end = lf < 0 ? bytes.length : lf + 1;
      const line = bytes.subarray(at, Math.max(at, end - 1));
      const seq = isClean || lf < 0 ? undefined : seqOfNext(line, to.seq);
      const before = isClean || seq !== undefined ? segmentBefore(line) : undefined;
      if (before !== undefined || (!isClean && seq === undefined)) {
        append(to, bytes.subarray(from, at));
        if (before !== undefined) cut(to, before);
        from = before === undefined ? end : at;
      }
      to.seq = seq ?? to.seq;
      at = isClean ? nextStart(bytes, end) : end;
    }
    append(to, bytes.subarray(from));
    if (isClean) to.seq = last;
  };
  const keepLate = (to: Journal, bytes: Buffer): void => {
    if (bytes.length === 0 || to.number === 0) return;
    withFile(
      openIn(to.directory, lateName, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND),
      (file) => writeFileSync(file, bytes),
    );
    to.isDirty = true;
    used.set(to.host, usedBy(to.host) + bytes.length);
  };
  const sync = (journal: Journal): void => {
    if (!journal.isDirty) return;
    withFile(openSegment(journal.directory, segmentName(journal.number)), fsyncSync);
    const late = join(journal.directory, lateName);
    if (statSync(late, { throwIfNoEntry: false }) !== undefined)
      withFile(openIn(journal.directory, lateName, constants.O_WRONLY), fsyncSync);
    journal.isDirty = false;
  };
  const noteLacking = (host: string, journal: string, first: number, last: number): void => {
    const text = `the mirror has no records ${first} to ${last}, and the store has them no more: fetch them from the host's own journal, if it still has them`;
    const time = formatTime(systemClock.wallMs());
    fleet.note({ kind: 'not-mirrored', host, journal, seq: first, time, text });
  };
  return {
    /** The last record of a journal that is there; 0: none. */
    endOf: (host: string, journal: string): number => attempt(() => journalOf(host, journal).seq),
    isFull: (host: string): boolean => attempt(() => isFull(host)),
    /**
     * `isClean`: the verifier found nothing wrong with the block. `late`: the records with which it filled a hole. False: the share of its
     * host is used up, and the block was not taken. Throws a CommandFault.
     */
    take(
      { name: { host, journal, first, last }, text: bytes }: StoredBlock,
      isClean: boolean,
      late?: Fleet['late'],
    ): boolean {
      if (bytes === undefined || bytes.length === 0 || !hosts.has(host)) return true;
      return attempt(() => {
        const to = journalOf(host, journal);
        if (late !== undefined && !isFull(host)) keepLate(to, linesBetween(bytes, late));
        if (isClean && last <= to.seq) return true;
        if (isFull(host)) return false;
        if (isClean && to.seq > 0 && first > to.seq + 1) noteLacking(host, journal, to.seq + 1, first - 1);
        const follows = isClean && first === to.seq + 1;
        takeLines(to, bytes, follows, follows ? last : 0);
        return true;
      });
    },
    /** On disk when it returns. Throws a CommandFault. */
    save(): void {
      attempt(() => {
        for (const journal of journals.values()) sync(journal);
      });
    },
    /**
     * Puts late records into their segments, compresses closed ones, and removes old ones: after `mirrorKeepMs` without a write by our own
     * clock, where the gate has retired them. `failed`: what could not be compressed, and why; it is tried again. `hasRoom`: a host whose
     * share was used up has room again: with a new reader, its mirror goes on. Rejects with a CommandFault.
     */
    async tend(nowMs: number): Promise<{ readonly failed: string | undefined; readonly hasRoom: boolean }> {
      let failed: string | undefined;
      if (statSync(root, { throwIfNoEntry: false }) === undefined) return { failed, hasRoom: false };
      for (const { host, journal, path } of attempt(() => mirroredJournals(root))) {
        await retire(path, nowMs - mirrorKeepMs, attempt);
        if (statSync(join(path, lateName), { throwIfNoEntry: false }) !== undefined) {
          const key = `${host} ${journal}`;
          const open = journals.get(key);
          attempt(() => {
            if (open !== undefined) sync(open);
            putLate(path);
          });
          // Its last segment may be longer.
          journals.delete(key);
        }
        const closed = attempt(() => listSegments(path)).slice(0, -1);
        const plain = closed.filter(({ isCompressed }) => !isCompressed).map(({ name }) => name);
        const why = plain.length === 0 ? undefined : await compressSegments(path, plain);
        if (why !== undefined) failed ??= `${path}: ${why}`;
      }
      used.clear();
      const hasRoom = [...told].some(
        (host) => attempt(() => usedBy(host)) + 2 * bounds.storeTextBytes <= shareOf(host),
      );
      return { failed, hasRoom };
    },
  };
}

/** Removes the oldest segments that the gate has retired, according to the newest one: `audit verify` accepts that as the reason. */
async function retire(directory: string, writtenMaxMs: number, attempt: Attempt): Promise<void> {
  const { files } = attempt(() => findTrail([directory]));
  const newest = files.at(-1);
  const oldestSeq = newest === undefined ? 0 : await oldestSeqIn(newest);
  for (const [at, { path }] of files.slice(0, -1).entries()) {
    const next = files[at + 1];
    const nextSeq = next === undefined ? undefined : await firstSeqOf(next);
    const found = statSync(path, { throwIfNoEntry: false });
    if (nextSeq === undefined || nextSeq > oldestSeq || found === undefined || found.mtimeMs > writtenMaxMs)
      return;
    attempt(() => removeSegment(directory, basename(path)));
  }
}

/** The oldest record of the gate, according to the head of a segment; 0: unknown. */
async function oldestSeqIn(file: TrailFile): Promise<number> {
  for await (const { bytes } of readPieces(file)) {
    const { oldest_seq: oldest } = parseLine(bytes.toString('utf8', 0, bytes.indexOf(0x0a))) ?? {};
    return isCount(oldest) ? oldest : 0;
  }
  return 0;
}

/** Records that came late, each a line, until the segments are tended. */
const lateName = 'late.lines';

/** Synchronous, so that nothing is appended meanwhile. */
function putLate(directory: string): void {
  const late = new Map<number, Buffer>();
  for (const line of linesOf(readFileSync(join(directory, lateName)))) {
    const link = readLink(line.subarray(0, -1));
    if (link?.isIntact === true) late.set(link.seq, line);
  }
  const segments = listSegments(directory);
  const firsts = segments.map((segment) => firstIn(directory, segment));
  for (const [at, segment] of segments.entries()) {
    // The first block of a journal may come late, too.
    const first = at === 0 ? 0 : (firsts[at] ?? Infinity);
    const next = firsts[at + 1] ?? Infinity;
    const own = [...late].filter(([seq]) => seq > first && seq < next);
    if (own.length === 0) continue;
    const bytes = readFileSync(join(directory, fileName(segment)));
    writeWhole(directory, segment.name, merged(segment.isCompressed ? inflateStart(bytes) : bytes, own));
    if (segment.isCompressed) removeSegment(directory, fileName(segment));
  }
  removeSegment(directory, lateName);
}

function firstIn(directory: string, segment: Segment): number | undefined {
  const bytes = withFile(
    openSync(join(directory, fileName(segment)), constants.O_RDONLY | constants.O_NOFOLLOW),
    (file) => {
      const start = Buffer.alloc(1 << 16);
      return start.subarray(0, readSync(file, start));
    },
  );
  const [line] = linesOf(segment.isCompressed ? inflateStart(bytes) : bytes);
  return line && readLink(line.subarray(0, -1))?.seq;
}

/** The lines of a segment with those that it lacks, by their seq. */
function merged(text: Buffer, late: readonly (readonly [number, Buffer])[]): Buffer {
  const waiting = new Map(late.toSorted(([one], [other]) => one - other));
  const all: Buffer[] = [];
  for (const line of linesOf(text)) {
    const seq = readLink(line.subarray(0, -1))?.seq;
    if (seq !== undefined)
      for (const [before, one] of waiting) {
        if (before > seq) break;
        waiting.delete(before);
        if (before < seq) all.push(one);
      }
    all.push(line);
  }
  return Buffer.concat([...all, ...waiting.values()]);
}

/** Each with its LF. */
function* linesOf(text: Buffer): Generator<Buffer> {
  for (let at = 0; at < text.length; ) {
    const lf = text.indexOf(0x0a, at);
    if (lf < 0) return;
    yield text.subarray(at, lf + 1);
    at = lf + 1;
  }
}

function linesBetween(bytes: Buffer, { first, last }: NonNullable<Fleet['late']>): Buffer {
  const found = [...linesOf(bytes)].filter((line) => {
    const seq = readLink(line.subarray(0, -1))?.seq ?? 0;
    return seq >= first && seq <= last;
  });
  return Buffer.concat(found);
}

/** The seq of an intact line after record `seq`. Undefined: it is not one. */
function seqOfNext(line: Buffer, seq: number): number | undefined {
  const link = readLink(line);
  return link?.isIntact === true && Number.isSafeInteger(link.seq) && link.seq > seq ? link.seq : undefined;
}

const segmentText = Buffer.from(',"segment":"');

/** Where the next line begins that names a segment. */
function nextStart(bytes: Buffer, from: number): number {
  const found = bytes.indexOf(segmentText, from);
  return found < 0 ? bytes.length : bytes.lastIndexOf(0x0a, found) + 1;
}

/** If a line begins a segment: the number of the previous one. A retire record names a removed one. */
function segmentBefore(line: Buffer): number | undefined {
  if (!line.includes(segmentText)) return undefined;
  const { event, segment } = parseLine(line.toString('utf8')) ?? {};
  const number = /^(\d{8,15})\.jsonl$/.exec(asText(segment) ?? '')?.[1];
  return number !== undefined && event !== 'retire' ? Number(number) : undefined;
}

/** The group that may read new directories: that of the mirror's own directory, if it may read that one. */
export function groupOf(root: string): number | undefined {
  const found = statSync(root, { throwIfNoEntry: false });
  return found !== undefined && (found.mode & 0o040) !== 0 ? found.gid : undefined;
}

function usedIn(folder: string): number {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return 0;
  let sum = blockBytes;
  for (const name of foldersIn(folder)) {
    sum += blockBytes;
    for (const file of readdirSync(join(folder, name))) {
      const size = statSync(join(folder, name, file), { throwIfNoEntry: false })?.size ?? 0;
      sum += Math.ceil(size / blockBytes) * blockBytes;
    }
  }
  return sum;
}

/** Removes what a crash left after the last whole record. */
function openJournal(host: string, directory: string): Journal {
  const journal: Journal = { host, directory, number: 0, bytes: 0, seq: 0, isDirty: false };
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return journal;
  const segments = listSegments(directory);
  for (const segment of segments.toReversed()) {
    const end = segment.isCompressed ? endOfCompressed(directory, segment) : repair(directory, segment);
    if (end !== undefined) return { ...journal, number: segment.number, ...end };
    // Each segment was synced before the next one began.
    if (segment !== segments.at(-1)) throw new Error(`${join(directory, segment.name)} holds no record`);
    removeSegment(directory, fileName(segment));
  }
  return journal;
}

/** Undefined: no record is left. */
function repair(directory: string, { name }: Segment): Pick<Journal, 'bytes' | 'seq'> | undefined {
  return withFile(openSegment(directory, name), (file) => {
    const { size } = fstatSync(file);
    for (let length = 1 << 16; ; length *= 4) {
      const from = Math.max(0, size - length);
      const tail = Buffer.alloc(size - from);
      readSync(file, tail, 0, tail.length, from);
      const last = lastIntact(tail, from === 0);
      if (last === undefined && from > 0) continue;
      if (last === undefined) return undefined;
      const bytes = from + last.end;
      if (bytes < size) ftruncateSync(file, bytes);
      if (bytes < size) fsyncSync(file);
      return { bytes, seq: last.seq };
    }
  });
}

function lastIntact(
  text: Buffer,
  isWhole: boolean,
): { readonly end: number; readonly seq: number } | undefined {
  for (let lf = text.lastIndexOf(0x0a); lf >= 0; ) {
    const before = lf === 0 ? -1 : text.lastIndexOf(0x0a, lf - 1);
    if (before < 0 && !isWhole) return undefined;
    const link = readLink(text.subarray(before + 1, lf));
    if (link?.isIntact === true) return { end: lf + 1, seq: link.seq };
    lf = before;
  }
  return undefined;
}

function endOfCompressed(directory: string, segment: Segment): Pick<Journal, 'bytes' | 'seq'> {
  const text = inflateStart(readRegular(join(directory, fileName(segment)), bounds.plainSegmentBytes));
  // A compressed segment is closed: with this size, the next line begins another one.
  return { bytes: Infinity, seq: lastIntact(text, true)?.seq ?? 0 };
}
