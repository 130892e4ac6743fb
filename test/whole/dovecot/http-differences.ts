// The differences between an answer of dovegate and one of Dovecot that are allowed: a row for each reason of
// test/vectors/http/differences.json, which docs/client-http.md prints. A difference without a row is a fault.
import { z } from 'zod';
import type { Command, Series } from '../../../src/doveadm/commands/catalog.js';

/** One command of a generated request. */
export interface AskedCommand {
  /** Of the series of the backend; undefined: it has no such command. */
  readonly command: Command | undefined;
  /** Parameters by their long names, where they have one in the catalog, with the JSON of their values. */
  readonly parameters: readonly (readonly [name: string, json: string])[];
  readonly json: string;
}

/** What became of one command; `data`: its rows. */
export interface Answered {
  /** `doveadmResponse`, or the type of an error. */
  readonly kind: string;
  readonly exitCode: number | undefined;
  /** Of dovegate alone. */
  readonly code: string | undefined;
  readonly data: unknown;
}

/** An answer to a request: one entry for each command, the text of a 400, or the connection closed without one. */
export type Answer =
  | { readonly kind: 'entries'; readonly entries: readonly Answered[]; readonly isRepaired: boolean }
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }
  | { readonly kind: 'closed' };

const answersOf = z.array(z.tuple([z.string(), z.unknown(), z.string()]));
const errorOf = z
  .object({ type: z.string(), exitCode: z.number(), code: z.string().optional() })
  .transform(({ type, exitCode, code }) => ({ kind: type, exitCode, code }));

/** The body of a 200. */
export function readEntries(text: string): Answer & { readonly kind: 'entries' } {
  // Dovecot 2.3 forgets commas around an error.
  const repaired = text.replaceAll('][', '],[');
  const entries = answersOf
    .parse(JSON.parse(repaired))
    .map(
      ([kind, data]): Answered =>
        kind === 'error'
          ? { ...errorOf.parse(data), data: undefined }
          : { kind, exitCode: undefined, code: undefined, data },
    );
  return { kind: 'entries', entries, isRepaired: repaired !== text };
}

/** Where two answers differ. */
export interface Difference {
  readonly series: Series;
  readonly asked: readonly AskedCommand[];
  readonly ours: Answer;
  readonly theirs: Answer;
  /** Undefined: the whole answers differ. */
  readonly at:
    | { readonly asked: AskedCommand; readonly ours: Answered; readonly theirs: Answered }
    | undefined;
}

/** Reason, and whether a difference is of it. */
export type AllowedDifference = readonly [reason: string, holds: (difference: Difference) => boolean];

function has({ parameters }: AskedCommand, names: RegExp, values = /^/): boolean {
  return parameters.some(([name, json]) => names.test(name) && values.test(json));
}

function hasBoolean({ command, parameters }: AskedCommand, values: RegExp): boolean {
  return parameters.some(
    ([name, json]) =>
      values.test(json) && command?.params.find((each) => each.name === name)?.type === 'bool',
  );
}

function anyAsked({ asked, at }: Difference, test: (one: AskedCommand) => boolean): boolean {
  return at === undefined ? asked.some(test) : test(at.asked);
}

function isRefused({ at, ours }: Difference, ...codes: readonly string[]): boolean {
  return at !== undefined && ours.kind === 'entries' && codes.includes(at.ours.code ?? '');
}

function isEnded(theirs: Answer): boolean {
  return theirs.kind === 'closed' || (theirs.kind === 'refused' && theirs.text === 'Client disconnected');
}

/** Of several commands only one is what ended the server. */
function hasRun(ours: Answer, asked: number): boolean {
  return (
    ours.kind === 'entries' && asked === 1 && ours.entries.some(({ kind }) => kind === 'doveadmResponse')
  );
}

/** Dovecot 2.3 loses its place in the JSON at a value of another type. */
function isTyped({ series, ours, theirs }: Difference): boolean {
  if (series !== '2.3' || ours.kind !== 'entries' || theirs.kind !== 'refused') return false;
  return ours.entries.some(({ code }) => code === 'value-type');
}

export const allowedDifferences: readonly AllowedDifference[] = [
  ['kills', ({ asked, ours, theirs }) => isEnded(theirs) && !hasRun(ours, asked.length)],
  [
    'boolean',
    (one) =>
      anyAsked(one, (asked) => hasBoolean(asked, /^"?false"?$/)) ||
      (one.series === '2.3' &&
        one.ours.kind === 'refused' &&
        anyAsked(one, (asked) => hasBoolean(asked, /^(?!"?(?:true|false)"?$)/))),
  ],
  [
    'whole',
    ({ ours, theirs }) =>
      ours.kind === 'refused' &&
      (theirs.kind === 'entries' ||
        (theirs.kind === 'refused' && ours.text.startsWith('JSON parse error: '))),
  ],
  [
    'text',
    ({ series, ours, theirs }) =>
      ours.kind === 'refused' &&
      theirs.kind === 'refused' &&
      ours.status === theirs.status &&
      (series === '2.3' || ours.text.includes('nested too deep')),
  ],
  ['json', ({ at, theirs }) => at === undefined && theirs.kind === 'entries' && theirs.isRepaired],
  [
    'stale',
    ({ at }) =>
      at !== undefined &&
      at.ours.kind === at.theirs.kind &&
      /^(?:unknownMethod|invalidRequest)$/.test(at.ours.kind),
  ],
  [
    'user-list',
    ({ series, asked, at }) =>
      series === '2.3' && asked.length > 1 && at?.asked.command?.name === 'user' && at.theirs.exitCode === 65,
  ],
  ['all-users', (one) => one.series === '2.3' && isRefused(one, 'all-users-series')],
  [
    'server-side',
    (one) =>
      one.at?.ours.kind !== 'doveadmResponse' &&
      anyAsked(one, (asked) => has(asked, /^(?:user-file|socket-path|trans-flags|no-userdb-lookup)$/)),
  ],
  [
    'user-mask',
    (one) =>
      isRefused(one, 'input-for-all') ||
      (isRefused(one, 'not-over-http', 'backend-failed') &&
        anyAsked(one, (asked) => has(asked, /^user$/, /[*?]/))),
  ],
  [
    'flush',
    ({ at }) => at?.asked.command?.name === 'auth cache flush' && at.theirs.kind === 'invalidRequest',
  ],
  ['columns', (one) => isRefused(one, 'not-over-http')],
  ['plugin', ({ at }) => at?.asked.command !== undefined && at.theirs.kind === 'unknownMethod'],
  ['value-type', (one) => isRefused(one, 'value-type', 'number-invalid') || isTyped(one)],
  [
    'spelling',
    ({ at }) =>
      at !== undefined &&
      at.ours.kind !== 'invalidRequest' &&
      (/(?!INBOX)[Ii][Nn][Bb][Oo][Xx]/.test(at.asked.json) || /[A-Z][^"]*@|@[^"]*[A-Z]/.test(at.asked.json)),
  ],
  [
    'strict',
    (one) =>
      (isRefused(one, 'user-unknown') && anyAsked(one, (asked) => has(asked, /^all-users$/))) ||
      isRefused(one, 'query-invalid', 'ambiguous-argument', 'argument-missing', 'fields-invalid') ||
      isRefused(one, 'text-invalid', 'kills-server', 'user-invalid'),
  ],
  [
    'exit-code',
    ({ at }) => at?.ours.kind === 'exitCode' && at.ours.exitCode === -1 && at.theirs.kind === 'exitCode',
  ],
];

/** The reason of a difference; undefined: it has none. */
export function reasonOf(difference: Difference): string | undefined {
  return allowedDifferences.find(([, holds]) => holds(difference))?.[0];
}
