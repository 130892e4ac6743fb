// Owns the step from the search queries of attempts to the conditions that each of them meets for every mail that it selects.
// It does not judge queries. The rule: only keys count that stand in each query where nothing can get round them.

import { GlobList } from '../commands/glob.js';
import { searchSize, searchTime } from '../commands/search-keys.js';
import { conditionsOfAll, type SearchCondition } from '../commands/search-query.js';
import type { Attempt } from '../policy/attempt.js';
import type { Plain } from './policy-text.js';
import { isDigest } from './recorded.js';

/** Mailboxes and keywords in a list. */
const few = 8;
/** They say nothing about a mail, or have no name in a rule. */
const idleKeys: ReadonlySet<string> = new Set([
  'all',
  'oldestonly',
  'savedatesupported',
  'sequence',
  'x-real-uid',
]);
const atLeastKeys: ReadonlySet<string> = new Set(['before', 'sentbefore', 'savedbefore', 'older']);
const atMostKeys: ReadonlySet<string> = new Set(['since', 'sentsince', 'savedsince', 'younger']);

/** A key of one query, and when that query was first seen. */
interface Leaf {
  readonly condition: SearchCondition;
  readonly series: Attempt['series'];
  readonly seenMs: number;
  readonly mailboxNames: Attempt['mailboxNames'];
}

/** The conditions on `query`; undefined where the queries have nothing in common. */
export function queryConditions(
  uses: readonly { readonly attempt: Attempt; readonly firstMs: number }[],
): Plain | undefined {
  const queries = uses.map(({ attempt, firstMs }) => {
    const { query } = attempt.parsed;
    const conditions = query === undefined ? [] : conditionsOfAll(query);
    const { series, mailboxNames } = attempt;
    return conditions.map((condition) => ({ condition, series, seenMs: firstMs, mailboxNames }));
  });
  const names = new Set(queries[0]?.map(({ condition }) => condition.key.name));
  const found: Record<string, Plain> = {};
  for (const name of names) {
    if (idleKeys.has(name)) continue;
    const leaves = queries.map((query) => query.filter(({ condition }) => condition.key.name === name));
    if (leaves.some((each) => each.length === 0)) continue;
    found[name] = conditionFor(name, leaves);
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

/** `queries`: of each query the keys of that name; one that passes is enough. */
function conditionFor(name: string, queries: readonly (readonly Leaf[])[]): Plain {
  const kind = queries[0]?.[0]?.condition.key;
  if (name === 'mailbox' || name === 'keyword' || name === 'unkeyword') return valuesOf(name, queries);
  if (name === 'larger' || name === 'smaller') return sizeOf(name, queries);
  if (kind?.class === 'date' && (atLeastKeys.has(name) || atMostKeys.has(name))) return ageOf(name, queries);
  return 'present';
}

function valuesOf(name: string, queries: readonly (readonly Leaf[])[]): Plain {
  const seen = queries.flatMap(([first]) => first ?? []);
  const written = seen.map(({ condition }) => condition.values[0] ?? '');
  const readings =
    name === 'mailbox' ? seen.flatMap((leaf, at) => leaf.mailboxNames.readings(written[at] ?? '')) : [];
  const values = withReadings(written, readings);
  // A mask stands in a rule for itself, and for what it matches anyway.
  const isList = values.size <= few && ![...values].some(isDigest);
  return isList ? [...values].toSorted() : 'present';
}

/** The values, and what they may be besides, as far as the values as patterns do not hold for that. */
export function withReadings(values: readonly string[], readings: readonly string[]): Set<string> {
  const patterns = new GlobList(values);
  return new Set([...values, ...readings.filter((reading) => !patterns.matches(reading))]);
}

function sizeOf(name: string, queries: readonly (readonly Leaf[])[]): Plain {
  const isLeast = name === 'larger';
  const sizes = queries.map((query) =>
    strictest(
      query.map(({ condition }) => searchSize(condition.values[0] ?? '')),
      isLeast,
    ),
  );
  const bytes = loosest(sizes, isLeast);
  return bytes === undefined || bytes > 999_999_999
    ? 'present'
    : { [isLeast ? 'at_least' : 'at_most']: `${bytes}B` };
}

/** Ages as they were when the query was seen first; a point in time lies further back whenever it is asked again. */
function ageOf(name: string, queries: readonly (readonly Leaf[])[]): Plain {
  const isLeast = atLeastKeys.has(name);
  const ages = queries.map((query) =>
    strictest(
      query.map((leaf) => ageSeconds(leaf, isLeast)),
      isLeast,
    ),
  );
  const seconds = loosest(ages, isLeast);
  if (seconds === undefined || seconds < 1) return 'present';
  return isLeast ? { at_least: roundDown(seconds) } : { at_most: roundUp(seconds) };
}

function ageSeconds({ condition, series, seenMs }: Leaf, isLeast: boolean): number | undefined {
  const value = condition.values[0] ?? '';
  if (condition.key.values[0] === 'interval') return Number(value);
  const time = searchTime(series, value);
  if (time?.kind === 'age') return time.seconds;
  // What is younger than a point in time is not so for long: no bound would hold tomorrow.
  return time === undefined || !isLeast ? undefined : Math.floor(seenMs / 1000) - time.latest;
}

/** Of one query: the bound that holds because of any of its keys. */
function strictest(bounds: readonly (number | undefined)[], isLeast: boolean): number | undefined {
  const known = bounds.filter((bound) => bound !== undefined);
  return known.length === 0 ? undefined : isLeast ? Math.max(...known) : Math.min(...known);
}

/** Of all queries: the bound that each of them keeps. */
function loosest(bounds: readonly (number | undefined)[], isLeast: boolean): number | undefined {
  let found: number | undefined;
  for (const bound of bounds) {
    if (bound === undefined) return undefined;
    if (found === undefined || (isLeast ? bound < found : bound > found)) found = bound;
  }
  return found;
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

function roundDown(seconds: number): string {
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? units[3];
  return `${Math.floor(seconds / size)}${unit}`;
}

function roundUp(seconds: number): string {
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? units[3];
  return `${Math.ceil(seconds / size)}${unit}`;
}
