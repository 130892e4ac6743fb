// Bytes, times and counts in the sentences of problems.

import { formatCount } from '../audit/encode.js';
import { formatTime } from '../audit/record.js';

export function freeOf(freeBytes: number | undefined): string {
  return freeBytes === undefined ? '' : ` (${bytesOf(freeBytes)} free)`;
}

function bytesOf(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ''}`;
}

export function durationOf(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** A placeholder: the page and `dovegate status` show the time in the reader's own form. */
export function timeOf(ms: number): string {
  return `{${formatTime(ms)}}`;
}

export function plural(count: number, word: string, words = `${word}s`): string {
  return `${formatCount(count)} ${count === 1 ? word : words}`;
}
