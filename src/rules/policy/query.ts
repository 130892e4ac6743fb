// The tests of a rule for a search query: conditions on every mail that the query can select. A key counts only if each selected mail
// surely meets it. In a list joined by AND one member is enough, of alternatives each must have it, and NOT swaps the two; under FUZZY and
// INTHREAD nothing is sure.

import type { Series } from '../../doveadm/commands/catalog.js';
import {
  conditionsIn,
  type SearchCondition,
  type SearchNode,
  type SearchTime,
  searchSize,
  searchTime,
  selectsEverything,
} from '../../doveadm/commands/search-query.js';
import { type GlobList, isMask } from '../../doveadm/names/glob.js';
import { doubtedNames, isMailboxMask, type MailboxNames } from '../../doveadm/names/mailbox-names.js';
import { bounds } from '../../host/bounds/bounds.js';
import { listFew } from '../conditions/one-of.js';
import {
  describeKey,
  describeQuery,
  isKeyTest,
  isQueryTest,
  type KeyCondition,
  type KeyTest,
  type QueryTest,
} from '../conditions/query-test.js';
import { isSurelyOneOf, mayBeOneOf } from '../conditions/value-test.js';

export interface JudgedQuery {
  readonly words: readonly string[];
  readonly tree: SearchNode | undefined;
  readonly series: Series;
  readonly nowMs: number;
  readonly mailboxNames: MailboxNames;
  readonly known: { namesTime?: boolean; readonly times: Map<string, SearchTime | undefined> };
}

export function judgedQuery(
  query: Omit<JudgedQuery, 'known' | 'mailboxNames'> & { readonly mailboxNames?: MailboxNames },
): JudgedQuery {
  const { words, tree, series, nowMs, mailboxNames = doubtedNames } = query;
  return { words, tree, series, nowMs, mailboxNames, known: { times: new Map() } };
}

/** Whether the query passes. A missing query passes only `any`. */
export function queryPasses(test: QueryTest, query: JudgedQuery): boolean {
  const { words, tree } = query;
  switch (test.kind) {
    case 'any':
      return true;
    case 'equals':
      return (
        words.length === test.words.length &&
        words.every((word, index) => word === test.words[index]) &&
        !namesDoubtfully(query)
      );
    case 'regex':
      return (
        words.length > 0 &&
        !words.some((word) => /\s/.test(word)) &&
        test.regex.matches(words.join(' ')) &&
        otherWordings(query)?.every((wording) => test.regex.matches(wording.join(' '))) === true
      );
    case 'keys': {
      if (tree === undefined) return false;
      if (!allHold(test.conditions, tree, query)) return false;
      return test.anyOf.length === 0 || test.anyOf.some((conditions) => allHold(conditions, tree, query));
    }
    default:
      return test satisfies never;
  }
}

/** Whether a name of a mailbox in it may be another mailbox's; a mask that the rule contains literally is intended. */
function namesDoubtfully({ tree, mailboxNames }: JudgedQuery): boolean {
  return mailboxesIn(tree).some(({ name }) => !isMailboxMask(name) && mailboxNames.readings(name).length > 0);
}

function mailboxesIn(tree: SearchNode | undefined): { readonly name: string; readonly at: number }[] {
  if (tree === undefined) return [];
  return conditionsIn(tree).flatMap(({ key, values: [name = ''], at }) =>
    key.name === 'mailbox' ? [{ name, at: at + 1 }] : [],
  );
}

/** Queries with more mailboxes of several names are refused by rules on the query's text. */
const otherNamesMax = bounds.queryOtherNames;

/** The words with other names of its mailboxes: one of them in each place, and all at once. Undefined: too many. */
function otherWordings({ words, tree, mailboxNames }: JudgedQuery): string[][] | undefined {
  const places = mailboxesIn(tree).flatMap(({ name, at }) =>
    mailboxNames.readings(name).map((reading) => ({ at, reading })),
  );
  if (places.length > otherNamesMax) return undefined;
  const all = [...words];
  for (const { at, reading } of places) all[at] = reading;
  const each = places.map(({ at, reading }) => words.with(at, reading));
  return places.length > 1 ? [...each, all] : each;
}

/** Every condition that does not hold: the nearest rule is the one with the fewest. */
export function missingInQuery(test: QueryTest, query: JudgedQuery): readonly string[] {
  if (isQueryTest(test, 'regex')) return [`query must match ${test.regex.source}`];
  if (!isQueryTest(test, 'keys') || query.tree === undefined) return [`query must be ${describeQuery(test)}`];
  const { tree } = query;
  const failed = test.conditions.filter((condition) => !conditionHolds(condition, tree, query));
  return failed.length === 0
    ? ['query must hold one of the alternatives, for every mail that it selects']
    : failed.map(missingCondition);
}

function missingCondition(failed: KeyCondition): string {
  if (isKeyTest(failed.test, 'absent')) return `query must not hold ${failed.key}`;
  const demand = isKeyTest(failed.test, 'one-of')
    ? `${failed.key} ${listFew(failed.test.globs.texts)}`
    : describeKey(failed);
  return `query must hold ${demand}, for every mail that it selects`;
}

/** Whether the rule depends on a moving point in time: its answer may differ a moment later. */
export function dependsOnTime(test: QueryTest, query: JudgedQuery): boolean {
  if (!isQueryTest(test, 'keys') || query.tree === undefined || !namesTime(query.tree, query)) return false;
  const asksAge = (list: readonly KeyCondition[]): boolean =>
    list.some(({ test: { kind } }) => kind === 'age' || kind === 'present');
  return asksAge(test.conditions) || test.anyOf.some(asksAge);
}

function namesTime(tree: SearchNode, query: JudgedQuery): boolean {
  query.known.namesTime ??= conditionsIn(tree).some(
    ({ key, values }) => key.class === 'date' && timeOf(values[0] ?? '', query)?.kind === 'time',
  );
  return query.known.namesTime;
}

function timeOf(value: string, { series, known }: JudgedQuery): SearchTime | undefined {
  if (known.times.has(value)) return known.times.get(value);
  const time = searchTime(series, value);
  known.times.set(value, time);
  return time;
}

/**
 * Whether a `deny` on mailboxes applies: it does unless every branch names a mailbox that surely matches none of the patterns (which are in
 * lower case). A mask, a GUID, a mailbox under NOT: all may mean any mailbox.
 */
export function mayReachMailbox(globs: GlobList, tree: SearchNode, names: MailboxNames): boolean {
  return !isSure(tree, false, ({ key, values: [name = ''] }) => {
    return key.name === 'mailbox' && !/[*%?]/.test(name) && !mayBeOneOf(name, globs, names);
  });
}

function allHold(conditions: readonly KeyCondition[], tree: SearchNode, query: JudgedQuery): boolean {
  for (const condition of conditions) {
    if (!conditionHolds(condition, tree, query)) return false;
  }
  return true;
}

function conditionHolds(condition: KeyCondition, tree: SearchNode, query: JudgedQuery): boolean {
  if (isKeyTest(condition.test, 'absent')) {
    return conditionsIn(tree).every(({ key }) => key.name !== condition.key);
  }
  return isSure(
    tree,
    false,
    (leaf) => leaf.key.name === condition.key && keyPasses(condition.test, leaf, query),
  );
}

/** Whether each mail that the node selects (or excludes, under NOT) surely meets a key that passes. */
function isSure(node: SearchNode, isNegated: boolean, test: (leaf: SearchCondition) => boolean): boolean {
  switch (node.kind) {
    case 'key':
      return !isNegated && test(node);
    case 'and':
    case 'or': {
      // One sure member decides an AND, one unsure member decides an OR.
      const isAnd = (node.kind === 'and') !== isNegated;
      for (const each of node.nodes) {
        if (isSure(each, isNegated, test) === isAnd) return isAnd;
      }
      return !isAnd && node.nodes.length > 0;
    }
    case 'not':
      return isSure(node.node, !isNegated, test);
    case 'fuzzy':
      return false;
    default:
      return node satisfies never;
  }
}

function keyPasses(test: KeyTest, leaf: SearchCondition, query: JudgedQuery): boolean {
  const value = leaf.values[0] ?? '';
  switch (test.kind) {
    case 'present':
      return narrows(leaf, query);
    case 'absent':
      return false;
    case 'one-of':
      // For `header NAME TEXT` the patterns apply to the name alone.
      if ((leaf.key.name === 'header' || test.globs.isEverything) && !narrows(leaf, query)) return false;
      // Names of headers are case-insensitive.
      if (!test.globs.matches(leaf.key.name === 'header' ? value.toLowerCase() : value)) return false;
      // A mailbox with wildcards is a mask to the server: only the rule's literal text passes, or a rule for all.
      if (leaf.key.name !== 'mailbox') return true;
      if (!isSurelyOneOf(value, test.globs, query.mailboxNames)) return false;
      if (!isMask(value) && !isMailboxMask(value)) return true;
      return test.globs.isEverything || test.globs.has(value);
    case 'age':
    case 'size': {
      const [least, most] = spanOf(leaf, query);
      const { atLeast = least, atMost = most } = test;
      return least >= atLeast && most <= atMost;
    }
    default:
      return test satisfies never;
  }
}

/** A key that every mail meets is not a condition. */
function narrows({ key, values }: SearchCondition, { series, nowMs }: JudgedQuery): boolean {
  return !selectsEverything(series, key, values, nowMs);
}

/** The least and the greatest age (in seconds) or size that the value may mean; a point in time is converted to an age. */
function spanOf({ key, values }: SearchCondition, query: JudgedQuery): readonly [number, number] {
  const [value = ''] = values;
  const [type] = key.values;
  const time = type === 'time' ? timeOf(value, query) : undefined;
  if (time?.kind === 'time') return [query.nowMs / 1000 - time.latest, query.nowMs / 1000 - time.earliest];
  const number = time?.seconds ?? (type === 'interval' ? Number(value) : searchSize(value)) ?? Number.NaN;
  return [number, number];
}
