// The rights at a socket, kept for a minute, so that repeated TABs ask the daemon once and leave one session in its journal.
// They are kept only in the folder that the system made for this user ($XDG_RUNTIME_DIR); without it, nothing is kept.

import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { systemClock } from '../../adapters/host/clock.js';
import { modeOf } from '../../adapters/host/new-files.js';
import { openRegular } from '../../adapters/host/regular-file.js';
import type { AnswerRow } from '../../domain/answers/rights.js';

const keptMs = 60_000;
const bytesMax = 1024 * 1024;

/** The rows of `dovegate can` there. Undefined: none are kept, or they are older than a minute. */
export function readKnown(socket: string): readonly AnswerRow[] | undefined {
  const path = pathFor(socket);
  if (path === undefined) return undefined;
  let descriptor: number | undefined;
  try {
    descriptor = openRegular(path);
    const { mtimeMs, size } = fstatSync(descriptor);
    const ageMs = systemClock.wallMs() - mtimeMs;
    if (ageMs < 0 || ageMs > keptMs || size > bytesMax) return undefined;
    const rows: unknown = JSON.parse(readFileSync(descriptor, 'utf8'));
    return Array.isArray(rows) && rows.every(isRow) ? rows : undefined;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Never throws: if they cannot be kept, the next word asks again. */
export function keepKnown(socket: string, rows: readonly AnswerRow[]): void {
  const path = pathFor(socket);
  const text = JSON.stringify(rows);
  if (path === undefined || Buffer.byteLength(text) > bytesMax) return;
  const made = `${path}.${process.pid}`;
  try {
    const descriptor = openSync(
      made,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      writeSync(descriptor, text);
    } finally {
      closeSync(descriptor);
    }
    renameSync(made, path);
  } catch {
    // Nothing is kept.
  }
}

function isRow(row: unknown): row is AnswerRow {
  return Array.isArray(row) && row.length === 2 && row.every((cell) => typeof cell === 'string');
}

/** Undefined: there is no folder that only this user can write to. With `su` and `sudo` the variable may name another user's. */
function pathFor(socket: string): string | undefined {
  const folder = process.env['XDG_RUNTIME_DIR'];
  if (folder === undefined || !folder.startsWith('/')) return undefined;
  const found = modeOf(folder);
  if (found === undefined || found.uid !== process.geteuid?.() || (found.mode & 0o077) !== 0)
    return undefined;
  const name = createHash('sha256').update(resolve(socket)).digest('hex').slice(0, 32);
  return join(folder, `dovegate-rights-${name}.json`);
}
