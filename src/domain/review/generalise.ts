// Owns the step from attempts of one command to the conditions of a rule that allows them: values to lists when they are few, users
// to their domains, ages to the least of them.
// It does not know whether the rule will do; suggest tries it. The rule: a condition is made of what every attempt meets, and a word that
// is known as a digest only is never written.

import { type Effect, type Parameter, strongerEffect } from '../commands/catalog.js';
import type { Attempt } from '../policy/attempt.js';
import type { Plain } from './policy-text.js';
import { queryConditions, withReadings } from './query-conditions.js';
import { isDigest } from './recorded.js';

/** An attempt that a rule shall allow. */
export interface Use {
  readonly attempt: Attempt;
  /** When it was first seen, in milliseconds since 1970. */
  readonly firstMs: number;
}

/**
 * `narrow`: what reads little and what changes something is held to what was seen. `named`: only what a rule must name is
 * named. `none`: the name of the command alone.
 */
export type Narrowness = 'narrow' | 'named' | 'none';

/** From the narrowest on. */
export const allNarrowness: readonly Narrowness[] = ['narrow', 'named', 'none'];

/** Lists of values are no longer. */
const few = 8;
/** Fields of `fetch` are words of Dovecot, of which more can be read. */
const fewFields = 40;

/** What attempts of one command do at most. */
export function effectOf(uses: readonly Use[]): Effect {
  return uses.map(({ attempt }) => attempt.effect).reduce(strongerEffect, 'read');
}

/** The pattern for a user: everybody of the domain, or the very name where it has none. */
export function userPattern(name: string): string {
  const at = name.lastIndexOf('@');
  return at < 0 ? name : `*${name.slice(at)}`;
}

/** A rule's `where`; undefined where it needs none. The uses are not empty and of one command. */
export function whereFor(uses: readonly Use[], narrowness: Narrowness): Plain | undefined {
  if (narrowness === 'none') return undefined;
  const attempts = uses.map(({ attempt }) => attempt);
  const named = new Set(
    attempts.flatMap(({ mustBeNamed, masks }) => [
      ...mustBeNamed,
      ...masks.map(({ parameter }) => parameter),
    ]),
  );
  const effect = effectOf(uses);
  const isChanging = effect !== 'read' && effect !== 'session';
  const isFetch = attempts[0]?.command.name === 'fetch';
  const isNarrow = narrowness === 'narrow' && (isChanging || isFetch);
  if (!isNarrow && named.size === 0) return undefined;
  const where: Record<string, Plain> = {};
  for (const [name, parameter] of parametersIn(attempts)) {
    if (name === 'all-users') continue;
    if (parameter.role === 'search-query') {
      const query = isNarrow && isChanging ? queryConditions(uses) : undefined;
      if (query !== undefined) where[name] = query;
      continue;
    }
    // A where is closed to options, so each that was seen has to be named; positionals only where they matter.
    if (parameter.isPositional && !named.has(name) && !(isNarrow && isChanging)) continue;
    where[name] = conditionFor(parameter, attempts, isNarrow || named.has(name));
  }
  return Object.keys(where).length === 0 ? undefined : where;
}

/** Every parameter that some attempt has, in the order of the catalog: options before positionals. */
function parametersIn(attempts: readonly Attempt[]): Map<string, Parameter> {
  const all = new Set(attempts.flatMap(({ command }) => command.params));
  const given = [...all].filter(({ name }) => attempts.some(({ parsed }) => parsed.hasOption(name)));
  const inOrder = given.toSorted((a, b) => Number(a.isPositional) - Number(b.isPositional));
  return new Map(inOrder.map((parameter) => [parameter.name, parameter]));
}

const userRoles: ReadonlySet<Parameter['role']> = new Set([
  'user',
  'user-mask',
  'user-mask-or-ip',
  'source-user',
]);

function conditionFor(parameter: Parameter, attempts: readonly Attempt[], isNarrow: boolean): Plain {
  const { name, role, type } = parameter;
  const given = attempts.filter(({ parsed }) => parsed.hasOption(name));
  const isAlways = given.length === attempts.length;
  const whatever = isAlways ? 'present' : 'any';
  if (type === 'bool' || !isNarrow) return whatever;
  const written = given.flatMap(({ parsed }) => parsed.values.get(name) ?? []);
  const readings = given.flatMap(({ parsed, mailboxNames }) =>
    role === 'mailbox' || role === 'mailbox-mask'
      ? (parsed.values.get(name) ?? []).flatMap((value) => mailboxNames.readings(value))
      : [],
  );
  const values = distinct([...withReadings(written, readings)]);
  if (values.some(isDigest)) return whatever;
  if (userRoles.has(role)) {
    const masks = new Set(given.flatMap((attempt) => attempt.masks.map(({ value }) => value)));
    const patterns = values.map((value) => (masks.has(value.toLowerCase()) ? value : userPattern(value)));
    return listOf(distinct(patterns), isAlways);
  }
  const most = name === 'field' ? fewFields : few;
  if (values.length > most) return type === 'int' ? boundsOf(values, isAlways) : whatever;
  return values.some((value) => value.includes('*')) ? exactly(values, isAlways) : listOf(values, isAlways);
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

/** A star of a value is a star, and not what a pattern makes of it. */
function exactly(values: readonly string[], isAlways: boolean): Plain {
  const regex = values.map((value) => value.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|');
  return isAlways ? { regex } : { regex, optional: true };
}
