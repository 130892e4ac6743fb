// How far a receiver certainly is, and where that is kept. Syslog has no acknowledgement, so what was sent last may be lost in the buffers
// of both sides and is sent again after a reconnect; a stream may acknowledge what is not on its disk yet. A record is safe when it was
// sent so long ago and so many bytes ago, whichever reaches further back. A file that is not exactly what was written here counts for
// nothing, and everything is sent again.
//
//   {"sink":"logs.example.com:6514","journal":"<32 hex>","segment":12,"bytes":4711,"seq":90210,"hash":"<64 hex>"}

import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { readOwnJson, replaceFile, syncFolder } from '../../host/machine/regular-file.js';
import { safePosition } from '../../rules/config/receiver.js';
import type { Position } from './follow.js';

/** One position a second is kept, so that minutes of the fastest journal use little memory. */
const markIntervalMs = 1000;

interface Mark {
  readonly beganMs: number;
  /** The last position of its second, its send time, and the total of bytes sent up to it. */
  position: Position;
  sentMs: number;
  bytes: number;
}

export function createOverlap(limits: { readonly ms: number; readonly bytes: number }, from: Position) {
  let sentBytes = 0;
  let sentSeq = from.seq;
  let marks: Mark[] = [markOf(from)];
  return {
    /** Everything up to a position was sent. Repeated records change nothing. `nowMs` must be monotonic. */
    note(position: Position, bytes: number, nowMs: number): void {
      if (position.seq <= sentSeq) return;
      sentSeq = position.seq;
      sentBytes += bytes;
      const last = marks.at(-1);
      if (last === undefined || nowMs - last.beganMs >= markIntervalMs) {
        marks.push({ beganMs: nowMs, position, sentMs: nowMs, bytes: sentBytes });
      } else Object.assign(last, { position, sentMs: nowMs, bytes: sentBytes });
    },
    /** The position after the last safe record. */
    safe(nowMs: number): Position {
      const isSafe = ({ sentMs, bytes }: Mark): boolean =>
        nowMs - sentMs >= limits.ms && sentBytes - bytes >= limits.bytes;
      const at = marks.findLastIndex(isSafe);
      if (at > 0) marks = marks.slice(at);
      return marks[0]?.position ?? from;
    },
    /** Forgets the sent positions: the journal holds other records now. */
    reset(position: Position): void {
      sentBytes = 0;
      sentSeq = position.seq;
      marks = [markOf(position)];
    },
    get sentSeq(): number {
      return sentSeq;
    },
  };
}

function markOf(position: Position): Mark {
  return { beganMs: -Infinity, position, sentMs: -Infinity, bytes: 0 };
}

export interface KeptPosition {
  readonly journal: string;
  readonly position: Position;
}

const kept = safePosition.extend({ sink: z.string(), journal: z.string() });

export type PositionFile = ReturnType<typeof createPositionFile>;

/** A file in a directory that is made for the first position; `sink` is `HOST:PORT`, or the path of a file. */
export function createPositionFile(directory: string, sink: string) {
  const path = join(directory, `ship-${sink.startsWith('/') ? wordOfPath(sink) : wordOf(sink)}.json`);
  return {
    /** Undefined: nothing was ever shipped there. Rejects with the system's error, or for a foreign file. */
    async load(): Promise<KeptPosition | undefined> {
      const found = await readOwnJson(path, kept);
      if (found === undefined) return undefined;
      const { sink: of, journal, ...position } = found;
      if (of !== sink) throw new Error(`${path} holds no position of ${sink}`);
      return { journal, position };
    },
    /** On disk when it resolves, also after a power cut; rejects with the system's error. One call at a time. */
    async save({ journal, position }: KeptPosition): Promise<void> {
      await replaceFile(path, `${JSON.stringify({ sink, journal, ...position })}\n`);
    },
    /** Nothing is safe any more; as `save`. */
    async clear(): Promise<void> {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await rm(path, { force: true });
      await syncFolder(directory);
    },
  };
}

const wordOf = (text: string): string => text.replaceAll(/[^A-Za-z0-9.-]/g, '_');

/** The end of the path, for people, and a hash: without slashes paths look alike, and a long one is no name of a file. */
function wordOfPath(path: string): string {
  return `${wordOf(path).slice(-64)}-${createHash('sha256').update(path).digest('hex').slice(0, 16)}`;
}
