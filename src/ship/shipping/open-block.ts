// The lines of the block that is open, in one piece of memory, and what is known of them without reading them twice.

import { linesOf } from '../../evidence/store/block.js';
import { contentOf } from '../../evidence/story/content.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { Clock } from '../../host/ports/machine.js';
import { parseLine } from '../../host/values/values.js';
import { readHead, readWord } from '../../journal/records/record.js';
import { beginning, type Position } from './follow.js';

/** Records that the gate makes by itself. */
const ownEvents: ReadonlySet<string> = new Set(['checkpoint', 'clock', 'retire']);
const urgentEvents: ReadonlySet<string> = new Set(['access', 'lock', 'reload']);

export function createOpenBlock(clock: Clock) {
  const bytesMax = bounds.storeBlockBytes;
  let room: Buffer | undefined;
  let bytes = 0;
  let lookedBytes = 0;
  let sinceMs = 0;
  let lookedMs = 0;
  let position = beginning;
  let urgentSinceMs: number | undefined;
  let isOwn = true;

  return {
    get bytes() {
      return bytes;
    },
    get position() {
      return position;
    },
    get sinceMs() {
      return sinceMs;
    },
    /** Since when it has a record that somebody will want to see soon. */
    get urgentSinceMs() {
      return urgentSinceMs;
    },
    /** It has the gate's own records only. */
    get isOwn() {
      return isOwn;
    },
    get lookedMs() {
      return Math.max(sinceMs, lookedMs);
    },
    /** A block has no holes. */
    hasRoom: (first: number, more: number): boolean =>
      bytes === 0 || (first === position.seq + 1 && bytes + more <= bytesMax),
    add(text: Buffer, after: Position): void {
      room ??= Buffer.allocUnsafe(bytesMax);
      if (bytes === 0) sinceMs = clock.now();
      bytes += text.copy(room, bytes);
      position = after;
    },
    /** Examines its new lines, each once; `urgentSinceMs` and `isOwn` are about examined lines. */
    look(): void {
      lookedMs = clock.now();
      for (const line of linesOf(this.text.subarray(lookedBytes))) {
        const record = line.toString();
        const event = readHead(record)?.event ?? '';
        if (!ownEvents.has(event)) isOwn = false;
        if (urgentSinceMs === undefined && isUrgent(event, record)) urgentSinceMs = lookedMs;
      }
      lookedBytes = bytes;
    },
    /** Valid until the next call. */
    get text(): Buffer {
      return (room ?? Buffer.alloc(0)).subarray(0, bytes);
    },
    clear(): void {
      bytes = 0;
      lookedBytes = 0;
      urgentSinceMs = undefined;
      isOwn = true;
    },
  };
}

/** It destroys, administers, gives content out, or says who may do what. */
function isUrgent(event: string, line: string): boolean {
  if (urgentEvents.has(event)) return true;
  if (event !== 'admission') return false;
  const effect = readWord(line, 'effect');
  if (effect === 'destroy' || effect === 'admin') return true;
  const record = effect === 'read' ? parseLine(line) : undefined;
  return record !== undefined && contentOf(record) !== undefined;
}
