// A search's filter as it comes over a socket: its keys, and its words in the record of the look. No schema: each subcommand loads this.

import { formatTime } from '../../host/words/instants.js';
import type { TrailFilter } from './trail-filter.js';

export const filterTexts = [
  ...(['user', 'principal', 'command', 'listener', 'backend', 'policy', 'effect', 'outcome'] as const),
  ...(['would', 'shadow', 'id', 'session', 'grant', 'by', 'kind', 'reason', 'text'] as const),
] as const;
export const filterTimes = ['sinceMs', 'untilMs'] as const;

export function pickFilter(filter: TrailFilter): TrailFilter {
  const picked: Record<string, string | number> = {};
  for (const key of [...filterTexts, ...filterTimes]) {
    const value = filter[key];
    if (value !== undefined) picked[key] = value;
  }
  return picked;
}

/** A filter as words of a command line, for the record of the look. */
export function formatFilter(filter: TrailFilter): string[] {
  const words: string[] = [];
  for (const key of filterTexts) if (filter[key] !== undefined) words.push(`${key}=${filter[key]}`);
  for (const key of filterTimes)
    if (filter[key] !== undefined) words.push(`${key.slice(0, -2)}=${formatTime(filter[key])}`);
  return words;
}
