// Records that are a database, read back: each key by its form in the table of keys. A journal may have been damaged, or be of somebody who
// writes to the disk, so a value of another form is left out and named; whoever folds the records decides what stands then.

import * as z from 'zod';
import { bounds } from '../../../bounds/bounds.js';
import { type Form, type RecordKey, recordKeys, rowOf } from './keys.js';
import { type AuditRecord, asTimeMs, isDistanceMs, msMax, parseTime } from './record.js';

export type Followed = Readonly<Partial<Record<RecordKey | 'time' | 'event', unknown>>>;

export interface ReadState<Event extends AuditRecord['event']> {
  /** A carried record is the one that was carried. */
  readonly record: AuditRecord & { readonly event: Event };
  /** Keys whose values are of another form, or cut where they must be whole. */
  readonly faults: readonly RecordKey[];
}

const whole = z.string().max(bounds.recordBytes);
/** A text whose record had no room for all of it: its beginning. */
const text = z.union([whole, z.object({ cut: whole }).transform(({ cut }) => `${cut}…`)]);
const number = z.number().min(-msMax).max(msMax);
const natural = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const member = z.union([text, z.number(), z.boolean()]).optional();

const forms: Readonly<Record<Form, z.ZodType>> = {
  count: natural,
  ms: number.min(0),
  step: number,
  flag: z.boolean(),
  true: z.literal(true),
  time: whole.refine((each) => parseTime(each) !== undefined),
  digest: whole,
  texts: z.array(whole),
  args: z.array(z.union([whole, z.object({ hmac: whole })])),
  parts: z.array(z.unknown()),
  lost: z.union([natural, z.literal('unknown')]),
};

/** What one is found, judged or compared by. */
const names: readonly RecordKey[] = [
  ...(['lock', 'to', 'user', 'backend', 'listener', 'request', 'grant', 'policy', 'principal'] as const),
  ...(['action', 'by'] as const),
];
const own: Partial<Record<RecordKey, z.ZodType>> = {
  ...Object.fromEntries(names.map((key) => [key, whole])),
  scope: z.enum(['command', 'user']),
  case: z.literal('keep'),
  bound: z.object({
    rule: whole.optional(),
    line: whole.optional(),
    login: whole.optional(),
    credential: whole.optional(),
    uid: natural.optional(),
  }),
};

function shapeOf(key: RecordKey): z.ZodType {
  const { form, members } = rowOf(key);
  if (form !== undefined) return forms[form];
  return members === undefined ? text : z.record(z.string(), member);
}

const shapes = new Map(recordKeys.map((key) => [key, own[key] ?? shapeOf(key)]));

/** Never throws. */
export function readState<Event extends AuditRecord['event']>(raw: Followed, event: Event): ReadState<Event> {
  const kept: Record<string, unknown> = {};
  const faults: RecordKey[] = [];
  for (const [key, shape] of shapes) {
    const value = raw[key];
    if (value === undefined || key === 'carried' || key === 'at') continue;
    const found = shape.safeParse(value);
    if (found.success) kept[key] = found.data;
    // Arguments may be cut: who needs them looks whether they are there.
    else if (key !== 'args' || !Array.isArray(value)) faults.push(key);
  }
  const time = raw.at ?? raw.time;
  const timeMs = asTimeMs(time) ?? time;
  return { record: { ...kept, time: isDistanceMs(timeMs) ? timeMs : 0, event }, faults };
}

/** The texts of a list that is damaged. */
export function textsLeft(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => whole.safeParse(each).success) : [];
}
