// The keys of a search filter, and its words for a record. Without a schema, since each subcommand loads this file.

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
