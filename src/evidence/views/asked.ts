// The bodies of requests to the journal: a schema for each part, and its type. A request is accepted whole or refused with a sentence.

import * as z from 'zod';
import { textCharsMax, trailFilter } from '../../gate/door/filter-shape.js';
import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { count, listOf } from '../../host/values/shape.js';
import { isCount } from '../../host/values/values.js';
import { exclusionKeys } from '../story/leave-out.js';
import { isWanted, type Look, openMax } from './look.js';

const newestRowsMax = 1000;
const exclusionsMax = 20;

const cursorError = 'must be one that an answer gave';

const cursor = z.object(
  {
    after: count,
    /** Seq of the admissions before it whose completion was not read yet. */
    open: listOf(openMax, isCount, cursorError),
  },
  { error: cursorError },
);
export type Cursor = Readonly<z.infer<typeof cursor>>;

const newestError = `must be { before: a seq, rows: 1 to ${newestRowsMax} }`;

/** A page of a search that begins with the newest commands. */
const newest = z.object(
  {
    /** Only commands whose admission has a lower seq. */
    before: count.min(1).optional(),
    rows: count.min(1).max(newestRowsMax),
  },
  { error: newestError },
);
export type NewestAsked = Readonly<z.infer<typeof newest>>;

const exclusionsError = `must be at most ${exclusionsMax} of { key: one of ${exclusionKeys.join(', ')}, value: a text }`;
const exclusions = z
  .array(z.object({ key: z.enum(exclusionKeys), value: z.string().max(textCharsMax) }), {
    error: exclusionsError,
  })
  .max(exclusionsMax, { error: exclusionsError })
  .readonly();

/** For all looks that return rows; fields that a look does not take are refused below. */
const rowsAsked = z.object({
  filter: trailFilter.default({}),
  cursor: cursor.optional(),
  newest: newest.optional(),
  not: exclusions.optional(),
  /** For an export and an extract: each row as the line of a file, for the caller to write unchanged. */
  as: z.enum(['csv', 'json'], { error: 'must be "csv" (for an export) or "json"' }).optional(),
});
type RowsAsked = Readonly<z.infer<typeof rowsAsked>>;
/** A search as the page asks for it; all given fields must match. The values are those of `dovegate audit search`. */
export interface AskTrail extends Omit<RowsAsked, 'filter'> {
  readonly filter: Omit<TrailFilter, 'isWithCounts'>;
}

/** The lines of a file with rows, in the form of `audit export` and `audit export --json`. */
export type FileForm = NonNullable<RowsAsked['as']>;

const shown = z.object({ wanted: z.string().refine(isWanted, { error: 'must be an id or a seq' }) });

export type Asked =
  | { readonly look: 'me' | 'verify' }
  | ({ readonly look: Exclude<Look, 'me' | 'verify' | 'show'> } & RowsAsked)
  | { readonly look: 'show'; readonly wanted: string };

export function askedShape(look: Look): z.ZodType<Asked> {
  if (look === 'me' || look === 'verify') return z.unknown().transform(() => ({ look }));
  if (look === 'show') return shown.transform((one) => ({ look, ...one }));
  return rowsAsked
    .superRefine((asked, context) => {
      const message = whyNotOf(look, asked);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .transform((asked) => ({ look, ...asked }));
}

const keysOfRequests: ReadonlySet<string> = new Set(['user', 'by', 'sinceMs', 'untilMs']);

function whyNotOf(look: Look, asked: RowsAsked): string | undefined {
  const { cursor: from, newest: page, not, as } = asked;
  const { filter } = asked;
  if (look === 'requests' && Object.keys(filter).some((key) => !keysOfRequests.has(key)))
    return `filter: only ${[...keysOfRequests].join(', ')} for requests`;
  if (from !== undefined && (look === 'histogram' || look === 'requests'))
    return `cursor: not for a ${look === 'requests' ? 'list of requests' : look}`;
  if (not !== undefined && look !== 'histogram') return 'not: only for a histogram';
  if (page !== undefined && (look !== 'search' || from !== undefined))
    return 'newest: only for a search, and without a cursor';
  if (as !== undefined && look !== 'export' && look !== 'extract')
    return 'as: only for an export or an extract';
  return as === 'csv' && look === 'extract' ? 'as: must be "json" for an extract' : undefined;
}
