// Where shipping stands, on disk: one small file for each receiver, replaced as a whole. It does not know what a position
// means. The rule: a file that is not exactly what was written here counts for nothing, and everything is shipped again.
//
//   {"sink":"logs.example.com:6514","journal":"<32 hex>","segment":12,"bytes":4711,"seq":90210,"hash":"<64 hex>"}

import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLine } from '../../domain/audit/line.js';
import type { Position } from './follow.js';

/** A position in the journal of that id. */
export interface KeptPosition {
  readonly journal: string;
  readonly position: Position;
}

/** The file of a receiver. */
export interface PositionFile {
  /** Undefined: nothing was ever shipped there. Rejects with what the system says, or that the file is none of ours. */
  load(): Promise<KeptPosition | undefined>;
  /** On disk when it resolves, also after a power cut; rejects with what the system says. One call at a time. */
  save(kept: KeptPosition): Promise<void>;
}

/** In a directory that is made when something is to be kept; `sink` is `HOST:PORT`. */
export function createPositionFile(directory: string, sink: string): PositionFile {
  const path = join(directory, `ship-${sink.replaceAll(/[^A-Za-z0-9.-]/g, '_')}.json`);
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw error;
      }
      const kept = readKept(text, sink);
      if (kept === undefined) throw new Error(`${path} holds no position of ${sink}`);
      return kept;
    },
    async save({ journal, position }) {
      const { segment, bytes, seq, hash } = position;
      await mkdir(directory, { recursive: true, mode: 0o700 });
      // Made afresh: a link that somebody put there would lead to another file.
      await rm(`${path}.new`, { force: true });
      const file = await open(`${path}.new`, 'wx', 0o600);
      try {
        await file.writeFile(`${JSON.stringify({ sink, journal, segment, bytes, seq, hash })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      const folder = await open(directory, 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}

function readKept(text: string, wanted: string): KeptPosition | undefined {
  const { sink, journal, segment, bytes, seq, hash } = parseLine(text) ?? {};
  if (sink !== wanted || typeof journal !== 'string' || typeof hash !== 'string') return undefined;
  if (!isCount(segment) || !isCount(bytes) || !isCount(seq)) return undefined;
  return /^[0-9a-f]{64}$/.test(hash) ? { journal, position: { segment, bytes, seq, hash } } : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
