// The file of the ring of records: made at each start, read at the next one, kept if it is damaged; all of it under the
// journal's lock. Only the file named by `ring.json` is read, a foreign file is never written to, and a new ring is made only
// when all records of the old one are in segments.

import { randomBytes } from 'node:crypto';
import {
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { syncDirectory } from '../../host/machine/regular-file.js';
import { messageOf } from '../../host/ports/faults.js';
import { isCount, isText, parseLine } from '../../host/values/values.js';
import { type OpenExchanges, readBody, readClaim } from '../records/ledger.js';
import { readWord } from '../records/record.js';
import { scanFrom } from './chain.js';
import type { Tail } from './recover.js';
import {
  type Frame,
  formatRing,
  frameBytes,
  type Leftovers,
  makeWord,
  type RingIdentity,
  RingReader,
  readRingHeader,
  ringHeaderBytes,
  ringVersion,
  seqAt,
} from './ring.js';
import { isSystemError, listSegments, readIn, withFile, writeWhole } from './segments.js';

/** Names the file of the run's ring; beside the segments. */
const noteName = 'ring.json';
const noFollow = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const chunkBytes = 1 << 20;
/** Records of the journal itself between those of the ring, in one write. */
const ownRecordsMax = 8;

interface Note extends RingIdentity {
  readonly path: string;
  /** The boot id of the machine: after a power cut the disk's content may be older than the journal. */
  readonly boot: string;
}

/**
 * Makes the file of a ring. Call it when all records of the old ring are in segments. A file in its place that is no old ring of this
 * journal is kept: the ring of another journal as `NAME.left-...`, where a start of that journal finds it, and `tell` gets a text; anything
 * else as `NAME.damaged-...`. Throws an Error that says why there is no ring.
 */
export function createRing(
  directory: string,
  path: string,
  bytes: number,
  journal: string,
  tell: (text: string) => void = () => undefined,
): RingIdentity {
  const made = `${path}.new`;
  const generation = makeGeneration();
  try {
    const isNoteDamaged = existsSync(join(directory, noteName)) && readNote(directory) === undefined;
    const unknown = findUnknown(path, isNoteDamaged ? undefined : journal);
    if (unknown !== undefined) {
      renameSync(path, makeAside(unknown.aside));
      if (unknown.text !== undefined) tell(unknown.text);
    }
    // From here until the new one exists, a start finds no ring, and misses none.
    forgetRing(directory);
    rmSync(made, { force: true });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow;
    withFile(openSync(made, flags, 0o600), (descriptor) => {
      fchmodSync(descriptor, 0o600);
      const chunk = Buffer.alloc(Math.min(chunkBytes, bytes));
      // Written, not only sized: if a full tmpfs cannot provide a page, the first access to it ends the process.
      for (let at = 0; at < bytes; )
        at += writeSync(descriptor, chunk, 0, Math.min(chunk.length, bytes - at), at);
      const header = Buffer.alloc(ringHeaderBytes);
      formatRing(header, { bytes, journal, generation });
      writeSync(descriptor, header, 0, header.length, 0);
    });
    renameSync(made, path);
    writeNote(directory, path, { bytes, journal, generation });
  } catch (error) {
    // A part of a ring must not take up space.
    remove(made);
    forgetRing(directory);
    throw new Error(`audit.memory: ${path} cannot be made: ${messageOf(error)}`, { cause: error });
  }
  return { bytes, journal, generation };
}

/** Writes the name of the ring's file again, if it was removed together with the directory. */
export function keepNote(directory: string, path: string, identity: RingIdentity): void {
  if (existsSync(join(directory, noteName))) return;
  writeNote(directory, path, identity);
}

/** Removes the name of the ring's file: the next start looks for no ring. */
export function forgetRing(directory: string): void {
  const path = join(directory, noteName);
  if (!existsSync(path)) return;
  rmSync(path);
  syncDirectory(directory);
}

/** As `forgetRing`, and removes the ring's file, unless it was replaced. */
export function dropRing(directory: string, path: string, { generation }: RingIdentity): void {
  forgetRing(directory);
  if (readHeaderAt(path)?.generation === generation) unlinkSync(path);
}

/**
 * The ring of the last run; undefined: it had none, or its content is not needed. Never throws. `journal`: the id that it must have.
 * `note`: the result of `formatNote`, from a place that is harder to write to than the directory; undefined: `ring.json` counts.
 */
export function readLeftRing(directory: string, journal: string, note?: string): LeftRing | undefined {
  if (note !== undefined) return new LeftRing(directory, parseNote(note), journal);
  if (!existsSync(join(directory, noteName))) return undefined;
  return new LeftRing(directory, readNote(directory), journal);
}

export class LeftRing {
  /** Its state for the start record; undefined: it is unchanged. */
  readonly state: 'damaged' | 'missing' | 'foreign' | undefined;
  /** Damaged stretches, each of one record or more; undefined: nothing is missing. */
  readonly lost: Leftovers['lost'] | undefined;
  readonly text: string | undefined;
  readonly #directory: string;
  readonly #note: Note | undefined;
  /** Where it is now: another journal may have kept it under another name. */
  readonly #path: string;
  readonly #frames: readonly Frame[] = [];

  constructor(directory: string, note: Note | undefined, journal: string) {
    this.#directory = directory;
    this.#note = note;
    this.lost = 'unknown';
    const left = note === undefined ? '' : leftName(note.path, note.generation);
    const path = existsSync(left) ? left : (note?.path ?? '');
    this.#path = path;
    if (note === undefined) {
      this.state = 'missing';
      this.text = `${noteName} is damaged: where the ring of records lies is unknown`;
      return;
    }
    let memory: ArrayBuffer | undefined;
    try {
      memory = readFile(path, note);
    } catch (error) {
      this.state = isSystemError(error, 'ENOENT') ? 'missing' : 'foreign';
      const text = isSystemError(error, 'ELOOP') ? 'it is a symbolic link' : messageOf(error);
      this.text = `${path}: ${text}`;
      return;
    }
    const header = readRingHeader(new Uint8Array(memory));
    const wrong = note.journal === journal ? whyForeign(note, header) : 'it is the ring of another journal';
    if (wrong !== undefined) {
      this.state = 'foreign';
      this.text = `${path}: ${wrong}`;
      return;
    }
    const { frames, isDamaged, lost } = new RingReader(memory, note.generation).readAll();
    this.#frames = frames;
    const aside = asideName(note.path, note.generation);
    // Kept at once: if the start is killed after noting numbers, the next one would find no fault in them.
    if (isDamaged || header === undefined) addName(path, makeAside(aside));
    const isRight = !isDamaged && header !== undefined && !existsSync(aside);
    this.state = isRight ? undefined : 'damaged';
    this.lost = isRight ? undefined : lost;
    this.text = isRight ? undefined : `${path}: it is damaged; records that are lost: ${lost}`;
  }

  /** In order; `tail`: the end of the journal. A record whose line is unreadable (compressed, retired) counts as written. */
  unwritten({ seq: lastSeq }: Pick<Tail, 'seq'>): readonly Frame[] {
    const directory = this.#directory;
    const segments = listSegments(directory);
    const written = new Set<Frame>();
    /** Lines that belong to the frames above, and to no others. */
    const taken = new Set<number>();
    const bySeq = new Map<number, Frame>();
    /** Frames whose line, if there is one, is not known by its number. */
    const unsure = this.#frames.filter((frame) => {
      if (frame.seq === undefined || bySeq.has(frame.seq)) return true;
      if (frame.seq > 0 && frame.seq <= lastSeq) bySeq.set(frame.seq, frame);
      return false;
    });
    const oldestSeq = [...bySeq.keys()].reduce((oldest, seq) => Math.min(oldest, seq), lastSeq + 1);
    let readableSeq = Infinity;
    if (bySeq.size > 0)
      scanFrom(directory, segments, oldestSeq, (line) => {
        const link = line.isWhole ? readClaim(line.bytes) : undefined;
        readableSeq = Math.min(readableSeq, link?.seq ?? Infinity);
        const frame = link === undefined ? undefined : bySeq.get(link.seq);
        if (link === undefined || frame === undefined) return true;
        bySeq.delete(link.seq);
        if (readBody(line.bytes, link).equals(frame.body)) {
          written.add(frame);
          taken.add(link.seq);
        } else unsure.push(frame);
        return true;
      });
    // A number between the others without a line was skipped by a start that found the journal cut.
    for (const [seq, frame] of bySeq) {
      if (seq < readableSeq) written.add(frame);
      else unsure.push(frame);
    }
    // The line of a frame is near to those of the others, with the journal's own records in between.
    const fromSeq = Math.max(1, oldestSeq - 2 * this.#frames.length - 100);
    const wanted = new Map<string, Frame[]>();
    for (const frame of unsure.toSorted((one, other) => one.position - other.position)) {
      const body = frame.body.toString('latin1');
      const same = wanted.get(body);
      if (same === undefined) wanted.set(body, [frame]);
      else same.push(frame);
    }
    if (wanted.size > 0)
      scanFrom(directory, segments, fromSeq, (line) => {
        const link = line.isWhole ? readClaim(line.bytes) : undefined;
        if (link === undefined || taken.has(link.seq)) return true;
        const frame = wanted.get(readBody(line.bytes, link).toString('latin1'))?.shift();
        if (frame === undefined) return true;
        written.add(frame);
        // The next start finds it by its number, whatever is written until then.
        this.stamp(frame, link.seq);
        return true;
      });
    return this.#frames.filter((frame) => !written.has(frame));
  }

  /** Notes a record's number in the file before its line is written: a start after a crash uses it to find the line. */
  stamp({ body }: Frame, seq: number): void {
    const word = Buffer.alloc(8);
    word.writeBigUInt64LE(makeWord(seq));
    try {
      withFile(openSync(this.#path, constants.O_WRONLY | noFollow), (descriptor) =>
        writeSync(descriptor, word, 0, word.length, body.byteOffset - frameBytes + seqAt),
      );
    } catch {
      // Only a crash before the next ring would need it; the record itself goes to the journal in any case.
    }
  }

  /** For a ring whose records are all on disk. Keeps a damaged or foreign file as `NAME.damaged-...`. Throws the system's error. */
  putAside(): void {
    const { path, generation } = this.#note ?? {};
    // Without a note the place of the ring is unknown; the file at the path of the next ring may be it.
    if (path === undefined || generation === undefined) return;
    const aside = asideName(path, generation);
    forgetRing(this.#directory);
    if (this.state === 'foreign' || (this.state === 'damaged' && !existsSync(aside)))
      renameSync(this.#path, makeAside(aside));
    else remove(this.#path);
  }
}

/** Why the start record says that records are lost. */
export interface Lack {
  readonly state: 'damaged';
  readonly lost: 'unknown';
  readonly text: string;
}

/**
 * Whether records before this one of a ring are missing in the journal; undefined: none is known to be. `open`: the open exchanges of the
 * journal. `seqMax`: the number of the last record if only records of the ring followed.
 */
export function lackBefore({ body, seq }: Frame, open: OpenExchanges, seqMax: number): Lack | undefined {
  const text = body.toString('latin1');
  const id = text.includes('"event":"completion"') ? readWord(text, 'id') : undefined;
  const isOrphan = id !== undefined && !open.has(id) && open.size < bounds.openRecovered;
  if (!isOrphan && (seq ?? 0) <= seqMax + ownRecordsMax) return undefined;
  const why = isOrphan ? `the admission of ${id} is missing` : `it has record ${seq}`;
  return { state: 'damaged', lost: 'unknown', text: `the journal ends before the ring of records: ${why}` };
}

/** The whole file. Throws if it was replaced. */
function readFile(path: string, { bytes, boot }: Note): ArrayBuffer {
  return withFile(openSync(path, constants.O_RDONLY | noFollow), (descriptor) => {
    const found = fstatSync(descriptor);
    if (!isOurs(found)) throw new Error('it is not a plain file of ours with mode 0600');
    if (found.size !== bytes) throw new Error(`it has ${found.size} bytes instead of ${bytes}`);
    if (boot !== readBoot()) throw new Error('the machine was started since it was written');
    const memory = new ArrayBuffer(bytes);
    for (let at = 0; at < bytes; ) {
      const read = readSync(descriptor, new Uint8Array(memory), at, bytes - at, at);
      if (read === 0) throw new Error('it ends early');
      at += read;
    }
    return memory;
  });
}

/** Undefined: the header is that of the expected ring, or damaged. */
function whyForeign(note: Note, header: ReturnType<typeof readRingHeader>): string | undefined {
  if (header === undefined) return undefined;
  if (header.version !== ringVersion) return `it has version ${header.version}`;
  if (header.journal !== note.journal) return 'it is the ring of another journal';
  const isSame = header.generation === note.generation && header.bytes === note.bytes;
  return isSame ? undefined : 'it is the ring of another run';
}

function isOurs(found: Stats): boolean {
  return found.isFile() && found.uid === process.geteuid?.() && (found.mode & 0o7777) === 0o600;
}

/**
 * A file that is no old ring of this journal (undefined: any file counts), and has no other name; undefined: there is none. `aside`: the
 * name under which it is kept; `text`: for the log, undefined: none.
 */
function findUnknown(path: string, journal: string | undefined) {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const isWhole = isOurs(found);
  if (isWhole && found.nlink > 1) return undefined;
  const header = isWhole && journal !== undefined ? readHeaderAt(path) : undefined;
  if (header === undefined) return { aside: asideName(path, makeGeneration()), text: undefined };
  if (header.journal === journal) return undefined;
  const aside = leftName(path, header.generation);
  const text = `${path} is the ring of another journal (${header.journal}): it is ${aside} now, and a start of that journal takes its records from there`;
  return { aside, text };
}

function readHeaderAt(path: string): ReturnType<typeof readRingHeader> {
  const header = Buffer.alloc(ringHeaderBytes);
  withFile(openSync(path, constants.O_RDONLY | noFollow), (descriptor) =>
    readSync(descriptor, header, 0, header.length, 0),
  );
  return readRingHeader(header);
}

function addName(path: string, name: string): void {
  try {
    linkSync(path, name);
  } catch {
    // It is there already, or the file system has no hard links.
  }
}

/** Makes room for one more file of that form by removing the oldest ones. Returns the name. */
function makeAside(aside: string): string {
  if (existsSync(aside)) return aside;
  const directory = dirname(aside);
  const start = basename(aside).slice(0, -16);
  const files = readdirSync(directory).filter(
    (file) => file.startsWith(start) && /^[0-9a-f]{16}$/.test(file.slice(start.length)),
  );
  const timed = files.map((file) => ({ file, ms: lstatSync(join(directory, file)).mtimeMs }));
  const oldest = timed.toSorted((one, other) => one.ms - other.ms);
  for (const { file } of oldest.slice(0, Math.max(0, files.length - 4 + 1))) remove(join(directory, file));
  return aside;
}

function asideName(path: string, generation: bigint): string {
  return `${path}.damaged-${hex(generation)}`;
}

/** The name of an intact ring that another journal has found in its place. */
function leftName(path: string, generation: bigint): string {
  return `${path}.left-${hex(generation)}`;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is missing, or foreign.
  }
}

function writeNote(directory: string, path: string, identity: RingIdentity): void {
  writeWhole(directory, noteName, `${formatNote(path, identity)}\n`);
}

/** The content of `ring.json` for a ring of this boot of the machine; one line. */
export function formatNote(path: string, { bytes, journal, generation }: RingIdentity): string {
  const note = { path, bytes, journal, generation: hex(generation), boot: readBoot() };
  return JSON.stringify({ version: ringVersion, ...note });
}

function readNote(directory: string): Note | undefined {
  return parseNote(readIn(directory, noteName) ?? '');
}

function parseNote(text: string): Note | undefined {
  const { version, path, bytes, journal, generation, boot } = parseLine(text.trimEnd()) ?? {};
  const isRight =
    version === ringVersion &&
    isText(path) &&
    isCount(bytes) &&
    isText(journal) &&
    isText(generation) &&
    /^[0-9a-f]{16}$/.test(generation) &&
    isText(boot);
  return isRight ? { path, bytes, journal, generation: BigInt(`0x${generation}`), boot } : undefined;
}

function makeGeneration(): bigint {
  return randomBytes(8).readBigUInt64LE();
}

function hex(generation: bigint): string {
  return generation.toString(16).padStart(16, '0');
}

function readBoot(): string {
  return readIn('/proc/sys/kernel/random', 'boot_id')?.trim() ?? '';
}
