// Reads a rule's `where`: conditions on parameters and on the search query, checked against the catalog. A condition that can never hold,
// or that is certainly a mistake, is a problem. A value that does not fit its parameter is never read as plain text instead.

import {
  type Command,
  listOfText,
  locationRoles,
  type Parameter,
  parameterNamed,
  userRoles,
} from '../../doveadm/commands/catalog.js';
import { type SearchKey, searchKeyNamed, searchKeyNames } from '../../doveadm/commands/search-query.js';
import { GlobList, isUserAPart, userSign } from '../../doveadm/names/glob.js';
import { foldFor, type NameCase } from '../../doveadm/names/user-name.js';
import { durationForm, parseDuration } from '../../host/words/durations.js';
import { foldAscii } from '../../host/words/text.js';
import type { Compared } from '../conditions/kind.js';
import { readRegex } from '../conditions/matching.js';
import { readPatterns } from '../conditions/one-of.js';
import type { KeyCondition, KeyTest, QueryTest } from '../conditions/query-test.js';
import {
  comparisonKinds,
  isValueTest,
  type ParameterTest,
  textsOfTest,
  type ValueTest,
} from '../conditions/value-test.js';
import type { Cursor } from './cursor.js';
import { meantBy } from './problem.js';
import { parseSize, sizeForm } from './schema-parts.js';

/** The parameters of a command by name. `commands`: the command in each series, oldest first; where series differ, the newest counts. */
export function parametersOf(commands: readonly Command[]): ReadonlyMap<string, Parameter> {
  const all = commands.flatMap(({ params }) => params);
  return new Map(all.map((parameter) => [parameter.name, parameter]));
}

/** `mailbox cache decision` has its fields only as a text, so `field` refers to that one. */
function parameterMeant(parameters: ReadonlyMap<string, Parameter>, name: string): Parameter | undefined {
  return parameters.get(name) ?? (name === 'field' ? parameters.get('fieldstr') : undefined);
}

/** Why a rule for the command cannot name the parameter, and the alternative; undefined: it can, or there is no such parameter. */
export function whyUnnamable(commands: readonly Command[], name: string): string | undefined {
  if (name === 'source-type') return 'write source-user; the word before it is part of it';
  for (const found of commands) {
    const parameter = parameterNamed(found, name);
    if (parameter === undefined) continue;
    const list = listOfText(found, parameter)?.name;
    if (list !== undefined) return `write ${list}, which covers every spelling of it`;
    const { caution } = parameter;
    if (caution === 'never') return 'is never allowed, and no rule can change that; take it out';
    if (caution === 'all-users') return 'write all_users: true beside command: instead';
    if (name === 'user' && found.scope === 'user') {
      return 'the user of a mail command is judged by users and except; take it out';
    }
  }
  return undefined;
}

/** Whether a rule allows (all conditions must certainly hold) or denies (where they may hold). */
export type RuleKind = 'allow' | 'deny';

export interface Where {
  readonly tests: readonly ParameterTest[];
  readonly query: QueryTest | undefined;
}

/** Reads a `where`; `cursor` stands at it. `commands`: the rule's, in each series. Faults are reported and left out. */
export function parseWhere(
  cursor: Cursor,
  command: string,
  commands: readonly Command[],
  kind: RuleKind,
  nameCase: NameCase,
): Where {
  const parameters = parametersOf(commands);
  const tests: ParameterTest[] = [];
  let query: QueryTest | undefined;
  for (const name of cursor.keys()) {
    const parameter = parameterMeant(parameters, name);
    const at = cursor.down(name);
    const refusal = whyUnnamable(commands, name);
    if (refusal !== undefined) at.error([], refusal);
    else if (parameter === undefined) {
      const known = [...parameters.keys()];
      const hint = meantBy(name, known, `; it has: ${known.join(', ')}`);
      at.error([], `"${command}" has no parameter ${JSON.stringify(name)}${hint}`, 'unknown-name');
    } else if (parameter.role === 'search-query') query = parseQuery(at, kind);
    else {
      const fold = comparedAs(command, parameter, kind, nameCase);
      // Patterns of a deny are not restricted as those of locations: a deny applies wherever it may be meant.
      const isPlace = locationRoles.has(parameter.role);
      const globs = (texts: readonly string[]): GlobList =>
        new GlobList(texts.map(fold), { isLocation: kind === 'allow' && isPlace });
      const hasUser = kind === 'allow' && commands.every(({ scope }) => scope === 'user');
      const test = parseValueTest(at, parameter, kind, { fold, globs });
      const fault = isPlace && test !== undefined ? userSignFault(test, hasUser) : undefined;
      if (fault !== undefined) at.error([], fault);
      if (test !== undefined) tests.push({ parameter: parameter.name, test });
    }
  }
  return { tests, query };
}

/** Why `<user>` cannot stand there. Read as plain text it would match nothing, and a `deny` of it would deny nothing. */
function userSignFault(test: ValueTest, hasUser: boolean): string | undefined {
  const signed = textsOfTest(test)?.filter((text) => text.includes(userSign)) ?? [];
  if (signed.length === 0) return undefined;
  if (!hasUser || !isValueTest(test, 'one-of'))
    return `${userSign} stands in patterns only, of an allow and for a command with -u`;
  return signed.every(isUserAPart)
    ? undefined
    : `${userSign} must be a whole part of a path: a "/" before it, and "/", ":" or nothing after it`;
}

function parseValueTest(
  cursor: Cursor,
  parameter: Parameter,
  kind: RuleKind,
  compared: Compared,
): ValueTest | undefined {
  const word = cursor.source();
  if (word === 'any') return { kind: kind === 'deny' ? 'present' : 'any' };
  if (word === 'present' || (word === 'true' && parameter.type === 'bool')) return { kind: 'present' };
  if (word === 'absent' || (word === 'false' && parameter.type === 'bool')) {
    if (!parameter.isOptional && parameter.type !== 'bool') {
      cursor.error([], 'can never be absent: the command cannot be given without it');
    }
    return { kind: 'absent' };
  }
  if (parameter.type === 'bool') {
    cursor.error([], 'is an option without a value; write true, false or any');
    return undefined;
  }
  return cursor.kind() === 'map'
    ? parseComparison(cursor, parameter, compared)
    : { kind: 'one-of', globs: compared.globs(readPatterns(cursor, [])), isOptional: false };
}

/** `{ one_of: ... }`, `{ at_least: ..., at_most: ... }`: the keys of one kind, each with `optional`. */
function parseComparison(cursor: Cursor, parameter: Parameter, compared: Compared): ValueTest | undefined {
  const [kind, another] = comparisonKinds.filter(({ keys }) =>
    Object.keys(keys).some((key) => cursor.has(key)),
  );
  if (kind === undefined || another !== undefined) {
    const [last, ...others] = comparisonKinds.map(({ keys }) => Object.keys(keys).join(' and ')).toReversed();
    cursor.error([], `needs one of: ${others.toReversed().join(', ')}, or ${last}`, 'missing-key');
    return undefined;
  }
  const isOptional = cursor.source('optional') === 'true';
  if (isOptional && !parameter.isOptional) {
    const message = 'has no meaning: the command cannot be given without this parameter';
    cursor.error(['optional'], message, 'key-conflict');
  }
  const read = kind.read(cursor, compared);
  return read && { ...read, isOptional };
}

/** Names of users are compared as in the attempt, and fields in lower case; in a `deny` all values are. */
function comparedAs(
  command: string,
  { name, role }: Parameter,
  kind: RuleKind,
  nameCase: NameCase,
): Compared['fold'] {
  if (kind === 'deny') return (text) => text.toLowerCase();
  if (userRoles.has(role)) return foldFor(nameCase);
  return command === 'fetch' && name === 'field' ? foldAscii : (text) => text;
}

function parseQuery(cursor: Cursor, kind: RuleKind): QueryTest | undefined {
  if (cursor.source() === 'any') return { kind: 'any' };
  if (cursor.kind() !== 'map') {
    cursor.error([], 'must be any, or a map from search keys to conditions');
    return undefined;
  }
  if (kind === 'deny') return parseDenyQuery(cursor, cursor.keys());
  const names = cursor.keys().filter((name) => name !== 'any_of');
  const [whole] = names.filter((name) => name === 'regex' || name === 'equals');
  if (whole !== undefined) {
    if (cursor.size() > 1)
      cursor.error([whole], 'is about the whole query, so it stands alone', 'key-conflict');
    if (whole === 'equals') {
      const words = cursor.words('equals');
      const isList = cursor.kind('equals') === 'list';
      return { kind: 'equals', words: isList ? words : words.flatMap((text) => text.split(' ')) };
    }
    return readRegex(cursor);
  }
  const anyOf = Array.from({ length: cursor.size('any_of') }, (_, index) => cursor.down('any_of', index));
  return {
    kind: 'keys',
    conditions: parseKeys(cursor, names),
    anyOf: anyOf.map((each) => parseKeys(each, each.keys())),
  };
}

/** A `deny` applies where a query may reach a mailbox; any other condition on a query could be bypassed. */
function parseDenyQuery(cursor: Cursor, names: readonly string[]): QueryTest | undefined {
  for (const name of names.filter((each) => each !== 'mailbox')) {
    cursor.error([name], 'a deny can be about mailbox only; write the rest as a condition of the allow');
  }
  if (!names.includes('mailbox')) return undefined;
  const texts = readPatterns(cursor, ['mailbox']).map((text) => text.toLowerCase());
  const test: KeyTest = { kind: 'one-of', globs: new GlobList(texts) };
  return { kind: 'keys', conditions: [{ key: 'mailbox', test }], anyOf: [] };
}

function parseKeys(cursor: Cursor, names: readonly string[]): KeyCondition[] {
  return names.flatMap((name) => {
    const at = cursor.down(name);
    const key = searchKeyNamed(name);
    if (key === undefined) {
      at.error([], `there is no search key ${JSON.stringify(name)}${meantBy(name, searchKeyNames())}`);
      return [];
    }
    const test = parseKeyTest(at, key);
    return test === undefined ? [] : [{ key: key.name, test }];
  });
}

/** Keys that select older or larger mails take `at_least`, keys that select newer or smaller ones `at_most`. */
function boundOf(key: string): 'at_least' | 'at_most' | undefined {
  if (/before$|^older$|^larger$/.test(key)) return 'at_least';
  return /since$|^younger$|^smaller$/.test(key) ? 'at_most' : undefined;
}

function parseKeyTest(cursor: Cursor, key: SearchKey): KeyTest | undefined {
  const word = cursor.source();
  if (word === 'present' || word === 'true') return { kind: 'present' };
  if (word === 'absent' || word === 'false') return { kind: 'absent' };
  if (word === 'any') {
    cursor.error([], 'has no effect; write present if the key must be there, or leave it out');
    return undefined;
  }
  if (key.values.length === 0) {
    cursor.error([], 'is a key without a value; write present or absent');
    return undefined;
  }
  if (cursor.kind() === 'map') return parseBound(cursor, key);
  const isFolded = key.name === 'header';
  const texts = readPatterns(cursor, []).map((text) => (isFolded ? text.toLowerCase() : text));
  return { kind: 'one-of', globs: new GlobList(texts) };
}

function parseBound(cursor: Cursor, key: SearchKey): KeyTest | undefined {
  const bound = boundOf(key.name);
  const given = cursor.keys();
  if (bound === undefined || given.length !== 1 || given[0] !== bound) {
    const can = bound === undefined ? 'a value or a list of values' : `${bound} and nothing else`;
    cursor.error([], `${key.name} takes ${can} here`);
    return undefined;
  }
  const text = cursor.source(bound) ?? '';
  const isSize = key.values[0] === 'size';
  const value = isSize ? parseSize(text) : parseDuration(text);
  if (value === undefined) {
    const wanted = isSize ? `a size: ${sizeForm}, as 1MiB` : `an age: ${durationForm}, as 30d`;
    cursor.error([bound], `must be ${wanted}`);
    return undefined;
  }
  const limit = isSize ? value : Math.ceil(value / 1000);
  const [atLeast, atMost] = bound === 'at_least' ? [limit, undefined] : [undefined, limit];
  return { kind: isSize ? 'size' : 'age', atLeast, atMost };
}
