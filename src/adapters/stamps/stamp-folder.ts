// A folder of stamps: for each day `DATE.tsr`, the answer of the authority, and `DATE.jsonl`, the line that it stamps with its LF, so that
// `openssl ts -verify` needs nothing else.

import { existsSync, readdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bounds } from '../../bounds/bounds.js';
import { readRegular, replaceFile } from '../host/regular-file.js';

const form = /^(\d{4}-\d\d-\d\d)\.tsr$/;

/** Rejects with the system's error. */
export async function stampDays(folder: string): Promise<string[]> {
  try {
    return daysOf(await readdir(folder));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

export function hasStamp(folder: string, day: string): boolean {
  return existsSync(join(folder, stampName(day)));
}

/**
 * On disk when it resolves, also after a power cut. Removes the oldest beyond the bound. `write`: puts a file into its place, whole.
 * Rejects with the system's error.
 */
export async function storeStamp(
  folder: string,
  { day, line, answer }: { readonly day: string; readonly line: Buffer; readonly answer: Buffer },
  write: (path: string, bytes: Buffer) => Promise<void> = replaceFile,
): Promise<void> {
  // The line first: a stamp without its line proves nothing.
  await write(join(folder, lineName(day)), line);
  await write(join(folder, stampName(day)), answer);
  for (const old of (await stampDays(folder)).slice(0, -bounds.stampDays))
    for (const name of [stampName(old), lineName(old)]) await rm(join(folder, name), { force: true });
}

export interface StoredStamp {
  readonly day: string;
  /** Names within the folder. */
  readonly file: string;
  readonly answer: Buffer;
  /** Undefined: it is not there, or cannot be read. */
  readonly line: Buffer | undefined;
}

/** The newest days in their order, one at a time. Throws the system's error for a folder that cannot be read. */
export function* readStamps(folder: string, daysMax: number = bounds.stampDays): Generator<StoredStamp> {
  const read = (name: string, bytesMax: number): Buffer | undefined => {
    try {
      return readRegular(join(folder, name), bytesMax);
    } catch {
      return undefined;
    }
  };
  for (const day of daysOf(readdirSync(folder)).slice(-daysMax)) {
    // An empty answer is no stamp. A line of a verifier names all hosts.
    const answer = read(stampName(day), bounds.stampAnswerBytes) ?? Buffer.alloc(0);
    yield { day, file: stampName(day), answer, line: read(lineName(day), bounds.fleetCheckpointBytes) };
  }
}

function daysOf(names: readonly string[]): string[] {
  return names.flatMap((name) => form.exec(name)?.[1] ?? []).toSorted();
}

function stampName(day: string): string {
  return `${day}.tsr`;
}

function lineName(day: string): string {
  return `${day}.jsonl`;
}
