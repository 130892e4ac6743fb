// Reads the arguments of a command exactly as doveadm-server of a series does: options, positionals in table order, key and
// value, and what its older series makes of the flat list; gives every value its parameter. Refuses what the server would
// refuse, what would kill its process, and whatever two readers could read differently. Knows no policy.
//
// The rule that a reader must not break: nothing may be accepted here that the server could give to another parameter.
import { type Command, listOfText, type Parameter, parameterNamed } from './catalog.js';
import { optionName, readOptions, type Unparsable, unparsable } from './getopt.js';
import type { Series } from './series.js';

export type { Unparsable, UnparsableCode } from './getopt.js';

/** What the server will do with the arguments. */
export interface ParsedArguments {
  readonly kind: 'parsed';
  readonly command: Command;
  readonly series: Series;
  /**
   * By the parameter's long name, in table order; only those that are given. A bool is `['true']`; a number is decimal
   * without leading zeros. `field` and `flag` hold one word an entry however they were spelled (`fieldstr` and `flagstr` never
   * occur); `copy` and `move` have `source-user` and never `source-type`.
   */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** Whether the parameter of that long name is given. */
  hasOption(name: string): boolean;
}

type Given = Map<Parameter, string[]>;
type Place = (parameter: Parameter, operand: string) => Unparsable | undefined;

/** A bool that is given. */
export const boolGiven = 'true';

const int64Max = 2n ** 63n - 1n;
const lowerCaseFields: ReadonlySet<string> = new Set(['fetch']);

/** Reads `args`, the words behind the command's name, for a server of that series. */
export function parseArguments(
  series: Series,
  command: Command,
  args: readonly string[],
): ParsedArguments | Unparsable {
  const bad = args.findIndex((arg) => arg.includes('\0'));
  if (bad !== -1) {
    // The server's strings end there: it would see another value than we do.
    return unparsable('text-invalid', `argument ${bad + 1} of "${command.name}" holds a NUL byte`);
  }
  const read = readOptions(command, args);
  if (read.kind === 'unparsable') return read;
  const given: Given = new Map();
  for (const { parameter, value } of read.options) {
    const refusal = add(given, parameter, value ?? boolGiven);
    if (refusal !== undefined) return refusal;
  }
  const byOption = new Set(given.keys());
  const place = (parameter: Parameter, operand: string): Unparsable | undefined =>
    byOption.has(parameter) ? givenTwoWays(command, parameter) : add(given, parameter, operand);
  const refusal =
    series === '2.3'
      ? placeBackAndForth(command, read.operands, given, place)
      : placeForward(command, read.operands, given, place);
  if (refusal !== undefined) return refusal;
  const values = normalise(series, command, given);
  if (values instanceof Map) return parsedArguments(series, command, values);
  return values;
}

/** The same arguments without some parameters (a `-u` that only repeats the wire user, say). */
export function withoutParameters(parsed: ParsedArguments, names: readonly string[]): ParsedArguments {
  const values = new Map([...parsed.values].filter(([name]) => !names.includes(name)));
  return parsedArguments(parsed.series, parsed.command, values);
}

function parsedArguments(
  series: Series,
  command: Command,
  values: ReadonlyMap<string, readonly string[]>,
): ParsedArguments {
  return { kind: 'parsed', command, series, values, hasOption: (name) => values.has(name) };
}

function givenTwoWays(command: Command, parameter: Parameter): Unparsable {
  return unparsable(
    'ambiguous-argument',
    `${parameter.name} of "${command.name}" is given both as --${parameter.name} and as a positional; use one of them`,
  );
}

/** Adds one value as the server's own filling does, but refuses where it would overwrite or silently drop. */
function add(given: Given, parameter: Parameter, value: string): Unparsable | undefined {
  const before = given.get(parameter);
  if (before !== undefined && parameter.type !== 'array') {
    return unparsable('repeated-option', `${optionName(parameter)} (${parameter.name}) is given twice`);
  }
  if (parameter.type !== 'int') {
    if (before === undefined) given.set(parameter, [value]);
    else before.push(value);
    return undefined;
  }
  // 2.3 drops a number that it cannot read and goes on without; 2.4 says USAGE. Neither takes a plus, blanks or a radix.
  const number = /^-?\d{1,40}$/.test(value) ? BigInt(value) : undefined;
  if (number === undefined || number > int64Max || number < -int64Max - 1n) {
    return unparsable('number-invalid', `${parameter.name} must be a decimal number of at most 64 bits`);
  }
  if (parameter.isUnsigned && number < 0n) {
    return unparsable('number-invalid', `${parameter.name} must not be negative`);
  }
  given.set(parameter, [number.toString()]);
  return undefined;
}

/** 2.3: each operand goes to the first positional that has no value yet, or that takes several. */
function placeBackAndForth(
  command: Command,
  operands: readonly string[],
  given: Given,
  place: Place,
): Unparsable | undefined {
  for (const operand of operands) {
    const target = command.params.find(
      (one) => one.isPositional && (one.type === 'array' || !given.has(one)),
    );
    if (target === undefined) return surplus(command);
    const refusal = place(target, operand);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** 2.4: a pointer that only moves forward; a parameter with a key takes its value only behind that very word. */
function placeForward(
  command: Command,
  operands: readonly string[],
  given: Given,
  place: Place,
): Unparsable | undefined {
  const places = command.params.filter((one) => one.isPositional);
  let at = 0;
  let plain = 0;
  for (let next = 0; next < operands.length; next += 1) {
    let taken: Parameter | undefined;
    for (; at < places.length; at += 1) {
      const candidate = places[at];
      if (candidate === undefined) break;
      if (candidate.key === undefined) plain = at;
      if (given.has(candidate) && candidate.type !== 'array') continue;
      if (candidate.key !== undefined) {
        if (next + 1 >= operands.length || !isKey(candidate, operands[next])) continue;
        next += 1;
      }
      taken = candidate;
      break;
    }
    if (taken === undefined) return surplus(command);
    const refusal = place(taken, operands[next] ?? '');
    if (refusal !== undefined) return refusal;
    if (taken.key !== undefined) at = plain;
  }
  return undefined;
}

/** 2.4 clients write `source-user` where its servers only know `user` (they die of it): taken as it was meant. */
function isKey(parameter: Parameter, word: string | undefined): boolean {
  return word === parameter.key || word === parameter.name;
}

function surplus(command: Command): Unparsable {
  const names = command.params.filter((one) => one.isPositional).map((one) => one.name);
  const takes = names.length === 0 ? 'takes none' : `takes ${names.join(', ')}`;
  return unparsable(
    'surplus-argument',
    `"${command.name}" is given more positional arguments than it takes (${takes})`,
  );
}

function normalise(
  series: Series,
  command: Command,
  given: Given,
): Map<string, readonly string[]> | Unparsable {
  const values = new Map<string, readonly string[]>();
  for (const parameter of command.params) {
    const list = given.get(parameter);
    if (list !== undefined) values.set(parameter.name, list);
  }
  for (const step of [joinTwins, readSourceUser, demandPositionals]) {
    const refusal = step(series, command, values);
    if (refusal !== undefined) return refusal;
  }
  return values;
}

/** `field` and `fieldstr`, `flag` and `flagstr` say the same; 2.3 puts both on its flat list, 2.4 drops the positional. */
function joinTwins(
  _series: Series,
  command: Command,
  values: Map<string, readonly string[]>,
): Unparsable | undefined {
  for (const parameter of command.params) {
    const listName = listOfText(command, parameter)?.name;
    if (listName === undefined) continue;
    const list = values.get(listName);
    const text = values.get(parameter.name)?.[0];
    if (list !== undefined && text !== undefined) {
      return unparsable(
        'ambiguous-argument',
        `"${command.name}" is given both --${listName} and the positional for it; write them all as one positional, joined by blanks`,
      );
    }
    if (list !== undefined && list.some((word) => word === '' || word.includes(' '))) {
      return unparsable('ambiguous-argument', `--${listName} takes one word at a time, without a blank`);
    }
    const words = list ?? text?.split(' ').filter(Boolean);
    if (words === undefined) continue;
    if (words.length === 0) {
      return unparsable('argument-missing', `"${command.name}" is given an empty list of ${listName}s`);
    }
    values.delete(parameter.name);
    values.set(listName, lowerCaseFields.has(command.name) ? words.map(toLowerAscii) : words);
  }
  return undefined;
}

/**
 * `copy` and `move`. 2.3 reads the flat list of its positionals again: only if the word behind the destination is `user`, in
 * any case, is the next one the source user. 2.4 has done it by key. `source-user` is how 2.4 clients write it.
 */
function readSourceUser(
  series: Series,
  command: Command,
  values: Map<string, readonly string[]>,
): Unparsable | undefined {
  if (parameterNamed(command, 'source-user')?.isPositional !== true) return undefined;
  if (series === '2.3') {
    const flat = [
      ...(values.get('source-type') ?? []),
      ...(values.get('source-user') ?? []),
      ...(values.get('query') ?? []),
    ];
    for (const name of ['source-type', 'source-user', 'query']) values.delete(name);
    const [key, user] = flat;
    const isNamed = user !== undefined && (toLowerAscii(key ?? '') === 'user' || key === 'source-user');
    if (isNamed) values.set('source-user', [user]);
    const query = isNamed ? flat.slice(2) : flat;
    if (query.length > 0) values.set('query', query);
  }
  // Not a search key, and written out again it would be taken for the key of the source user.
  const first = toLowerAscii(values.get('query')?.[0] ?? '');
  if (first === 'user' || first === 'source-user') {
    return unparsable(
      'query-invalid',
      `the query of "${command.name}" begins with the word for a source user`,
    );
  }
  return undefined;
}

/** What must be there is there, and no positional is empty while a later one is set: it could not be written out again. */
function demandPositionals(
  _series: Series,
  command: Command,
  values: Map<string, readonly string[]>,
): Unparsable | undefined {
  let gap: Parameter | undefined;
  for (const parameter of command.params) {
    if (!parameter.isPositional || parameter.name === 'source-type' || parameter.name === 'source-user')
      continue;
    const isThere = values.has(parameter.name) || values.has(listOfText(command, parameter)?.name ?? '');
    if (!isThere && !parameter.isOptional) {
      return unparsable('argument-missing', `"${command.name}" needs ${parameter.name}`);
    }
    if (isThere && gap !== undefined) {
      return unparsable(
        'ambiguous-argument',
        `"${command.name}" is given ${parameter.name} without ${gap.name}`,
      );
    }
    if (!isThere) gap = parameter;
  }
  return undefined;
}

function toLowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
