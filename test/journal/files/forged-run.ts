// Runs of the real writer over a directory and a `state`, for tests that change the files between two runs as someone without the key can.

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import {
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { verifyTrail } from '../../../src/evidence/reading/search-trail.js';
import type { Verdict } from '../../../src/evidence/trail/verify.js';
import type { Found, Mark, Order, Report } from '../../../src/journal/files/handover.js';
import { RingWriter } from '../../../src/journal/files/ring.js';
import { createRing } from '../../../src/journal/files/ring-file.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { createWriter, type Writer } from '../../../src/journal/files/writer.js';
import { encodeBody, encodeRecord } from '../../../src/journal/records/encode.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import { isOwnRecord, type JournalRecord } from '../../../src/journal/records/record.js';
import { type makeSignKey, parseSignKey } from '../../../src/rules/keys/sign-key.js';
import { segmentFiles, temporaryDirectory } from './reading.js';
import { createSharedRing, type SharedRing } from './shared-ring.js';

/** Keys that are the same in each run, so that a search for forgeries is repeated by its seed. */
export function fixedKey(byte: number): ReturnType<typeof makeSignKey> {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, byte)]);
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const secretPem = secret.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { publicPem, key } = parseSignKey(secretPem);
  return { secretPem, publicPem, key };
}

export const signKey = fixedKey(1);
export const ringBytes = 64 << 10;

/** The folders of a daemon. `elsewhere`: one that the attacker can write to. */
export interface Place {
  readonly directory: string;
  readonly state: string;
  readonly ring: string;
  readonly elsewhere: string;
}

export interface Run {
  readonly writer: Writer;
  readonly ring: SharedRing;
  readonly found: Found;
  readonly lock: number;
  /** After the start. */
  readonly mark: Mark;
  readonly directory: string;
  /** Into the file of the ring, as the main thread does: the process ends before the writer sees it. */
  readonly publish: (...records: readonly JournalRecord[]) => void;
}

export function placeFor(t: TestContext): Place {
  return placeIn(temporaryDirectory(t));
}

export function placeIn(parent: string): Place {
  for (const name of ['state', 'run', 'elsewhere'])
    mkdirSync(join(parent, name), { mode: 0o700, recursive: true });
  const [directory, ring] = [join(parent, 'audit'), join(parent, 'run/audit.ring')];
  return { directory, state: join(parent, 'state'), ring, elsewhere: join(parent, 'elsewhere') };
}

interface StartOptions {
  readonly segmentBytes?: number;
  readonly secretPem?: string;
  /** False: nothing is signed. */
  readonly isSigned?: boolean;
  readonly wallMs?: number;
  /** False: `audit.memory: off`. */
  readonly hasRing?: boolean;
  readonly plainBytesMax?: number;
  /** The id of a journal that begins here. */
  readonly journal?: string;
  readonly program?: string;
  readonly catalog?: string;
  /** Of the ring in memory that the writer gets its records from. */
  readonly sharedBytes?: number;
}

/** A start of the daemon's writer. Throws where the journal cannot be opened. */
export function startRun(place: Place, options: StartOptions = {}): Run {
  const { segmentBytes = 1 << 20, secretPem = signKey.secretPem, isSigned = true } = options;
  const { wallMs = Date.now(), journal = 'ab'.repeat(16), sharedBytes = 1 << 18 } = options;
  const { program = 'dovegate test', catalog = '' } = options;
  const ring = createSharedRing(sharedBytes);
  const memory = { path: options.hasRing === true ? place.ring : undefined, bytes: ringBytes };
  const names = { program, catalog, reserveBytes: 0 };
  const places = { directory: place.directory, stateDirectory: place.state, segmentBytes, memory };
  const { plainBytesMax } = options;
  const limits = plainBytesMax === undefined ? {} : { plainBytesMax };
  const key = isSigned ? secretPem : undefined;
  const writer = createWriter({ ...names, ...places, ...limits, signKey: key }, journal);
  writer.attach(ring.reader());
  const locked = writer.carryOut({ do: 'open', lock: undefined, wallMs });
  if (locked.kind !== 'lock') throw new Error(JSON.stringify(locked));
  const report = writer.carryOut({ do: 'open', lock: locked.descriptor, wallMs });
  if (report.kind !== 'opened') throw new Error(JSON.stringify(report));
  const publish = (...records: readonly JournalRecord[]): void => {
    const { ring: made } = report;
    assert.ok(typeof made !== 'string');
    publishIn(place.ring, made.generation, records);
  };
  const { directory } = place;
  const { found, mark } = report;
  return { writer, ring, found, mark, lock: locked.descriptor, directory, publish };
}

function publishIn(path: string, generation: bigint, records: readonly JournalRecord[]): void {
  const bytes = readFileSync(path);
  const memory = new ArrayBuffer(bytes.length);
  new Uint8Array(memory).set(bytes);
  const writer = new RingWriter(memory, generation);
  for (const record of records) assert.ok(writer.publish([encodeBody(record)], writer.dataBytes));
  writeFileSync(path, new Uint8Array(memory), { mode: 0o600 });
}

/** Returns where the journal is on disk then. */
export function write(run: Run, ...records: readonly JournalRecord[]): Mark {
  return writeBodies(
    run,
    records.flatMap((record) => (isOwnRecord(record) ? [encodeBody(record)] : encodeRecord(record))),
  );
}

/** Texts that no encoder made. */
export function writeBodies({ writer, ring }: Run, bodies: readonly string[]): Mark {
  for (const body of bodies) assert.ok(ring.writer.publish([body], ring.writer.dataBytes));
  const flushed = writer.flush(ring.writer.head, 0);
  const isMark = flushed === undefined || !('kind' in flushed);
  const mark = isMark || flushed.kind === 'failed' ? flushed : flushed.mark;
  assert.ok(mark !== undefined && !('kind' in mark), JSON.stringify(flushed));
  const { tail } = ring.reader();
  assert.ok(tail !== undefined);
  ring.writer.tail = tail;
  return mark;
}

export function carry({ writer }: Run, order: Order): Report {
  return writer.carryOut(order);
}

export function checkpoint(run: Run, wallMs = Date.now()): Mark {
  const report = carry(run, { do: 'checkpoint', behind: run.ring.writer.head, wallMs });
  assert.ok(report.kind === 'written', JSON.stringify(report));
  return report.mark;
}

export function stop(run: Run, wallMs = Date.now()): Mark {
  const report = carry(run, { do: 'stop', behind: run.ring.writer.head, wallMs });
  assert.ok(report.kind === 'stopped', JSON.stringify(report));
  return report.mark;
}

/** A start, and a stop in order; what the start found. */
export function restart(place: Place, options: StartOptions = {}): Found {
  const run = startRun(place, options);
  stop(run, options.wallMs);
  return run.found;
}

/** The process ends here, and writes nothing more. */
export function kill({ lock, directory }: Run): void {
  closeSync(lock);
  // A real process closes its segment when it exits. This one runs on, so long searches would leak descriptors.
  const descriptors = '/proc/self/fd';
  for (const name of existsSync(descriptors) ? readdirSync(descriptors) : []) {
    const link = join(descriptors, name);
    const isOpen = lstatSync(link, { throwIfNoEntry: false }) !== undefined;
    if (isOpen && readlinkSync(link).startsWith(`${directory}/`)) closeSync(Number(name));
  }
}

/** The path of the newest segment. */
export const lastFile = ({ directory }: Place): string =>
  join(directory, segmentFiles(directory).at(-1) ?? '');

/** Of the newest segment, with LF. */
export const lastLines = (place: Place): string[] => readFileSync(lastFile(place), 'utf8').split(/(?<=\n)/);

export const lastLine = (place: Place): string => lastLines(place).at(-1)?.trimEnd() ?? '';

/** Writes other lines to the newest segment. */
export function editLast(place: Place, change: (lines: string[]) => readonly string[]): void {
  writeFileSync(lastFile(place), change(lastLines(place)).join(''));
}

export function loseState({ state }: Place): void {
  rmSync(state, { recursive: true });
  mkdirSync(state);
}

/** The state is that of a copy. */
export function restoreState({ state }: Place, copy: string): void {
  rmSync(state, { recursive: true });
  cpSync(copy, state, { recursive: true });
}

/** Lines with a right chain, and no signature; `from`: the hash that the first one names. */
export function chained(after: string, records: readonly JournalRecord[], from?: string): string[] {
  let { seq, hash: prev }: { seq: number; hash: string } = JSON.parse(after);
  prev = from ?? prev;
  return records.map((record) => {
    seq += 1;
    const sealed = sealLine(seq, encodeBody(record), prev);
    prev = sealed.hash;
    return sealed.line;
  });
}

/** Appends such lines to the last segment, or to another file; returns them. */
export function append(
  place: Place,
  records: readonly JournalRecord[],
  { file, prev }: { readonly file?: string; readonly prev?: string } = {},
): string {
  const name = file ?? segmentFiles(place.directory).at(-1) ?? '';
  const lines = chained(lastLine(place), records, prev).join('');
  writeFileSync(join(place.directory, name), lines, { flag: 'a', mode: 0o600 });
  return lines;
}

/** A ring of records as a killed run leaves it, at a path of the attacker's choice, and the note that leads there. */
export function plantRing({ directory }: Place, path: string, records: readonly JournalRecord[]): void {
  const { generation } = createRing(directory, path, ringBytes, 'ab'.repeat(16));
  publishIn(path, generation, records);
}

/** What `audit verify --key` says; `state`: what `--config` adds to it. */
export function verdictOf(
  place: Place,
  state?: string,
  ownKey?: string,
  trustedKeys: readonly string[] = ownKey === undefined ? [signKey.key] : [],
): Promise<Verdict> {
  const request = { trustedKeys, ownKey, fromSeq: undefined, faultsMax: 20 };
  return verifyTrail(findTrail([place.directory], state), request);
}

export async function faultsOf(place: Place, state?: string, keys?: readonly string[]): Promise<string[]> {
  return (await verdictOf(place, state, undefined, keys)).faults.map(({ kind }) => kind);
}
