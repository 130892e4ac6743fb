// Reads a command line as doveadm-server does: fields, flags, the name over one or several fields, and options as glibc's getopt_long
// takes them. What no gate should send (an abbreviated option, a raw escape) is read too, and reported in `oddities`.
import { type CommandSpec, catalog, type Parameter, type Series } from './catalog.js';

export interface WireLine {
  flags: string;
  extra: string[];
  user: string;
  /** Name and arguments, unescaped. */
  words: string[];
}

export interface ParsedCommand {
  spec: CommandSpec;
  /** Values by long name; a flag has the value `true`. */
  values: Map<string, string[]>;
  positionals: string[];
  /** Parameters that stand as options, also where they have a place among the positionals. */
  byOption: Set<string>;
  /** What a server reads otherwise than a person would, or refuses. */
  oddities: string[];
}

/** Splits a line into its parts. Undefined: the server ends the connection. */
export function parseLine(line: string): WireLine | undefined {
  const ended = line.endsWith('\r') ? line.slice(0, -1) : line;
  const nul = ended.indexOf('\0');
  const fields = (nul === -1 ? ended : ended.slice(0, nul)).split('\t').map(unescapeField);
  const flags = fields[0] ?? '';
  if (!/^[Dvx]*$/.test(flags)) return undefined;
  const extras = flags.split('x').length - 1;
  if (fields.length < 3 + extras) return undefined;
  return {
    flags,
    extra: fields.slice(1, 1 + extras),
    user: fields[1 + extras] ?? '',
    words: fields.slice(2 + extras),
  };
}

const escapes: Record<string, string> = { '0': '\0', '1': '\x01', t: '\t', r: '\r', n: '\n' };

/** An escaped NUL ends the field, since the server keeps C strings. */
function unescapeField(field: string): string {
  if (!field.includes('\x01')) return field;
  const plain = field.replace(/\x01([^]?)/g, (_, after: string) => escapes[after] ?? after);
  const nul = plain.indexOf('\0');
  return nul === -1 ? plain : plain.slice(0, nul);
}

/** Finds the command whose words are consumed by the leading fields; a field may hold one or several of them. */
export function resolveName(
  words: readonly string[],
  series: Series,
): { spec: CommandSpec; used: number } | undefined {
  let name = '';
  for (let used = 1; used <= Math.min(4, words.length); used += 1) {
    const word = words[used - 1] ?? '';
    if (word === '') return undefined;
    name = used === 1 ? word : `${name} ${word}`;
    const spec = catalog[series].get(name);
    if (spec !== undefined) return { spec, used };
  }
  return undefined;
}

export function parseCommand(words: readonly string[], series: Series): ParsedCommand | undefined {
  const found = resolveName(words, series);
  if (found === undefined) return undefined;
  return parseArguments(found.spec, words.slice(found.used));
}

export function parseArguments(spec: CommandSpec, args: readonly string[]): ParsedCommand {
  const parsed: ParsedCommand = {
    spec,
    values: new Map(),
    positionals: [],
    byOption: new Set(),
    oddities: [],
  };
  const rest = [...args];
  let optionsEnded = false;
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (optionsEnded || word === '-' || !word.startsWith('-')) {
      parsed.positionals.push(word);
      if (spec.isOrdered) optionsEnded = true;
    } else if (word === '--') optionsEnded = true;
    else if (word.startsWith('--')) readLong(parsed, word.slice(2), rest);
    else readCluster(parsed, word.slice(1), rest);
  }
  assignPositionals(parsed);
  return parsed;
}

function readLong(parsed: ParsedCommand, word: string, rest: string[]): void {
  const equals = word.indexOf('=');
  const name = equals === -1 ? word : word.slice(0, equals);
  const all = parsed.spec.parameters;
  const exact = all.find((one) => one.long === name);
  const parameter = exact ?? all.find((one) => name !== '' && one.long.startsWith(name));
  if (parameter === undefined) {
    parsed.oddities.push(`unknown option --${name}`);
    return;
  }
  if (exact === undefined) parsed.oddities.push(`abbreviated option --${name}`);
  if (parameter.isFlag) {
    if (equals !== -1) parsed.oddities.push(`a value for --${name}`);
    putOption(parsed, parameter, 'true');
  } else if (equals !== -1) putOption(parsed, parameter, word.slice(equals + 1));
  else takeValue(parsed, parameter, rest);
}

function readCluster(parsed: ParsedCommand, letters: string, rest: string[]): void {
  for (let at = 0; at < letters.length; at += 1) {
    const letter = letters[at] ?? '';
    const parameter = parsed.spec.parameters.find((one) => one.letter === letter);
    if (parameter === undefined) {
      parsed.oddities.push(`unknown option -${letter}`);
      return;
    }
    if (parameter.isFlag) putOption(parsed, parameter, 'true');
    else if (at + 1 < letters.length) {
      putOption(parsed, parameter, letters.slice(at + 1));
      return;
    } else takeValue(parsed, parameter, rest);
  }
}

function takeValue(parsed: ParsedCommand, parameter: Parameter, rest: string[]): void {
  const value = rest.shift();
  if (value === undefined) parsed.oddities.push(`no value for ${parameter.long}`);
  else putOption(parsed, parameter, value);
}

function putOption(parsed: ParsedCommand, parameter: Parameter, value: string): void {
  parsed.byOption.add(parameter.long);
  put(parsed, parameter, value);
}

function put(parsed: ParsedCommand, parameter: Parameter, value: string): void {
  const before = parsed.values.get(parameter.long);
  if (before === undefined || !parameter.isList) parsed.values.set(parameter.long, [value]);
  else before.push(value);
}

/** Each positional goes to the first positional parameter that is free or a list. */
function assignPositionals(parsed: ParsedCommand): void {
  const places = parsed.spec.parameters.filter((one) => one.isPositional);
  let at = 0;
  parsed.positionals.forEach((word, number) => {
    while (at < places.length) {
      const place = places[at];
      if (place === undefined) break;
      if (place.isKeyed && !takesKeyed(parsed, number)) at += 1;
      else if (place.isList || !parsed.values.has(place.long)) break;
      else at += 1;
    }
    const place = places[at];
    if (place === undefined) parsed.oddities.push('more arguments than the command takes');
    else put(parsed, place, word);
  });
}

/** `copy DEST user OTHER ...` of 2.4: the key is the literal word, with an argument after it. */
function takesKeyed(parsed: ParsedCommand, number: number): boolean {
  return parsed.positionals[number] === 'user' && number + 1 < parsed.positionals.length;
}

/** Words of a query, also where a client put several into one argument. */
export function queryWords(parsed: ParsedCommand): string[] {
  return [...parsed.spec.parameters]
    .filter((one) => one.class === 'Q')
    .flatMap((one) => parsed.values.get(one.long) ?? []);
}

export function outputFields(parsed: ParsedCommand): string[] {
  return parsed.spec.parameters
    .filter((one) => one.class === 'O')
    .flatMap((one) => parsed.values.get(one.long) ?? [])
    .flatMap((value) => value.split(' '))
    .filter((word) => word !== '');
}

/**
 * One text for all spellings of the same command: the user options that a gate takes out are left out, and the two spellings of a list of
 * fields or flags are one.
 */
export function canonicalText(parsed: ParsedCommand): string {
  const values = new Map<string, string[]>();
  for (const parameter of parsed.spec.parameters) {
    const own = parsed.values.get(parameter.long);
    if (own === undefined || (parsed.spec.isMail && (parameter.class === 'u' || parameter.class === 'A')))
      continue;
    const long = parameter.long.replace(/^(field|flag)str$/, '$1');
    const isJoined = long === 'field' || long === 'flag';
    values.set(long, [
      ...(values.get(long) ?? []),
      ...(isJoined ? own.flatMap((one) => one.split(' ')) : own),
    ]);
  }
  const sorted = [...values].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify([parsed.spec.name, sorted]);
}
