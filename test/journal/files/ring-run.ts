// A run of the journal in single steps, to be stopped after each of them: a ring in memory whose bytes go to its file when the process
// "is killed", the consumer's steps one by one, and a start that recovers, which can be stopped at each change of a file.

import assert from 'node:assert/strict';
import fs, {
  appendFileSync,
  closeSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Opened } from '../../../src/journal/files/handover.js';
import { formatRing, RingReader, RingWriter } from '../../../src/journal/files/ring.js';
import { createRing } from '../../../src/journal/files/ring-file.js';
import { segmentName } from '../../../src/journal/files/segments.js';
import { createWriter } from '../../../src/journal/files/writer.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import { readWhole, type StoredRecord, segmentFiles, temporaryDirectory } from './reading.js';

export const journalId = 'j'.repeat(32);
export const ringBytes = 16_384;

function bodyOf(number: number): string {
  const named = { session: 'S', id: `E${number}`, text: 'x'.repeat((number * 37) % 300) };
  return encodeBody({ time: 1_700_000_000_000 + number, event: 'log', ...named });
}

export function flipBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
}

/** Files of a journal and its ring, with a publisher and a consumer that take single steps. */
export class Run {
  readonly directory: string;
  readonly path: string;
  readonly ledger = new Ledger('test', undefined, journalId);
  readonly memory = new ArrayBuffer(ringBytes);
  readonly writer: RingWriter;
  readonly reader: RingReader;
  readonly bodies: string[] = [];
  segment = 1;
  #position = 0;

  /** In a directory for segments, and one for the ring. */
  constructor(directory: string, ringDirectory: string) {
    this.directory = directory;
    this.path = join(ringDirectory, 'audit.ring');
    appendFileSync(join(directory, segmentName(1)), '');
    this.write(encodeBody({ time: 1, event: 'start', journal: journalId, format: 1 }));
    const identity = createRing(directory, this.path, ringBytes, journalId);
    formatRing(new Uint8Array(this.memory), identity);
    this.writer = new RingWriter(this.memory, identity.generation);
    this.reader = new RingReader(this.memory, identity.generation);
  }

  publish(count: number): void {
    for (let at = 0; at < count; at += 1) {
      const body = bodyOf(this.bodies.length);
      assert.ok(this.writer.publish([body], this.writer.dataBytes));
      this.bodies.push(body);
    }
  }

  /** C2 of so many records: their numbers are in the ring. Returns the lines. */
  stamp(count: number): string {
    let lines = '';
    let left = count;
    this.reader.walk(this.#position, this.writer.head, ({ position, body }) => {
      if (left === 0) return;
      left -= 1;
      this.reader.stamp(position, this.ledger.seq + 1);
      lines += this.ledger.seal(body.toString());
      this.#position = position + 32 + ((body.length + 7) & ~7);
    });
    return lines;
  }

  /** After a failed write: all of it is stamped again, behind a checkpoint that takes the first number. */
  stampAgain(first: number, again: number): string {
    const position = this.#position;
    const { journal, seq, hash, stepsMs, oldestSeq, open } = this.ledger;
    const before = { journal, seq, hash, stepsMs, oldestSeq, open: new Map(open), timeMs: 1 };
    this.stamp(first);
    this.#position = position;
    this.ledger.resume(before);
    this.rotate();
    return this.stamp(again);
  }

  /** A record of the journal's own. */
  write(body: string): void {
    this.append(this.ledger.seal(body));
  }

  append(lines: string): void {
    appendFileSync(join(this.directory, segmentName(this.segment)), lines);
  }

  rotate(): void {
    this.segment += 1;
    this.write(encodeBody({ ...this.ledger.checkpoint(2), open_seq: this.ledger.openSeq }));
  }

  /** C2 to C4, and C5. */
  consume(count: number): void {
    this.append(this.stamp(count));
    this.release();
  }

  /** C5. */
  release(): void {
    this.reader.tail = this.#position;
    this.writer.tail = this.#position;
  }

  /** What a process that is killed now leaves. */
  kill(memory: ArrayBufferLike = this.memory): void {
    writeFileSync(this.path, new Uint8Array(memory), { mode: 0o600 });
  }
}

/** What a start does, with its second copy of the end in a folder beside the journal. Throws what it says when it fails. */
export function recover(directory: string, path: string): Opened['found'] {
  const memory = { path, bytes: ringBytes };
  const names = { program: 'test', catalog: '', signKey: undefined, reserveBytes: 0, memory };
  const stateDirectory = join(directory, '..', 'state');
  const writer = createWriter({ directory, stateDirectory, segmentBytes: 1, ...names }, 'n'.repeat(32));
  const order = { do: 'open', wallMs: 1_700_000_100_000 } as const;
  const locked = writer.carryOut({ ...order, lock: undefined });
  assert.ok(locked.kind === 'lock', locked.kind === 'failed' ? locked.message : locked.kind);
  try {
    const report = writer.carryOut({ ...order, lock: locked.descriptor });
    assert.ok(report.kind === 'opened', report.kind === 'failed' ? report.message : report.kind);
    return report.found;
  } finally {
    closeSync(locked.descriptor);
  }
}

/** Bodies of the records that were published, in a journal whose chain is whole. */
export function recordsIn(directory: string): string[] {
  readWhole(directory);
  const whole = /^\{"seq":\d+,(.*),"prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}$/;
  return segmentFiles(directory)
    .flatMap((file) => fs.readFileSync(join(directory, file), 'utf8').split('\n'))
    .filter((line) => line.includes('"event":"log"'))
    .map((line) => whole.exec(line)?.[1] ?? line);
}

const changing = [
  'openSync',
  'writeSync',
  'writeFileSync',
  'renameSync',
  'linkSync',
  'unlinkSync',
  'rmSync',
  'fsyncSync',
  'fdatasyncSync',
  'ftruncateSync',
  'truncateSync',
  'mkdirSync',
  'fchmodSync',
] as const;

/**
 * Does something in a process that is killed at its step `at` (from 0 on): before it, or, of a write of more than a word, after its first
 * half. Nothing changes a file after that. Returns whether it came to that.
 */
export function killedAt(at: number, isHalf: boolean, work: () => void): boolean {
  const real = Object.fromEntries(changing.map((name) => [name, fs[name]]));
  let count = 0;
  let isDead = false;
  for (const name of changing) {
    Reflect.set(fs, name, (...given: unknown[]) => {
      const isHalfDone = count === at && isHalf && name === 'writeSync';
      if (isHalfDone && Buffer.isBuffer(given[1]) && given[1].length > 8) {
        const [descriptor, bytes, from = 0, length = bytes.length - Number(from), position = null] = given;
        const half = [descriptor, bytes, from, Number(length) >> 1, position];
        Reflect.apply(real['writeSync'] ?? assert.fail, fs, half);
      }
      isDead ||= count === at;
      count += 1;
      if (isDead) throw new Error('killed');
      return Reflect.apply(real[name] ?? assert.fail, fs, given);
    });
  }
  syncBuiltinESMExports();
  try {
    work();
  } catch (error) {
    if (!isDead) throw error;
  } finally {
    Object.assign(fs, real);
    syncBuiltinESMExports();
  }
  return isDead;
}

export function makeRun(t: TestContext): Run {
  const place = temporaryDirectory(t);
  for (const name of ['audit', 'run']) mkdirSync(join(place, name), { mode: 0o700 });
  return new Run(join(place, 'audit'), join(place, 'run'));
}

/**
 * A run in the third lap of its ring that was killed with records in each state: on disk; with lines in two segments, the tail not
 * moved; with a number and no line; with neither. Between the oldest of these and the newest the data end.
 */
export function makeKilled(t: TestContext): Run & { readonly known: number } {
  const run = makeRun(t);
  while (run.writer.head < 2.9 * run.writer.dataBytes) {
    run.publish(3);
    run.consume(3);
  }
  run.rotate();
  run.publish(22);
  run.append(run.stamp(4));
  run.rotate();
  run.append(run.stamp(4));
  const known = run.bodies.length - 14;
  run.stamp(4);
  run.kill();
  return Object.assign(run, { known });
}

/** Names of what was moved out of the way of a ring. */
export function keptIn({ path }: Pick<Run, 'path'>): string[] {
  return readdirSync(join(path, '..'))
    .filter((name) => /\.(?:damaged|left)-/.test(name))
    .toSorted();
}

export function lastStart(directory: string): StoredRecord {
  return readWhole(directory).findLast(({ event }) => event === 'start') ?? assert.fail('no start record');
}

/** A copy of the state of a run, to spoil. */
export function copyOf(t: TestContext, run: Run): { directory: string; path: string; folder: string } {
  const place = temporaryDirectory(t);
  cpSync(join(run.directory, '..'), place, { recursive: true });
  const directory = join(place, 'audit');
  const folder = join(place, 'run');
  const path = join(folder, 'audit.ring');
  setNote(directory, { path });
  return { directory, folder, path };
}

export function setNote(directory: string, change: Readonly<Record<string, unknown>>): void {
  const path = join(directory, 'ring.json');
  const note: object = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, `${JSON.stringify({ ...note, ...change })}\n`);
}
