// The one place where seq and chain are given and bytes reach the disk. Carries out orders synchronously, in a thread
// that may wait for the disk. It knows neither time (it comes with each order) nor who waits for a record.
// The rule: after any failure nothing is written to that segment again. The kernel may have dropped its pages, so what
// lies behind the mark is cut off and written once more to a new segment, by the order `heal`.

import { closeSync, fdatasyncSync, fstatSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { journalFormat, sealLine } from '../audit/chain.js';
import { encodeBody } from '../audit/encode.js';
import { parseLine, readHead } from '../audit/line.js';
import type { JournalRecord } from '../audit/record.js';
import { JournalFault } from '../engine/journal-fault.js';
import type { Mark, Order, Report, WriterOptions } from './messages.js';
import { findTail, noteExchange, type OpenExchanges, type Tail } from './recover.js';
import {
  createSegment,
  isSameFile,
  listSegments,
  lockName,
  makeDirectory,
  openLock,
  openSegment,
  segmentName,
  segmentNumber,
} from './segments.js';
import { cutBehind, putAside } from './torn.js';

export interface Writer {
  /** Never throws: what goes wrong is a report. */
  carryOut(order: Order): Report;
}

/** An open file, by what its name must lead to as long as it counts. */
interface Held {
  readonly descriptor: number;
  readonly device: number;
  readonly inode: number;
}

/** The segment that is written to. */
interface OpenFile extends Held {
  readonly number: number;
  readonly name: string;
  bytes: number;
}

interface Chain {
  readonly journal: string;
  seq: number;
  hash: string;
  stepsMs: number;
  open: OpenExchanges;
}

/** `journal`: the id that a new journal gets. */
export function createWriter(options: WriterOptions, journal: string): Writer {
  const { directory, segmentBytes, program, catalog } = options;
  let lock: Held | undefined;
  let candidate: Held | undefined;
  let file: OpenFile | undefined;
  let mark: Mark | undefined;
  let chain: Chain = { journal, seq: 0, hash: '', stepsMs: 0, open: new Map() };

  return {
    carryOut(order) {
      try {
        return perform(order);
      } catch (error) {
        closeFile();
        if (error instanceof JournalFault) {
          return { kind: 'failed', code: error.code, message: error.message };
        }
        return { kind: 'failed', code: 'write-failed', message: String(error) };
      }
    },
  };

  function perform(order: Order): Report {
    switch (order.do) {
      case 'open': {
        const missing = needLock(order.lock);
        return missing ?? open(order.wallMs);
      }
      case 'heal': {
        const missing = needLock(order.lock);
        return missing ?? heal(order);
      }
      case 'write':
        write(order.bodies, order.wallMs);
        return { kind: 'written', mark: order.sync ? sync() : undefined };
      case 'checkpoint':
        write([encodeBody(checkpoint(order.wallMs))], order.wallMs);
        return { kind: 'written', mark: sync() };
      case 'stop': {
        write([encodeBody({ time: order.wallMs, event: 'stop' })], order.wallMs);
        const last = sync();
        closeFile();
        if (lock !== undefined) closeSync(lock.descriptor);
        lock = undefined;
        return { kind: 'stopped', mark: last };
      }
      default:
        return order satisfies never;
    }
  }

  /** Undefined: the lock is held, and on the file that stands there now. Else the descriptor that must be locked first. */
  function needLock(taken: number | undefined): Report | undefined {
    makeDirectory(directory);
    const path = join(directory, lockName);
    if (taken !== undefined && taken === candidate?.descriptor) {
      if (lock !== undefined) closeSync(lock.descriptor);
      lock = candidate;
      candidate = undefined;
    }
    if (lock !== undefined && isSameFile(path, lock)) return undefined;
    if (candidate !== undefined && !isSameFile(path, candidate)) {
      closeSync(candidate.descriptor);
      candidate = undefined;
    }
    candidate ??= held(openLock(directory));
    return { kind: 'lock', descriptor: candidate.descriptor };
  }

  function open(wallMs: number): Report {
    let tail = findTail(directory);
    const torn = putAside(directory, tail);
    if (torn !== undefined) tail = findTail(directory);
    follow(tail, wallMs);
    // One completion after the other: there may be more of them than a message should hold.
    const unknown = [...chain.open];
    for (const [id, { session }] of unknown) {
      const record: JournalRecord = { time: wallMs, event: 'completion', session, id, outcome: 'unknown' };
      write([encodeBody({ ...record, error: 'stopped' })], wallMs);
    }
    const names = { journal: chain.journal, format: journalFormat, program, catalog: catalog || undefined };
    write([encodeBody({ time: wallMs, event: 'start', ...names, torn })], wallMs);
    const found = { journal: chain.journal, unknown: unknown.length, tornBytes: torn?.bytes ?? 0 };
    return { kind: 'opened', mark: sync(), found };
  }

  /** Goes on where the tail ends: in its segment, or in a new one when that is full or compressed or there is none. */
  function follow(tail: Tail, wallMs: number): void {
    const { seq, hash, stepsMs, open: left } = tail;
    chain = { journal: tail.journal ?? journal, seq, hash, stepsMs, open: left };
    if (tail.segment !== undefined && !tail.segment.isCompressed && tail.bytes < segmentBytes) {
      file = adopt(tail.segment.number, openSegment(directory, tail.segment.name), tail.bytes);
      return;
    }
    begin(tail.nextNumber, tail.segment?.name, wallMs, {});
  }

  function write(bodies: readonly string[], wallMs: number): void {
    let text = '';
    let textBytes = 0;
    for (const body of bodies) {
      const bodyBytes = Buffer.byteLength(body) + 192;
      if (fileNow().bytes + textBytes + bodyBytes > segmentBytes && fileNow().bytes + textBytes > 1024) {
        writeAll(text);
        text = '';
        textBytes = 0;
        rotate(wallMs);
      }
      const sealed = sealLine(chain.seq + 1, body, chain.hash);
      chain.seq += 1;
      chain.hash = sealed.hash;
      note(body);
      text += sealed.line;
      textBytes += bodyBytes;
    }
    writeAll(text);
  }

  /** What a restart must know: exchanges under way, and how far the wall clock leapt. */
  function note(body: string): void {
    const text = `,${body}`;
    noteExchange(chain.open, chain.seq, text);
    if (readHead(text)?.event !== 'clock') return;
    const step = parseLine(`{${body}}`)?.['step_ms'];
    if (typeof step === 'number') chain.stepsMs += step;
  }

  function writeAll(text: string): void {
    const target = fileNow();
    const bytes = Buffer.from(text);
    // A short write is no error yet: the next one says what is wrong.
    for (let at = 0; at < bytes.length; ) at += writeSync(target.descriptor, bytes, at, bytes.length - at);
    target.bytes += bytes.length;
  }

  /** Everything written so far is on disk, in files that are still in their place, when this returns. */
  function sync(): Mark {
    const target = fileNow();
    fdatasyncSync(target.descriptor);
    // A file that was removed or replaced takes bytes and syncs without a word: only its name tells.
    const found = statSync(join(directory, target.name), { throwIfNoEntry: false });
    if (found === undefined || found.ino !== target.inode || found.dev !== target.device) {
      throw new JournalFault('removed', `${target.name} was removed or replaced`);
    }
    if (found.size !== target.bytes) {
      throw new JournalFault(
        'removed',
        `${target.name} has ${found.size} bytes where ${target.bytes} were written`,
      );
    }
    if (lock === undefined || !isSameFile(join(directory, lockName), lock)) {
      throw new JournalFault('removed', 'the lock file was removed or replaced');
    }
    const { device, inode, bytes, name } = target;
    const { seq, hash, stepsMs } = chain;
    mark = { segment: name, device, inode, bytes, seq, hash, journal: chain.journal, stepsMs };
    return mark;
  }

  function rotate(wallMs: number): void {
    const { number, name } = fileNow();
    sync();
    closeFile();
    begin(number + 1, name, wallMs, {});
  }

  /** A new segment; its first record names the one before. Synced, so that the mark never lies in an older segment. */
  function begin(
    number: number,
    before: string | undefined,
    wallMs: number,
    more: Partial<JournalRecord>,
  ): void {
    const name = segmentName(number);
    file = adopt(number, createSegment(directory, name), 0);
    // The first record of a whole journal is the start record, which has all of this anyway.
    if (before === undefined) return;
    const oldest = chain.open.values().next().value?.seq ?? chain.seq + 1;
    const place = { segment: before, segment_hash: chain.hash, open_seq: oldest, steps_ms: chain.stepsMs };
    write([encodeBody({ ...checkpoint(wallMs), ...place, ...more })], wallMs);
    sync();
  }

  function checkpoint(wallMs: number): JournalRecord {
    const names = { journal: chain.journal, format: journalFormat, program };
    return { time: wallMs, event: 'checkpoint', ...names, head: chain.hash };
  }

  function heal(order: Order & { readonly do: 'heal' }): Report {
    closeFile();
    const target = order.mark;
    cutBehind(directory, target);
    const left = mark === undefined ? findTail(directory).open : chain.open;
    const { seq, hash, stepsMs } = target;
    chain = { journal: target.journal, seq, hash, stepsMs, open: left };
    mark = target;
    const last = listSegments(directory).at(-1)?.number ?? 0;
    const number = Math.max(last, segmentNumber(target.segment)) + 1;
    const more = { action: 'recover', count: order.bodies.length, lost: order.lost };
    begin(number, target.segment, order.wallMs, more);
    write(order.bodies, order.wallMs);
    return { kind: 'written', mark: sync() };
  }

  function fileNow(): OpenFile {
    if (file === undefined) throw new JournalFault('write-failed', 'no segment is open');
    return file;
  }

  function closeFile(): void {
    if (file === undefined) return;
    const { descriptor } = file;
    file = undefined;
    try {
      closeSync(descriptor);
    } catch {
      // The failure that brought us here has been told; this one adds nothing.
    }
  }
}

function adopt(number: number, descriptor: number, bytes: number): OpenFile {
  return { number, name: segmentName(number), ...held(descriptor), bytes };
}

function held(descriptor: number): Held {
  const found = fstatSync(descriptor);
  return { descriptor, device: found.dev, inode: found.ino };
}
