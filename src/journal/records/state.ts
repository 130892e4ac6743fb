// Reads back the records that serve as a database, each key by its form in the table of keys. A journal may be damaged or forged, so a
// value of another form is left out and named; the book that follows the records decides what that means.

import { bounds } from '../../host/bounds/bounds.js';
import { isCount, isObject } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { type Form, type RecordKey, recordKeys, rowOf } from './keys.js';
import { type AuditRecord, asTimeMs, isDistanceMs } from './record.js';

export type Followed = Readonly<Partial<Record<RecordKey | 'time' | 'event', unknown>>>;

export interface ReadState<Event extends AuditRecord['event']> {
  /** For a carried record: the original, with its own time. */
  readonly record: AuditRecord & { readonly event: Event };
  /** Keys whose values are of another form, or cut where they must be whole. */
  readonly faults: readonly RecordKey[];
}

/** Returns the usable value; undefined: it has another form. */
type Shape = (value: unknown) => unknown;

const where =
  (isShape: (value: unknown) => boolean): Shape =>
  (value) =>
    isShape(value) ? value : undefined;
const isWhole = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= bounds.recordBytes;
const whole = where(isWhole);
const list = (isItem: (value: unknown) => boolean): Shape =>
  where((value) => Array.isArray(value) && value.every(isItem));
const one = (...words: readonly unknown[]): Shape => where((value) => words.includes(value));
/** A text whose record had no room for all of it: its beginning. */
const text: Shape = (value) => (isObject(value) && isWhole(value['cut']) ? `${value['cut']}…` : whole(value));
const isMember = (value: unknown): boolean =>
  typeof value === 'boolean' || Number.isFinite(value) || text(value) !== undefined;
/** A record that was just made has members without a value; the journal leaves them out. */
const members = (isShape: (value: unknown, name: string) => boolean): Shape =>
  where(
    (value) =>
      isObject(value) &&
      Object.entries(value).every(([name, each]) => each === undefined || isShape(each, name)),
  );

const forms: Readonly<Record<Form, Shape>> = {
  text,
  count: where(isCount),
  ms: where((value) => isDistanceMs(value) && value >= 0),
  step: where(isDistanceMs),
  flag: one(true, false),
  true: one(true),
  time: where((value) => isWhole(value) && parseTime(value) !== undefined),
  digest: whole,
  texts: list(isWhole),
  args: list((each) => isWhole(each) || (isObject(each) && isWhole(each['hmac']))),
  parts: where(Array.isArray),
  lost: (value) => (value === 'unknown' ? value : where(isCount)(value)),
};

/** Keys by which records are found, judged or compared: they must be whole. */
const names: readonly RecordKey[] = [
  ...(['lock', 'to', 'user', 'backend', 'listener', 'request', 'grant', 'policy', 'principal'] as const),
  ...(['action', 'by'] as const),
];
const own: Partial<Record<RecordKey, Shape>> = {
  ...Object.fromEntries(names.map((key) => [key, whole])),
  ...Object.fromEntries((['scope', 'case'] as const).map((key) => [key, one(...(rowOf(key).words ?? []))])),
  bound: members((each, name) => {
    const form = rowOf('bound').members?.[name];
    return form === 'count' ? isCount(each) : form !== undefined && isWhole(each);
  }),
};

function shapeOf(key: RecordKey): Shape {
  const { form = 'text', members: of } = rowOf(key);
  return of === undefined ? forms[form] : members(isMember);
}

const shapes = new Map(recordKeys.map((key) => [key, own[key] ?? shapeOf(key)]));

/** Never throws. */
export function readState<Event extends AuditRecord['event']>(raw: Followed, event: Event): ReadState<Event> {
  const kept: Record<string, unknown> = {};
  const faults: RecordKey[] = [];
  for (const [key, shape] of shapes) {
    const value = raw[key];
    if (value === undefined || key === 'carried' || key === 'at') continue;
    const found = shape(value);
    if (found !== undefined) kept[key] = found;
    // Arguments may be cut: code that needs them looks whether they are there.
    else if (key !== 'args' || !Array.isArray(value)) faults.push(key);
  }
  const time = raw.at ?? raw.time;
  const timeMs = asTimeMs(time) ?? time;
  return { record: { ...kept, time: isDistanceMs(timeMs) ? timeMs : 0, event }, faults };
}

/** The readable texts of a damaged list. */
export function textsLeft(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter(isWhole) : [];
}
