// The real ring, its publishing side, the real writer and the real start, beside the model of the ring: what happens is chosen at each
// change that the code makes, and after each step words, frames and lines are compared.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Mark } from '../../../src/journal/files/handover.js';
import {
  formatRing,
  makeWord,
  RingReader,
  RingWriter,
  readRingHeader,
  ringHeaderBytes,
} from '../../../src/journal/files/ring.js';
import { segmentName } from '../../../src/journal/files/segments.js';
import { createWriter, type Writer } from '../../../src/journal/files/writer.js';
import type { Choose } from './explore.js';
import { type Put, putNames, puts, type RingState, ringModel, sizes, unit } from './ring-model.js';
import { Stand } from './stand.js';
import { type Change, isSegment } from './stores.js';

const journalId = 'j'.repeat(32);
const ringBytes = ringHeaderBytes + sizes.data * unit;
const wallMs = 1_700_000_000_000;
/** Steps of the code; all others are of the world. */
const own = new Set(['publish', 'line', 'sync', 'release', 'take', 'note', 'forget', 'renew']);

/** A record whose frame has that size, with its number in it. */
function bodyOf(id: number, size: number): string {
  const begin = `"time":"2023-11-14T22:13:20.000Z","event":"log","text":"${id}.`;
  return `${begin.padEnd(size * unit - 32 - 1, 'x')}"`;
}

function idOf(body: string): number {
  return Number(/"text":"(\d+)\./.exec(body)?.[1]);
}

export class RingStand extends Stand<RingState> {
  readonly #directory: string;
  readonly #path: string;
  #memory = new ArrayBuffer(0);
  #generation = 0n;
  #publisher: RingWriter | undefined;
  #reader: RingReader | undefined;
  #writer: Writer | undefined;
  #mark: Mark | undefined;
  /** The lines that are about to be written. */
  #text = '';
  #isStarting = false;

  /** Empties the folder. `position`: where the ring begins. */
  constructor(folder: string, position: number, choose: Choose, random?: () => number) {
    super(ringModel(position), choose, random);
    rmSync(folder, { recursive: true, force: true });
    this.#directory = join(folder, 'audit');
    this.#path = join(folder, 'run', 'audit.ring');
    for (const name of ['audit', 'run']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
    this.#open();
    assert.ok(this.#publisher && this.#reader);
    const words = new BigUint64Array(this.#memory);
    words[8] = makeWord(position * unit);
    this.#publisher = new RingWriter(this.#memory, this.#generation, position * unit);
    this.#reader.tail = position * unit;
    // A writer begins at the start of its ring: this one is led to the position by an empty walk.
    this.#writer?.flush(position * unit, 0);
    this.isReady = true;
  }

  protected override isOwn(name: string): boolean {
    return own.has(name);
  }

  protected override act(name: string): void {
    if (name.startsWith('kill')) this.kill(name);
    if (name === 'start') {
      this.beside.go(name);
      return this.#start();
    }
    const put = putNames.find((one) => one === name);
    if (put !== undefined) return this.#put(put);
    if (name === 'bell') return this.#bell();
    if (name === 'report') {
      this.beside.go(name);
      assert.ok(this.#publisher && this.#mark);
      this.#publisher.tail = this.#mark.position;
      return;
    }
    if (this.beside.state.at !== 'dead') return this.beside.go(name);
    this.#damage(name);
    this.beside.go(name);
  }

  #put(name: Put): void {
    assert.ok(this.#publisher);
    const { last } = this.beside.state;
    const bodies = puts[name].records.map((size, at) => bodyOf(last + at + 1, size));
    this.beside.go(name);
    const isPlaced = this.beside.state.putting !== undefined;
    const publisher = this.#publisher;
    const usedMax = puts[name].isHalf ? publisher.dataBytes / 2 : publisher.dataBytes;
    const isTaken = this.process.run(() => publisher.publish(bodies, usedMax));
    assert.equal(isTaken, isPlaced, `${name} was ${isTaken ? '' : 'not '}taken`);
    assert.equal(this.beside.state.putting, undefined, 'it was taken, and not published');
  }

  #bell(): void {
    this.beside.go('bell');
    assert.ok(this.#publisher && this.#writer);
    const { head } = this.#publisher;
    const writer = this.#writer;
    const mark = this.process.run(() => writer.flush(head, 0));
    assert.ok(mark !== undefined && !('kind' in mark), JSON.stringify(mark));
    assert.equal(this.beside.state.step, 'none', 'the batch is not all done');
    this.#mark = mark;
  }

  #start(): void {
    this.newProcess();
    this.#isStarting = true;
    const opened = this.#open();
    const { recovered, told } = this.beside.state;
    const start: unknown = JSON.parse(
      this.#lines().findLast((line) => line.includes('"event":"start"')) ?? '{}',
    );
    assert.deepEqual([opened.recovered, Reflect.get(Object(start), 'ring')], [recovered, told]);
    assert.equal(this.beside.state.at, 'up', 'the start is not all done');
  }

  /** A start of the journal's thread, and of the main thread's side. */
  #open(): { readonly recovered: number } {
    const memory = { path: this.#path, bytes: ringBytes };
    const names = { program: 'test', catalog: '', signKey: undefined, reserveBytes: 0, memory };
    const writer = createWriter({ directory: this.#directory, segmentBytes: 1 << 20, ...names }, journalId);
    const report = this.process.run(() => {
      const locked = writer.carryOut({ do: 'open', lock: undefined, wallMs });
      assert.ok(locked.kind === 'lock', JSON.stringify(locked));
      return writer.carryOut({ do: 'open', lock: locked.descriptor, wallMs });
    });
    this.#isStarting = false;
    assert.ok(
      report.kind === 'opened' && typeof report.ring === 'object',
      String(Reflect.get(report, 'ring')),
    );
    this.#generation = report.ring.generation;
    this.#memory = new Uint8Array(readFileSync(this.#path)).buffer;
    this.#publisher = new RingWriter(this.#memory, this.#generation);
    this.#reader = new RingReader(this.#memory, this.#generation);
    this.#writer = writer;
    writer.attach(this.#reader);
    return report.found;
  }

  protected override nameOf(change: Change): string | undefined {
    return this.#isStarting ? this.#nameOfStart(change) : this.#nameOfRun(change);
  }

  #nameOfRun(change: Change): string | undefined {
    if (change.kind === 'store')
      return change.index === 8 ? 'publish' : change.index === 16 ? 'release' : undefined;
    if (change.kind === 'sync' && isSegment(change.path)) return 'sync';
    if (change.kind !== 'write' || !isSegment(change.path)) return undefined;
    this.#text = change.bytes.toString();
    return 'line';
  }

  #nameOfStart(change: Change): string | undefined {
    if (change.kind === 'store') return undefined;
    const isNote = basename(change.path) === 'ring.json';
    if (change.kind === 'rename') return basename(change.to) === 'ring.json' ? 'renew' : undefined;
    if (change.kind === 'remove') return isNote ? 'forget' : undefined;
    if (change.kind !== 'write' || !isSegment(change.path)) return undefined;
    const text = change.bytes.toString();
    return text.includes('"event":"log"') ? 'take' : text.includes('"event":"start"') ? 'note' : undefined;
  }

  /** What a killed process leaves. */
  protected override die(): void {
    if (this.beside.trace.at(-1) === 'kill within line') {
      const last = this.#text.lastIndexOf('\n', this.#text.length - 2) + 1;
      const torn = this.#text.slice(0, (last + this.#text.length) >> 1);
      writeFileSync(join(this.#directory, segmentName(1)), torn, { flag: 'a' });
    }
    if (this.#isStarting) this.#isStarting = false;
    else writeFileSync(this.#path, new Uint8Array(this.#memory), { mode: 0o600 });
  }

  #damage(name: string): void {
    const bytes = readFileSync(this.#path);
    const { frames, head } = this.beside.state;
    const spoil = (at: number): void => void bytes.fill(0xa5, at, at + 8);
    const flip = (at: number): void => void (bytes[at] = (bytes[at] ?? 0) ^ 4);
    if (name === 'a bit of the head word') flip(65);
    if (name === 'the head word' || name === 'both words') spoil(64);
    if (name === 'the tail word' || name === 'both words') spoil(128);
    if (name === 'a bit of the header') flip(20);
    if (name === 'the header of another ring') {
      const header = readRingHeader(bytes);
      assert.ok(header);
      formatRing(bytes, { ...header, generation: header.generation ^ 1n });
    }
    const unreleased = frames.filter(({ at }) => at < head);
    const hit = name.endsWith('oldest record') ? unreleased[0] : unreleased.at(-1);
    if (name.endsWith('record') && hit !== undefined)
      flip(ringHeaderBytes + ((hit.at % sizes.data) + 3) * unit + 5);
    writeFileSync(this.#path, bytes);
  }

  #lines(): string[] {
    return readFileSync(join(this.#directory, segmentName(1)), 'utf8').split('\n');
  }

  protected override compare(): void {
    const { state } = this.beside;
    // The last one is empty or torn.
    const lines = this.#lines().slice(0, -1);
    const ids = lines.filter((line) => line.includes('"event":"log"')).map(idOf);
    assert.deepEqual(ids, state.lines, 'lines');
    if (state.at !== 'up') return;
    assert.ok(this.#reader && this.#publisher);
    const words = [this.#reader.head, this.#reader.tail, this.#publisher.head, this.#publisher.tail];
    assert.deepEqual(
      words,
      [state.head, state.tail, state.head, state.known].map((at) => at * unit),
      'words',
    );
    // What a start would read now.
    const left = new RingReader(this.#memory.slice(0), this.#generation).readAll();
    const expected = state.frames.filter(({ at }) => at < state.head).map(({ id }) => id);
    assert.deepEqual(
      [left.isDamaged, left.frames.map(({ body }) => idOf(body.toString()))],
      [false, expected],
    );
  }
}
