// Parts of the schemas for messages between our own processes, and for files that a program reads again. The type of each is inferred from
// its schema. The writer may have been taken over, or may have written only a part, so each number has a range.

import * as z from 'zod';
import { msMax, parseTime } from '../words/instants.js';

/** A number of things, a size, or a seq. */
export const count = whole('must be a whole number from 0 on', Number.MAX_SAFE_INTEGER);

export const spanMs = number(0, msMax);

/** Milliseconds from now to an end, which may be over; or from 1970 to an instant, which may be before. */
export const distanceMs = number(-msMax, msMax);

export const timeMs = whole('must be a time in milliseconds since 1970', msMax);

export const time = z.string().refine((each) => parseTime(each) !== undefined, {
  error: 'must be a time like 2026-11-20T08:22:34.123Z',
});

/** The uid of a process, as the kernel reports it. */
export const uid = whole('must be the number of a user', 0xffff_ffff);

export function text(charsMax: number) {
  const error = `must be a text of at most ${charsMax} characters`;
  return z.string({ error }).max(charsMax, { error });
}

/** Checked by one predicate, for lists that may be long: zod would report each item that does not fit. */
export function listOf<T>(most: number, isItem: (value: unknown) => value is T, error: string) {
  return z.custom<readonly T[]>(
    (value) => Array.isArray(value) && value.length <= most && value.every(isItem),
    { error },
  );
}

/** For a call without arguments. */
export const nothing = z.unknown().transform((): undefined => undefined);

function whole(error: string, to: number) {
  return z.int({ error }).min(0, { error }).max(to, { error });
}

function number(from: number, to: number) {
  const error = `must be milliseconds, from ${from} to ${to}`;
  return z.number({ error }).min(from, { error }).max(to, { error });
}
