// The real driver, ring, writer and start beside the model of the journal: signed, with a copy in `state`, in files that a power cut takes
// back to what was synced. After each step lines, words and sent commands are compared, and after each start the whole journal is verified.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Driver } from '../../../src/journal/files/driver.js';
import type { Mark, Opened, Order, Report, WriterThread } from '../../../src/journal/files/handover.js';
import { carryOutSlowly, type Retired } from '../../../src/journal/files/keeper.js';
import { runEndName } from '../../../src/journal/files/kept-end.js';
import { RingReader, RingWriter, readWord } from '../../../src/journal/files/ring.js';
import { segmentName } from '../../../src/journal/files/segments.js';
import { createWriter } from '../../../src/journal/files/writer.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { type Place, signKey, verdictOf } from '../../journal/files/forged-run.js';
import { createHandClock } from '../../journal/files/hand-clock.js';
import { admission, completion } from '../../journal/files/opening.js';
import { segmentFiles } from '../../journal/files/reading.js';
import type { Choose, Model } from './explore.js';
import type { JournalState } from './journal-model.js';
import { Stand } from './stand.js';
import { type Change, isSegment } from './stores.js';

const journalId = 'ab'.repeat(16);
/** Never full: that is the model of the ring. */
const ringBytes = 256 << 10;
/** Three lines and some more. */
const segmentBytes = 8192;
/** So long that a segment is full after its third or fourth line. */
const text = `,"text":"${'x'.repeat(2300)}"`;
const wallMs = Date.UTC(2026, 10, 2);

function bodyOf(label: string): string {
  const id = label.slice(1);
  if (label.startsWith('C')) return encodeBody({ ...completion(id), time: wallMs });
  const effect = label.startsWith('S') ? 'write' : 'read';
  return encodeBody({ ...admission(id), time: wallMs, effect }) + text;
}

/** Lines that were read, which are the same ones again and again. */
const labels = new Map<string, string>();

function labelOf(line: string): string {
  const label = labels.get(line) ?? readLabel(line);
  if (labels.size > 1000) labels.clear();
  labels.set(line, label);
  return label;
}

function readLabel(line: string): string {
  const record: Readonly<Record<string, unknown>> = JSON.parse(line);
  const { event, id, effect, outcome, action, segment } = record;
  if (event === 'admission') return `${effect === 'write' ? 'S' : 'A'}${String(id)}`;
  if (event === 'completion') return `${outcome === 'unknown' ? 'U' : 'C'}${String(id)}`;
  if (event === 'retire') return `R${Number.parseInt(String(segment), 10)}`;
  if (event === 'checkpoint') return action === 'stop' ? 'ck!' : 'ck';
  return String(event);
}

/** What lives as long as one process. */
interface Life {
  readonly memory: ArrayBuffer;
  readonly ring: RingWriter;
  readonly reader: RingReader;
  readonly driver: Driver;
  readonly thread: SameThread;
  readonly mail: (() => void)[];
  readonly bell: () => void;
}

export class JournalStand extends Stand<JournalState> {
  readonly #place: Place;
  #life: Life | undefined;
  #sent: string[] = [];
  #isStarted = false;

  /** Empties the folder. */
  constructor(folder: string, model: Model<JournalState>, choose: Choose, random?: () => number) {
    super(model, choose, random);
    rmSync(folder, { recursive: true, force: true });
    const at = (name: string): string => join(folder, name);
    for (const name of ['run', 'state']) mkdirSync(at(name), { recursive: true, mode: 0o700 });
    const places = { directory: at('audit'), state: at('state'), ring: at('run/audit.ring') };
    this.#place = { ...places, elsewhere: at('elsewhere') };
    this.#life = this.#open();
    this.isReady = true;
  }

  protected override isOwn(name: string): boolean {
    return /^(?:write .*|sync|release|open|keep|keep state|forget|renew)$/.test(name);
  }

  /** A step of the main thread is one of the model, with its store. */
  protected override isBetween({ kind }: Change): boolean {
    return kind !== 'store';
  }

  protected override nameOf(change: Change): string | undefined {
    if (change.kind === 'store') {
      const { index, words, value } = change;
      return index === 16 && readWord(value) !== readWord(words[16] ?? 0n) ? 'release' : undefined;
    }
    if (change.kind === 'rename') {
      const name = basename(change.to);
      return name === 'checkpoint.json'
        ? 'keep'
        : name === runEndName
          ? 'keep state'
          : name === 'ring.json'
            ? 'renew'
            : undefined;
    }
    if (change.kind === 'remove') return basename(change.path) === 'ring.json' ? 'forget' : undefined;
    if (!isSegment(change.path)) return undefined;
    if (change.kind === 'open') return existsSync(change.path) ? undefined : 'open';
    if (change.kind === 'sync') return 'sync';
    if (change.kind !== 'write') return undefined;
    return `write ${change.bytes.toString().trimEnd().split('\n').map(labelOf).join(' ')}`;
  }

  protected override act(name: string): void {
    if (/^(?:kill|power)/.test(name)) this.kill(name);
    const { last } = this.beside.state;
    this.beside.go(name);
    if (name === 'start') {
      this.newProcess();
      this.#life = this.#open();
      this.#isStarted = true;
      assert.equal(this.beside.state.at, 'up', 'the start is not all done');
      return;
    }
    const { driver, ring, mail, bell, thread } = this.#alive;
    const send = (label: string): void => void this.#sent.push(label);
    if (name === 'ask strict') {
      const label = `S${last + 1}`;
      const body = bodyOf(label);
      assert.ok(driver.addAwaited([body], driver.half, () => send(label), assert.fail));
    } else if (name === 'ask') {
      const label = `A${last + 1}`;
      assert.ok(driver.add([bodyOf(label)], driver.half));
      send(label);
    } else if (name.startsWith('complete ')) {
      assert.ok(driver.add([bodyOf(`C${name.slice('complete S'.length)}`)], driver.whole));
    } else if (name === 'report') mail.shift()?.();
    else if (name === 'remove') this.#remove();
    else {
      if (name === 'bell') bell();
      else if (name === 'stop') void driver.close(Infinity).catch(() => undefined);
      else if (name === 'retire') {
        const segments = [this.#oldest()];
        const policies = { versions: [], startSeq: 0 };
        void driver.run((_, behind) => ({ do: 'retire', behind, segments, policies, wallMs }));
      } else void driver.run((_, behind) => ({ do: 'checkpoint', behind, wallMs }));
      if (thread.thrown !== undefined) throw thread.thrown;
      assert.deepEqual(this.beside.state.todo, [], 'the order is not all done');
    }
    assert.ok(ring.used >= 0);
  }

  get #alive(): Life {
    assert.ok(this.#life);
    return this.#life;
  }

  /** A start: the real writer, whose ring is a copy in memory, and the real driver over it. */
  #open(): Life {
    const { directory, state: stateDirectory, ring: path } = this.#place;
    const memory = { path, bytes: ringBytes };
    const names = { program: 'dovegate test', catalog: '', reserveBytes: 0, signKey: signKey.secretPem };
    const writer = createWriter({ ...names, directory, stateDirectory, segmentBytes, memory }, journalId);
    const carryOut = (order: Order): Report => this.process.run(() => writer.carryOut(order));
    const locked = carryOut({ do: 'open', lock: undefined, wallMs });
    assert.ok(locked.kind === 'lock', locked.kind);
    const opened = carryOut({ do: 'open', lock: locked.descriptor, wallMs });
    assert.ok(opened.kind === 'opened', opened.kind === 'failed' ? opened.message : opened.kind);
    assert.ok(typeof opened.ring !== 'string');
    const { generation } = opened.ring;
    const copy = new Uint8Array(readFileSync(path)).buffer;
    const ring = new RingWriter(copy, generation);
    const reader = new RingReader(copy, generation);
    writer.attach(reader);
    const mail: (() => void)[] = [];
    const thread = new SameThread(opened, mail, carryOut);
    const options = { clock: createHandClock(), wallMs: () => wallMs, deadlineMs: 1e9 };
    const driver = new Driver(
      { ...options, openThread: assert.fail, lock: () => true, observe: () => undefined },
      thread,
      opened,
      ring,
    );
    const bell = (): void => {
      const flushed = this.process.run(() => writer.flush(ring.head, 0));
      assert.ok(flushed !== undefined);
      if (!('kind' in flushed)) thread.laid = flushed;
      else assert.equal(flushed.kind, 'written');
      mail.push(() => thread.onBell?.('kind' in flushed ? flushed : undefined));
    };
    return { memory: copy, ring, reader, driver, thread, mail, bell };
  }

  /** The oldest segment, as the keeper describes it to the writer. */
  #oldest(): Retired {
    const { directory } = this.#place;
    const [first = '', second = ''] = segmentFiles(directory);
    const linesOf = (file: string): string[] =>
      readFileSync(join(directory, file), 'utf8').trimEnd().split('\n');
    const { hash: lastHash }: { hash: string } = JSON.parse(linesOf(first).at(-1) ?? '');
    const { seq: nextSeq }: { seq: number } = JSON.parse(linesOf(second)[0] ?? '');
    const place = { number: Number.parseInt(first, 10), name: first, isCompressed: false, bytes: 0 };
    return { ...place, lastHash, nextSeq, endMs: wallMs, endWallMs: wallMs, why: 'age' };
  }

  #remove(): void {
    const { directory } = this.#place;
    const report = carryOutSlowly(directory, { do: 'remove', names: [segmentFiles(directory)[0] ?? ''] });
    assert.equal(report.kind, 'done');
  }

  protected override die(): void {
    const { directory, ring } = this.#place;
    const name = this.beside.trace.at(-1) ?? '';
    if (this.#life !== undefined && existsSync(join(directory, 'ring.json')))
      writeFileSync(ring, new Uint8Array(this.#life.memory), { mode: 0o600 });
    this.#life = undefined;
    this.#isStarted = false;
    if (!name.startsWith('power')) return;
    rmSync(ring, { force: true });
    const last = join(directory, segmentFiles(directory).at(-1) ?? '');
    const whole = readFileSync(last, 'utf8');
    // All lines of the model's last segment are on disk; a segment that is empty there is so here.
    const count = this.beside.state.segments.at(-1)?.lines.length ?? 0;
    const lines = whole.split('\n');
    const keptBytes = lines.slice(0, count).reduce((sum, line) => sum + line.length + 1, 0);
    truncateSync(last, keptBytes);
    const torn = lines[count] ?? '';
    if (name.startsWith('power tears')) writeFileSync(last, torn.slice(0, torn.length / 2), { flag: 'a' });
    if (name.startsWith('power zeroes')) truncateSync(last, whole.length);
  }

  protected override async compare(): Promise<void> {
    const { state } = this.beside;
    const { directory } = this.#place;
    for (const { number, lines } of state.segments) {
      const found = readFileSync(join(directory, segmentName(number)), 'utf8')
        .split('\n')
        .slice(0, -1);
      assert.deepEqual(found.map(labelOf), lines, `lines of segment ${number}`);
    }
    assert.deepEqual(this.#sent, state.sent, 'commands that left');
    if (state.at !== 'up' || this.#life === undefined) return;
    const { ring, reader, driver } = this.#life;
    const left: string[] = [];
    reader.walk(reader.tail ?? 0, reader.head ?? 0, ({ body }) => {
      left.push(labelOf(`{${body.toString()}}`));
    });
    assert.deepEqual(left, state.ring, 'records in the ring');
    assert.equal(driver.mark.position <= (reader.tail ?? 0) && ring.tail <= (reader.tail ?? 0), true);
    if (!this.#isStarted) return;
    this.#isStarted = false;
    const { faults } = await verdictOf(this.#place, this.#place.state);
    assert.deepEqual(faults, []);
  }
}

/** The journal's thread in this one: an order is carried out where it is given, and its report is read later. */
class SameThread implements Pick<WriterThread, 'give' | 'ring' | 'mark' | 'end' | 'isAlive' | 'onBell'> {
  isAlive = true;
  onBell: WriterThread['onBell'];
  /** What ended the process within an order. */
  thrown: unknown;
  /** As in the memory that both threads share. */
  laid: Mark;
  readonly #mail: (() => void)[];
  readonly #carryOut: (order: Order) => Report;

  constructor(opened: Opened, mail: (() => void)[], carryOut: (order: Order) => Report) {
    this.laid = opened.mark;
    this.#mail = mail;
    this.#carryOut = carryOut;
  }

  give(order: Order, told: (report: Report) => void): void {
    let report: Report;
    try {
      report = this.#carryOut(order);
    } catch (error) {
      // The driver's promises must not hide it.
      this.thrown = error;
      return;
    }
    this.#mail.push(() => told(report));
  }

  /** The bell is a step of its own. */
  ring(): void {}

  mark(): Mark {
    return this.laid;
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}
