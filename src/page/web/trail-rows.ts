// Rows of the trail as a screen shows them: columns, values of records as people read them, and what was looked through.

import {
  allUsers,
  backendOf,
  countedWords,
  deedOf,
  isExchange,
  isOfTrouble,
  kindOf,
  outcomeOf,
  requesterOf,
  shownEffect,
  type TrailContent,
} from '../../evidence/story/row.js';
import type { Destroyed, TrailEnd, TrailRow } from '../../evidence/views/trail.js';
import { countedForOf } from '../../gate/outcome/class.js';
import { asList } from '../../host/values/values.js';
import { countWords, plural } from '../../host/words/words.js';
import { textIn, valueText } from '../../journal/records/stored.js';
import type { Parsed, QueryKey } from './trail-query.js';
import { withoutEnd } from './words.js';

export type ShownRow = TrailRow & {
  readonly content?: TrailContent | undefined;
  readonly why?: string | undefined;
};

const usual = ['time', 'principal', 'user', 'command', 'effect', 'outcome', 'backend'];

/** The last usual column: why for commands that did not go well, how many mails for those that destroy, for others how long it took. */
export function lastColumnOf({ outcome, effect }: Parsed['filter']): string {
  return isOfTrouble(outcome) ? 'text' : effect === 'destroy' ? 'matches' : 'ms';
}

/** `text`: names from the address, with commas; unknown ones are left out. `last`: as `lastColumnOf` has it. */
export function columnsOf<Column extends { readonly id: string }>(
  all: readonly Column[],
  text: string | null,
  last: string,
): readonly Column[] {
  const ofSearch = [...usual, last];
  const chosen = all.filter(({ id }) => (text?.split(',') ?? ofSearch).includes(id));
  return chosen.length > 0 ? chosen : all.filter(({ id }) => ofSearch.includes(id));
}

/** For the address; null: the usual ones. */
export function columnsText(columns: readonly { readonly id: string }[], last: string): string | null {
  const text = columns.map(({ id }) => id).join(',');
  return text === [...usual, last].join(',') ? null : text;
}

/** A command and its arguments, without the `--` that ends the options; for other records, what was done. */
export function commandText({ fields, why }: Pick<ShownRow, 'fields' | 'why'>): string {
  const { command, args } = fields;
  if (!isOfCommand({ fields })) return deedOf(fields, why);
  const list = asList(args);
  const counted = countedWords({ countedFor: countedForOf(fields) });
  const words = [command, list === undefined ? args : withoutEnd(list)].map(valueText);
  return [...words, counted && `(${counted})`].join(' ').trim();
}

/** Whether it is a command, or a step of access to one; other records are shown as sentences. */
export function isOfCommand({ fields }: Pick<TrailRow, 'fields'>): boolean {
  return isExchange(fields) || kindOf(fields) === 'access';
}

/** The mail users of a command: its own, those it touches, or all of them. */
export function usersText({ fields: { user, users } }: TrailRow): string {
  if (asList(users)?.includes('*') === true) return allUsers;
  return valueText(user) || valueText(users);
}

export function textOf(row: ShownRow, key: string): string {
  if (key === 'principal') return requesterOf(row);
  if (key === 'backend') return backendOf(row);
  return valueText(key === 'text' ? (row.why ?? row.fields[key]) : row.fields[key]);
}

/** The value to search for in order to find rows like this one; empty: there is none. */
export function queryValue(row: ShownRow, key: QueryKey): string {
  if (key === 'outcome') return outcomeOf(row);
  if (key === 'effect') return shownEffect(textIn(row.fields, key), row.content);
  if (key === 'principal') return requesterOf(row);
  if (key === 'backend') return backendOf(row);
  return textIn(row.fields, key);
}

/** What a screen opens for a row: the id of a command, else the seq of the record; undefined: neither is known. */
export function wantedOf({ fields, admittedSeq }: TrailRow): string | undefined {
  const id = textIn(fields, 'id');
  if (isExchange(fields) && /^[0-9A-Za-z-]{1,64}$/.test(id)) return id;
  return admittedSeq === undefined ? undefined : String(admittedSeq);
}

export function knownValues(rows: readonly TrailRow[]): Partial<Record<QueryKey, readonly string[]>> {
  const known: Partial<Record<QueryKey, readonly string[]>> = {};
  for (const key of ['user', 'command', 'principal', 'listener', 'backend', 'policy', 'session'] as const) {
    const values = rows.flatMap(({ fields }) => {
      const value = textIn(fields, key);
      return value !== '' && value.length < 200 ? [value] : [];
    });
    known[key] = [...new Set(values)].toSorted();
  }
  return known;
}

export interface Looked {
  readonly records: number;
  readonly fromTime: string | undefined;
  readonly toTime: string | undefined;
}

/** `before`: of the pages so far. */
export function lookedWith(before: Looked | undefined, { looked }: TrailEnd): Looked | undefined {
  if (looked === undefined) return before;
  const records = Math.max(0, looked.toSeq - looked.fromSeq + 1);
  return {
    records: (before?.records ?? 0) + records,
    fromTime: looked.fromTime ?? before?.fromTime,
    toTime: before?.toTime ?? looked.toTime,
  };
}

/** `For these rows 1,234 records were looked through from {...} to {...}.` Times are marked. `isSince`: only records since a time. */
export function lookedText(looked: Looked | undefined, isThrough: boolean, isSince = false): string {
  if (looked === undefined) return 'The journal holds no records of that time.';
  const { records, fromTime, toTime } = looked;
  const range = fromTime === undefined || toTime === undefined ? '' : ` from {${fromTime}} to {${toTime}}`;
  const left = isSince ? 'older ones were not asked for' : 'nothing older is left';
  const end = isThrough ? `; ${left}` : '';
  return `For these rows ${plural(records, 'record was', 'records were')} looked through${range}${end}.`;
}

/** Empty: nothing was destroyed. Never more certain than a count before the command can be. */
export function destroyedWords({ commands, mailsMax, mails, uncounted }: Destroyed): string {
  const known =
    commands > 0 &&
    `${plural(commands, 'command')} named at most ${plural(mailsMax, 'mail')}, and destroyed ${countWords(mails)}, as counted before`;
  const unknown =
    uncounted > 0 && `of ${plural(uncounted, 'command')} it is not known: Dovecot was not asked`;
  const parts = [known, unknown].filter((part) => part !== false);
  return parts.length === 0 ? '' : `Mails destroyed: ${parts.join('; ')}.`;
}

export function retiredTexts(retired: NonNullable<TrailEnd['retired']>): string[] {
  const texts = retired.map(({ segments, until, by }) => {
    const cause =
      by === undefined ? '' : by === 'size' ? ' by size (audit.max_size)' : ' by age (audit.keep)';
    const when = until === undefined ? 'Older records' : `Records before {${until}}`;
    return `${when} were removed${cause}: ${plural(segments, 'segment')}.`;
  });
  return [...new Set(texts)];
}
