// Makes the conditions of a rule from attempts of one command: few values become lists, users become their domains, ages become the least
// of them. Every attempt meets each condition; callers test the rule. A search key counts only where each query has it and nothing bypasses
// it. A word of which only the digest is known is never written. A rule for commands that only read may be wider than what was seen; one
// for commands that change something, or show what mails say, keeps its mailbox, age and options together.

import {
  type Effect,
  locationRoles,
  type Parameter,
  strongerEffect,
  userRoles,
} from '../../doveadm/commands/catalog.js';
import {
  conditionsIn,
  conditionsOfAll,
  type SearchCondition,
  type SearchNode,
  searchSize,
  searchTime,
} from '../../doveadm/commands/search-query.js';
import { isDigest } from '../../doveadm/meaning/canonical.js';
import { GlobList, isFolder, leadsOut, userSign } from '../../doveadm/names/glob.js';
import { plural } from '../../host/words/words.js';
import type { Attempt } from '../policy/attempt.js';
import type { Plain } from './policy-text.js';

export interface Use {
  readonly attempt: Attempt;
  /** When it was first seen, in milliseconds since 1970. */
  readonly firstMs: number;
}

/**
 * `tight`: restricts as much as possible to the seen values. `narrow`: restricts parameters that read little and those that change
 * something. `named`: names only parameters that a rule must name. `none`: the name of the command alone.
 */
export type Narrowness = 'tight' | 'narrow' | 'named' | 'none';

/** The candidates for a rule, the narrowest first. */
export const allNarrowness: readonly Narrowness[] = ['narrow', 'named', 'none'];

const few = 8;
/** Most names in a list that must not become "any name". */
const many = 256;
/** Fields of `fetch` are words of Dovecot, so longer lists are readable. */
const fewFields = 40;

export function effectOf(uses: readonly Use[]): Effect {
  return uses.map(({ attempt }) => attempt.effect).reduce(strongerEffect, 'read');
}

/** Whether a rule may be wider than these attempts: they change nothing and show no mail. */
export function mayWiden(attempts: readonly Attempt[]): boolean {
  return attempts.every(
    ({ effect, content, shared }) =>
      (effect === 'read' || effect === 'session') && content.length === 0 && shared === undefined,
  );
}

/**
 * Two commands with the same key can be one rule that allows nothing but the two: they differ in users, in one mailbox, in the day in the
 * name of one of several, in the day of a date, or in words that no rule can name. `isWhole`: they do not differ in mailboxes or dates
 * either.
 */
export function togetherKey(attempts: readonly Attempt[], isWhole = false): string {
  return JSON.stringify(
    attempts.map(({ series, parsed, command, soleUser }) => {
      const { query } = parsed;
      const keys = query === undefined ? [] : conditionsOfAll(query);
      const given = command.params.filter(({ name }) => parsed.values.has(name));
      const mailboxes = [
        ...given
          .filter(({ role }) => mailboxRoles.has(role))
          .flatMap(({ name }) => parsed.values.get(name) ?? []),
        ...keys.flatMap(({ key, values }) => (key.name === 'mailbox' ? values : [])),
      ];
      const dayed = mailboxes.filter((name) => withoutDay(name) !== name);
      const mailbox = (values: readonly string[]): readonly string[] => {
        if (isWhole) return values;
        if (mailboxes.length === 1) return [];
        return dayed.length === 1 ? values.map(withoutDay) : values;
      };
      const words = given.map(({ name, role }) => {
        const values = parsed.values.get(name) ?? [];
        if (userRoles.has(role)) return [name];
        if (mailboxRoles.has(role)) return [name, ...mailbox(values)];
        if (locationRoles.has(role))
          return [name, ...values.map((value) => withUserSign(value, soleUser) ?? value)];
        if (role !== 'search-query' || query === undefined || !isNameable(query)) return [name, ...values];
        return [
          name,
          ...keys.map(({ key, values: of }) => {
            if (key.name === 'mailbox') return [key.name, ...mailbox(of)];
            const isAge = key.values[0] === 'interval' || searchTime(series, of[0] ?? '')?.kind === 'age';
            return [
              key.name,
              ...(comparedKeys.has(key.name) || isAge || (isWhole && key.class === 'date') ? of : []),
            ];
          }),
        ];
      });
      return [series, ...words];
    }),
  );
}

/** `2026-11-28`, `20261128`, `2026-11`. */
const dateInName =
  /(?<!\d)(?:19|20)\d\d(?:[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])|[-_.](?:0[1-9]|1[0-2]))(?!\d)/;
/** `Mon`, `monday`. */
const weekdayInName =
  /(?<![A-Za-z])(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?(?![A-Za-z])/i;

/** The first day in a name, and an expression for that of any other day in the same form; undefined: it holds none. */
export function dayIn(
  name: string,
): { readonly at: number; readonly text: string; readonly any: string } | undefined {
  const found = dateInName.exec(name) ?? weekdayInName.exec(name);
  if (found === null) return undefined;
  const { index: at, 0: text } = found;
  const digits = text.replaceAll('.', '\\.').replace(/\d+/g, (run) => `[0-9]{${run.length}}`);
  return { at, text, any: /\d/.test(text) ? digits : anyWeekday(text) };
}

/** An expression for any weekday in the length and the case of this one: `(?:Mon|Tue|...)`. */
function anyWeekday(text: string): string {
  const whole = 'monday tuesday wednesday thursday friday saturday sunday'.split(' ');
  const days = /day$/i.test(text) ? whole : whole.map((day) => day.slice(0, 3));
  const cased = days.map((day) =>
    text === text.toUpperCase()
      ? day.toUpperCase()
      : text === text.toLowerCase()
        ? day
        : day.charAt(0).toUpperCase() + day.slice(1),
  );
  return `(?:${cased.join('|')})`;
}

/** The name with a star for its day, since a daily job does the same every day. The star is not a pattern yet. */
export function withoutDay(name: string): string {
  return name.replace(dateInName, '*').replace(weekdayInName, '*');
}

const mailboxRoles: ReadonlySet<Parameter['role']> = new Set(['mailbox', 'mailbox-mask']);
/** Keys whose values a rule compares. */
const comparedKeys: ReadonlySet<string> = new Set(['keyword', 'unkeyword', 'larger', 'smaller']);

/** Whether conditions on keys can say all that the query demands of a mail. */
function isNameable(query: SearchNode): boolean {
  const all = conditionsIn(query);
  return (
    all.length === conditionsOfAll(query).length &&
    !all.some(({ key }) => key.name === 'sequence' || key.name === 'x-real-uid')
  );
}

/** What a rule with this `where` leaves open although it must not become wider: `query subject`, for any words. */
export function leftOpen(uses: readonly Use[], where: Readonly<Record<string, Plain>> = {}): string[] {
  const names = uses.flatMap(({ attempt: { command, parsed } }) =>
    command.params.flatMap(({ name, type, role }) => {
      const condition = where[name];
      if (!parsed.values.has(name) || condition === undefined) return [];
      if (role !== 'search-query') return isOpen(condition) && type !== 'bool' ? [name] : [];
      const keys = parsed.query === undefined ? [] : conditionsOfAll(parsed.query);
      return keys.flatMap(({ key, values }) => {
        const of =
          typeof condition === 'object' && key.name in condition
            ? Object.entries(condition).find(([each]) => each === key.name)?.[1]
            : undefined;
        return of === 'present' && values.length > 0 ? [`${name} ${key.name}`] : [];
      });
    }),
  );
  return [...new Set(names)].toSorted();
}

const isOpen = (condition: Plain): boolean => condition === 'present' || condition === 'any';

/** What a rule allows beyond what was seen, as `2 users to *@example.com`, without {@link leftOpen}. `users`: for whom the rule holds. */
export function widenings(
  uses: readonly Use[],
  { where, users }: { readonly where: Readonly<Record<string, Plain>>; readonly users: readonly string[] },
): string[] {
  const attempts = uses.map(({ attempt }) => attempt);
  const seen = new Set(attempts.flatMap((attempt) => attempt.users));
  const isWider = seen.size > 0 && users.some((pattern) => !seen.has(pattern));
  const wide = isWider ? [`${plural(seen.size, 'user')} to ${shortList(users)}`] : [];
  for (const [name, { role, type, isPositional }] of parametersIn(attempts)) {
    if (type === 'bool' || role === 'search-query' || name === 'all-users') continue;
    const values = new Set(attempts.flatMap(({ parsed }) => parsed.values.get(name) ?? []));
    const condition = where[name];
    const from = `${plural(values.size, 'value')} of ${name}`;
    if (condition === undefined ? isPositional || Object.keys(where).length === 0 : isOpen(condition)) {
      if (mayWiden(attempts)) wide.push(`${from} to any`);
      continue;
    }
    const texts = patternsIn(condition, maskRoles.has(role));
    if (texts.some((text) => !values.has(text))) wide.push(`${from} to ${shortList(texts)}`);
  }
  return wide;
}

/** `isOfUsers`: only there an expression is wider than the values that were seen. */
function patternsIn(condition: Plain | undefined, isOfUsers: boolean): readonly string[] {
  if (typeof condition === 'string') return [condition];
  if (typeof condition !== 'object') return [];
  if (isTexts(condition)) return condition.map(String);
  const { one_of: oneOf, regex } = condition;
  return oneOf !== undefined && typeof oneOf === 'object' && isTexts(oneOf)
    ? oneOf.map(String)
    : isOfUsers && typeof regex === 'string'
      ? [regex]
      : [];
}

const isTexts = (value: Plain): value is readonly Plain[] => Array.isArray(value);

function shortList(texts: readonly string[]): string {
  const shown = texts.slice(0, 3).join(', ');
  return texts.length > 3 ? `${shown} and ${texts.length - 3} more` : shown;
}

/** The pattern for a user: everybody of the domain, or the literal name if it has none. */
export function userPattern(name: string): string {
  const at = name.lastIndexOf('@');
  return at < 0 ? name : `*${name.slice(at)}`;
}

/** A rule's `where`; undefined: not needed. The uses are of one command, at least one. */
export function whereFor(
  uses: readonly Use[],
  narrowness: Narrowness,
): Readonly<Record<string, Plain>> | undefined {
  if (narrowness === 'none') return undefined;
  const attempts = uses.map(({ attempt }) => attempt);
  const named = new Set(
    attempts.flatMap(({ mustBeNamed, masks }) => [
      ...mustBeNamed,
      ...masks.map(({ parameter }) => parameter),
    ]),
  );
  const effect = effectOf(uses);
  const isTight = narrowness === 'tight';
  const isChanging = isTight || (effect !== 'read' && effect !== 'session');
  const isFetch = attempts[0]?.command.name === 'fetch';
  const isNarrow = isTight || (narrowness === 'narrow' && (isChanging || isFetch));
  if (!isNarrow && named.size === 0) return undefined;
  const where: Record<string, Plain> = {};
  for (const [name, parameter] of parametersIn(attempts)) {
    if (name === 'all-users') continue;
    if (parameter.role === 'search-query') {
      const query = isTight
        ? (exactQuery(uses, name) ?? queryConditions(uses, isTight))
        : isNarrow && isChanging
          ? queryConditions(uses)
          : undefined;
      if (query !== undefined) where[name] = query;
      continue;
    }
    // A where is closed to options, so each seen option must be named; positionals only where they matter.
    if (parameter.isPositional && !named.has(name) && !(isNarrow && isChanging)) continue;
    where[name] = conditionFor(parameter, attempts, isNarrow || named.has(name), isTight);
  }
  return Object.keys(where).length === 0 ? undefined : where;
}

/** Every parameter of any attempt, in the order of the catalog: options before positionals. */
function parametersIn(attempts: readonly Attempt[]): Map<string, Parameter> {
  const all = new Set(attempts.flatMap(({ command }) => command.params));
  const given = [...all].filter(({ name }) => attempts.some(({ parsed }) => parsed.values.has(name)));
  const inOrder = given.toSorted((a, b) => Number(a.isPositional) - Number(b.isPositional));
  return new Map(inOrder.map((parameter) => [parameter.name, parameter]));
}

function conditionFor(
  parameter: Parameter,
  attempts: readonly Attempt[],
  isNarrow: boolean,
  isTight: boolean,
): Plain {
  const { name, role, type } = parameter;
  const given = attempts.filter(({ parsed }) => parsed.values.has(name));
  const isAlways = given.length === attempts.length;
  const whatever = isAlways ? 'present' : 'any';
  // An empty list meets no other condition.
  if (given.some(({ parsed }) => parsed.values.get(name)?.length === 0)) return 'any';
  if (type === 'bool' || !isNarrow) return whatever;
  const written = given.flatMap(({ parsed }) => parsed.values.get(name) ?? []);
  const readings = given.flatMap(({ parsed, mailboxNames }) =>
    mailboxRoles.has(role)
      ? (parsed.values.get(name) ?? []).flatMap((value) => mailboxNames.readings(value))
      : [],
  );
  const signed = locationRoles.has(role) ? withUsers(given, name) : undefined;
  const values = signed ?? distinct([...withReadings(written, readings)]);
  if (values.some(isDigest)) return whatever;
  if (maskRoles.has(role)) return usersOrMasks(values, isAlways);
  if (userRoles.has(role)) return listOf(distinct(values.map(userPattern)), isAlways);
  const most = isTight ? many : name === 'field' ? fewFields : few;
  if (values.length > most) {
    if (type === 'int') return boundsOf(values, isAlways);
    const places = locationRoles.has(role) ? placePatterns(values) : undefined;
    return places === undefined || places.length > most ? whatever : listOf(places, isAlways);
  }
  return values.some((value) => value.includes('*')) ? exactly(values, isAlways) : listOf(values, isAlways);
}

const maskRoles: ReadonlySet<Parameter['role']> = new Set(['user-mask', 'user-mask-or-ip']);

/** A pattern for a domain would also allow itself as a mask, and so the list of all users there; an expression allows single users only. */
function usersOrMasks(values: readonly string[], isAlways: boolean): Plain {
  const isSingle = (value: string): boolean => !/[*?]/.test(value);
  if (values.length <= few || !values.every(isSingle)) return listOf(values, isAlways);
  const regex = distinct(values.map((value) => userPattern(value).replace(/[\\^$.+?()[\]{}|/]/g, '\\$&')))
    .map((pattern) => pattern.replace('*', '[^*?@]+'))
    .join('|');
  return isAlways ? { regex } : { regex, optional: true };
}

/** The values with `<user>`, if each location contains the user of its line; undefined: some do not. */
function withUsers(given: readonly Attempt[], name: string): readonly string[] | undefined {
  const signed = given.flatMap(({ soleUser, parsed }) =>
    (parsed.values.get(name) ?? []).map((value) => withUserSign(value, soleUser)),
  );
  const found = signed.filter((each) => each !== undefined);
  return found.length === signed.length ? distinct(found) : undefined;
}

/** Patterns of these locations, for any day and any user of a domain; undefined: they have no such form. */
function placePatterns(values: readonly string[]): readonly string[] | undefined {
  if (values.some((value) => value.includes('*') || leadsOut(value))) return undefined;
  return distinct(values.map((value) => withoutDay(value).replaceAll(/[^/:=]+@/g, '*@')));
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)].toSorted();
}

function listOf(values: readonly string[], isAlways: boolean): Plain {
  return isAlways ? values : { one_of: values, optional: true };
}

function boundsOf(values: readonly string[], isAlways: boolean): Plain {
  const numbers = values.map(BigInt).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const bounds = { at_least: String(numbers[0] ?? 0n), at_most: String(numbers.at(-1) ?? 0n) };
  return isAlways ? bounds : { ...bounds, optional: true };
}

/** A star of a value is literal, not a wildcard of a pattern. */
function exactly(values: readonly string[], isAlways: boolean): Plain {
  const regex = values.map((value) => value.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|');
  return isAlways ? { regex } : { regex, optional: true };
}

/** Keys that do not restrict mails, or that a rule cannot name. */
const idleKeys: ReadonlySet<string> = new Set([
  'all',
  'oldestonly',
  'savedatesupported',
  'sequence',
  'x-real-uid',
]);
const atLeastKeys: ReadonlySet<string> = new Set(['before', 'sentbefore', 'savedbefore', 'older']);
const atMostKeys: ReadonlySet<string> = new Set(['since', 'sentsince', 'savedsince', 'younger']);

interface Leaf {
  readonly condition: SearchCondition;
  readonly series: Attempt['series'];
  readonly seenMs: number;
  readonly mailboxNames: Attempt['mailboxNames'];
}

/** The query word for word, if conditions on keys would allow more; undefined: they would not, or its words are not known. */
function exactQuery(uses: readonly Use[], name: string): Plain | undefined {
  const [first] = uses;
  const words = first?.attempt.parsed.values.get(name) ?? [];
  const query = first?.attempt.parsed.query;
  return query === undefined || isNameable(query) || words.some(isDigest) ? undefined : { equals: words };
}

/** The conditions on `query`; undefined: the queries have nothing in common. */
export function queryConditions(
  uses: readonly Pick<Use, 'attempt' | 'firstMs'>[],
  isTight = false,
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
    found[name] = keyConditionFor(name, leaves, isTight ? many : few);
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

/** `queries`: for each query the keys of that name; one that passes is enough. */
function keyConditionFor(name: string, queries: readonly (readonly Leaf[])[], most: number): Plain {
  const kind = queries[0]?.[0]?.condition.key;
  if (name === 'mailbox' || name === 'keyword' || name === 'unkeyword')
    return keyValuesOf(name, queries, most);
  if (name === 'larger' || name === 'smaller') return sizeOf(name, queries);
  if (kind?.class === 'date' && (atLeastKeys.has(name) || atMostKeys.has(name))) return ageOf(name, queries);
  return 'present';
}

function keyValuesOf(name: string, queries: readonly (readonly Leaf[])[], most: number): Plain {
  const seen = queries.flatMap(([first]) => first ?? []);
  const written = seen.map(({ condition }) => condition.values[0] ?? '');
  const readings =
    name === 'mailbox' ? seen.flatMap((leaf, at) => leaf.mailboxNames.readings(written[at] ?? '')) : [];
  const values = withReadings(written, readings);
  // A mask in a rule covers itself, and everything that it matches.
  const isList = values.size <= most && ![...values].some(isDigest);
  return isList ? [...values].toSorted() : 'present';
}

/** The values, and their other possible readings as far as the values as patterns do not cover them. */
function withReadings(values: readonly string[], readings: readonly string[]): Set<string> {
  const patterns = new GlobList(values);
  return new Set([...values, ...readings.filter((reading) => !patterns.matches(reading))]);
}

function sizeOf(name: string, queries: readonly (readonly Leaf[])[]): Plain {
  const isLeast = name === 'larger';
  const bytes = boundOf(queries, isLeast, ({ condition }) => searchSize(condition.values[0] ?? ''));
  return bytes === undefined || bytes > 999_999_999
    ? 'present'
    : { [isLeast ? 'at_least' : 'at_most']: `${bytes}B` };
}

/** Ages at the first use of the query; a point in time gets older with each use. */
function ageOf(name: string, queries: readonly (readonly Leaf[])[]): Plain {
  const isLeast = atLeastKeys.has(name);
  const seconds = boundOf(queries, isLeast, (leaf) => ageSeconds(leaf, isLeast));
  if (seconds === undefined || seconds < 1) return 'present';
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? units[3];
  return isLeast
    ? { at_least: `${Math.floor(seconds / size)}${unit}` }
    : { at_most: `${Math.ceil(seconds / size)}${unit}` };
}

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

function ageSeconds({ condition, series, seenMs }: Leaf, isLeast: boolean): number | undefined {
  const value = condition.values[0] ?? '';
  if (condition.key.values[0] === 'interval') return Number(value);
  const time = searchTime(series, value);
  if (time?.kind === 'age') return time.seconds;
  // An upper bound on the age of a fixed point in time would not hold tomorrow.
  return time === undefined || !isLeast ? undefined : Math.floor(seenMs / 1000) - time.latest;
}

/** The bound that each query meets by any of its keys; undefined: one query meets none. */
function boundOf(
  queries: readonly (readonly Leaf[])[],
  isLeast: boolean,
  read: (leaf: Leaf) => number | undefined,
): number | undefined {
  const [strictest, loosest] = isLeast ? [Math.max, Math.min] : [Math.min, Math.max];
  const bounds = queries.map((query) => query.map(read).filter((bound) => bound !== undefined));
  if (bounds.length === 0 || bounds.some((each) => each.length === 0)) return undefined;
  return bounds.map((each) => strictest(...each)).reduce((one, other) => loosest(one, other));
}

/** The location with `<user>` in place of this user; undefined: it has no such part, or must not be generalized. */
export function withUserSign(location: string, user: string | undefined): string | undefined {
  if (user === undefined || !isFolder(user) || location.includes('*') || leadsOut(location)) return undefined;
  // Options follow a name after a colon, and a star would not match their values.
  const signed = location
    .split('/')
    .map((part, at) => {
      const [name = '', ...options] = part.split(':');
      return at > 0 && name === user ? [userSign, ...options].join(':') : part;
    })
    .join('/');
  return signed === location ? undefined : signed;
}
