// Requests to the journal over the socket of the page, by role, and their form. Pure.
// The rules: requests read and never change anything; a request is accepted whole or refused with a sentence.

import { bounds } from '../../bounds/bounds.js';
import { formatTime, isObject, parseRequest } from '../audit/record.js';
import type { PageRole } from '../page/api.js';
import { type Exclusion, exclusionKeys } from '../page/leave-out.js';
import type { TrailFilter } from '../trail/search.js';

/** The requests; the paths are `/trail/` and the word. */
export const looks = [
  'me',
  'verify',
  'search',
  'histogram',
  'export',
  'extract',
  'report',
  'survey',
  'show',
] as const;
export type Look = (typeof looks)[number];

/** The roles for each request. Nothing here drains, kills or reloads: that needs the admin socket. */
export const mayLook: Readonly<Record<Look, readonly PageRole[]>> = {
  // The caller's identity in the daemon.
  me: ['view', 'operate', 'audit'],
  // Whether the newest part of the journal is whole: counts and times, no names.
  verify: ['view', 'operate', 'audit'],
  search: ['audit'],
  // Numbers of what a search finds.
  histogram: ['audit'],
  export: ['audit'],
  // As an export, signed.
  extract: ['audit'],
  // The rows of a report; the caller writes the report.
  report: ['audit'],
  // The extent of a search without a hit.
  survey: ['audit'],
  show: ['audit'],
};

/** The position where a search continues. */
export interface Cursor {
  /** Seq of the last record that was read. */
  readonly after: number;
  /** Seq of the admissions before it whose completion was not read yet. */
  readonly open: readonly number[];
}

/** A page of a search that begins with the newest commands. */
export interface NewestAsked {
  /** Only commands whose admission has a lower seq. */
  readonly before: number | undefined;
  readonly rows: number;
}

/** A checked request. */
export type Asked =
  | { readonly look: 'me' | 'verify' }
  | {
      readonly look: 'search' | 'histogram' | 'export' | 'extract' | 'report' | 'survey';
      readonly filter: TrailFilter;
      readonly cursor: Cursor | undefined;
      /** For a search. */
      readonly newest?: NewestAsked;
      /** For a histogram: what is not counted. */
      readonly not?: readonly Exclusion[];
      /** For an export and an extract: each row as the line of a file, for the caller to write unchanged. */
      readonly as?: FileForm;
    }
  | { readonly look: 'show'; readonly wanted: string };

/** The lines of a file with rows, in the form of `audit export` and `audit export --json`. */
export type FileForm = 'csv' | 'json';

/** Rows of one page. */
const newestRowsMax = bounds.newestRows;

/** Bytes of a request's body: a filter, and a cursor with as many open admissions as a daemon has at once. */
export const askedBytesMax = bounds.lookBodyBytes;
/** Further waiting admissions are not carried from one request to the next. */
export const openMax = bounds.lookOpen;

const texts = [
  ...(['user', 'principal', 'command', 'listener', 'backend', 'decision', 'effect', 'outcome'] as const),
  ...(['id', 'session', 'grant', 'text'] as const),
];
const times = ['sinceMs', 'untilMs'] as const;
const textCharsMax = bounds.lookTextChars;
const exclusionsMax = bounds.lookExclusions;

/** The path of a look. */
export function lookPath(look: Look): string {
  return `/trail/${look}`;
}

/** The look of a path; undefined: the path has none. */
export function lookAt(path: string): Look | undefined {
  return looks.find((look) => lookPath(look) === path);
}

/** Parses a body; a string is the reason why it is invalid. */
export function parseAsked(look: Look, body: string): Asked | string {
  if (look === 'me' || look === 'verify') return { look };
  const value = parseRequest(body);
  if (typeof value === 'string') return value;
  if (look === 'show') {
    const { wanted } = value;
    const isFit = typeof wanted === 'string' && isWanted(wanted);
    return isFit ? { look, wanted } : 'wanted: must be an id or a seq';
  }
  const filter = parseFilter(value['filter'] ?? {});
  if (typeof filter === 'string') return filter;
  const cursor = value['cursor'] === undefined ? undefined : parseCursor(value['cursor']);
  if (typeof cursor === 'string') return cursor;
  if (cursor !== undefined && look === 'histogram') return 'cursor: not for a histogram';
  const { newest: newestText, as, not: notText } = value;
  const not = notText === undefined ? undefined : parseExclusions(notText);
  if (typeof not === 'string') return not;
  if (not !== undefined && look !== 'histogram') return 'not: only for a histogram';
  const newest = newestText === undefined ? undefined : parseNewest(newestText);
  if (typeof newest === 'string') return newest;
  if (newest !== undefined && (look !== 'search' || cursor !== undefined))
    return 'newest: only for a search, and without a cursor';
  if (as !== undefined && as !== 'json' && !(as === 'csv' && look === 'export'))
    return 'as: must be "csv" (for an export) or "json"';
  if (as !== undefined && look !== 'export' && look !== 'extract')
    return 'as: only for an export or an extract';
  return {
    look,
    filter,
    cursor,
    ...(newest === undefined ? {} : { newest }),
    ...(not === undefined ? {} : { not }),
    ...(as === undefined ? {} : { as }),
  };
}

function parseExclusions(value: unknown): readonly Exclusion[] | string {
  const text = `not: must be at most ${exclusionsMax} of { key: one of ${exclusionKeys.join(', ')}, value: a text }`;
  if (!Array.isArray(value) || value.length > exclusionsMax) return text;
  const all = value.map((each: unknown): Exclusion | undefined => {
    if (!isObject(each)) return undefined;
    const { key: name, value: given } = each;
    const key = exclusionKeys.find((one) => one === name);
    const isFit = typeof given === 'string' && given.length <= textCharsMax;
    return key !== undefined && isFit ? { key, value: given } : undefined;
  });
  const found = all.filter((each) => each !== undefined);
  return found.length === all.length ? found : text;
}

function parseNewest(value: unknown): NewestAsked | string {
  const text = `newest: must be { before: a seq, rows: 1 to ${newestRowsMax} }`;
  if (!isObject(value)) return text;
  const { before, rows } = value;
  if (typeof rows !== 'number' || !Number.isSafeInteger(rows) || rows < 1 || rows > newestRowsMax)
    return text;
  if (before !== undefined && (typeof before !== 'number' || !Number.isSafeInteger(before) || before < 1))
    return text;
  return { before, rows };
}

/** Whether a text is an id, or the seq of a record. */
export function isWanted(text: string): boolean {
  return /^[0-9A-Za-z-]{1,64}$/.test(text);
}

/** The keys of a filter that a request accepts. */
export function pickFilter(filter: TrailFilter): TrailFilter {
  const picked: Record<string, string | number> = {};
  for (const key of [...texts, ...times]) {
    const value = filter[key];
    if (value !== undefined) picked[key] = value;
  }
  return picked;
}

function parseFilter(value: unknown): TrailFilter | string {
  if (!isObject(value)) return 'filter: must be an object';
  const filter: Record<string, string | number> = {};
  for (const [key, each] of Object.entries(value)) {
    if (texts.some((name) => name === key)) {
      if (typeof each !== 'string' || each.length > textCharsMax)
        return `filter: ${key} must be a text of at most ${textCharsMax} characters`;
      filter[key] = each;
    } else if (times.some((name) => name === key)) {
      if (typeof each !== 'number' || !Number.isFinite(each)) return `filter: ${key} must be a number`;
      filter[key] = each;
    } else return 'filter: has a key that no filter has';
  }
  return filter;
}

function parseCursor(value: unknown): Cursor | string {
  const isSeq = (each: unknown): each is number => Number.isSafeInteger(each) && Number(each) >= 0;
  if (!isObject(value) || !isSeq(value['after'])) return 'cursor: must be one that an answer gave';
  const { after, open } = value;
  if (!Array.isArray(open) || open.length > openMax || !open.every(isSeq))
    return 'cursor: must be one that an answer gave';
  return { after, open };
}

/** A filter as words of a command line, for the record of the look. */
export function formatFilter(filter: TrailFilter): string[] {
  const words: string[] = [];
  for (const key of texts) if (filter[key] !== undefined) words.push(`${key}=${filter[key]}`);
  for (const key of times) if (filter[key] !== undefined) words.push(`${key}=${formatTime(filter[key])}`);
  return words;
}
