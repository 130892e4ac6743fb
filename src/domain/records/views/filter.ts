// A search's filter as it comes over a socket: its keys, its shape, and its words in the record of the look.

import * as z from 'zod';
import { bounds } from '../../../bounds/bounds.js';
import { distanceMs, text } from '../../language/seams/shape.js';
import { formatTime } from '../audit/record.js';
import { rowKinds } from '../story/row.js';
import type { TrailFilter } from '../trail/search.js';

export const filterTexts = [
  ...(['user', 'principal', 'command', 'listener', 'backend', 'policy', 'effect', 'outcome'] as const),
  ...(['would', 'shadow', 'id', 'session', 'grant', 'by', 'kind', 'text'] as const),
] as const;
export const filterTimes = ['sinceMs', 'untilMs'] as const;

const filterText = text(bounds.lookTextChars).optional();

export const trailFilter = z.strictObject(
  {
    ...keyed(filterTexts, filterText),
    kind: z.enum([...rowKinds, 'all']).optional(),
    ...keyed(filterTimes, distanceMs.optional()),
  },
  {
    error: ({ code }) =>
      code === 'unrecognized_keys' ? 'has a key that no filter has' : 'must be an object',
  },
);

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

function keyed<const Key extends string, Part>(keys: readonly Key[], part: Part): Record<Key, Part> {
  const shape: Partial<Record<Key, Part>> = {};
  for (const key of keys) shape[key] = part;
  return Object(shape);
}
