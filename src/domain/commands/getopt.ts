// Gives each word of an argument list to the parameter that doveadm-server gives it to: options as glibc's getopt_long reads them
// with the table of the command, operands by the rules of the series. Refuses what readers differ on. Knows no values.
//
// The table of a command holds every parameter as a long option, positionals too; all but bool take a value.
//   -r  -rs  -ubob  -u bob  -su bob  --user bob  --user=bob  --user=  --  -
import { type Command, optionName, type Parameter, parameterNamed, type Series } from './catalog.js';

/** What was wrong with the arguments. A code is never renamed or used for something else. */
export type UnparsableCode =
  | 'unknown-option'
  | 'abbreviated-option'
  | 'value-not-taken'
  | 'value-missing'
  | 'repeated-option'
  | 'surplus-argument'
  | 'argument-missing'
  | 'number-invalid'
  | 'ambiguous-argument'
  | 'text-invalid'
  | 'fields-invalid'
  | 'query-invalid'
  | 'user-invalid'
  | 'too-long'
  | 'too-many'
  | 'kills-server';

/** A refusal. The message names parameters of the catalog and places in the line, never what the client wrote. */
export interface Unparsable {
  readonly kind: 'unparsable';
  readonly code: UnparsableCode;
  readonly message: string;
}

/** The value of a bool that is given. */
export const boolGiven = 'true';

const int64Max = 2n ** 63n - 1n;
/** Numbers of which 2.4 takes 32 bits, or dies, and 2.3 cuts the rest off. */
const shortNumbers =
  /^(?:lock-timeout|max-recent|min-first-recent-uid|min-next-uid|timeout|trans-flags|uid|uid-validity)$/;

/** What 2.3 has as text, and reads as a number of at least 0 later; it dies of anything else (measured on 2.3.19.1). */
const numberTexts = /^(?:max-recent|min-[a-z-]+|uid-validity)$/;

type Given = Map<Parameter, string[]>;
type Place = (parameter: Parameter, operand: string) => Unparsable | undefined;

/** One option as written; value is undefined for a bool. */
interface GivenOption {
  readonly parameter: Parameter;
  readonly value: string | undefined;
}

interface OptionsAndOperands {
  readonly kind: 'read';
  /** In the order of the line. */
  readonly options: readonly GivenOption[];
  /** What is no option, in the order of the line. */
  readonly operands: readonly string[];
}

/** A refusal as a value. The message must hold nothing that the client wrote: it goes to logs and to the client. */
export function unparsable(code: UnparsableCode, message: string): Unparsable {
  return { kind: 'unparsable', code, message };
}

/**
 * The values of each parameter in the order in which the server holds them. Options come first, wherever they stand; a number
 * is decimal without leading zeros.
 */
export function readArguments(
  series: Series,
  command: Command,
  args: readonly string[],
): Map<Parameter, string[]> | Unparsable {
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
  const placeAll = series === '2.3' ? placeBackAndForth : placeForward;
  return placeAll(command, read.operands, given, place) ?? given;
}

/** Tells options from operands. */
function readOptions(command: Command, args: readonly string[]): OptionsAndOperands | Unparsable {
  const options: GivenOption[] = [];
  let operands: string[] = [];
  let next = 0;
  while (next < args.length) {
    const at = next + 1;
    const word = args[next] ?? '';
    next += 1;
    if (word === '--') {
      operands = operands.concat(args.slice(next));
      break;
    }
    if (word === '-' || !word.startsWith('-')) {
      operands.push(word);
      if (command.permutes) continue;
      operands = operands.concat(args.slice(next));
      break;
    }
    if (word.startsWith('--')) {
      const given = readLong(command, word.slice(2), at, args[next]);
      if (given.kind === 'unparsable') return given;
      options.push(given.option);
      if (given.tookNext) next += 1;
      continue;
    }
    const cluster = readCluster(command, word, at, args[next]);
    if (cluster.kind === 'unparsable') return cluster;
    for (const option of cluster.options) options.push(option);
    if (cluster.tookNext) next += 1;
  }
  return { kind: 'read', options, operands };
}

type Long = { kind: 'long'; option: GivenOption; tookNext: boolean };

function readLong(
  command: Command,
  text: string,
  at: number,
  following: string | undefined,
): Long | Unparsable {
  const equals = text.indexOf('=');
  const name = equals === -1 ? text : text.slice(0, equals);
  const parameter = parameterNamed(command, name);
  if (parameter === undefined) return unknownLong(command, name, at);
  if (parameter.type === 'bool') {
    if (equals === -1) return { kind: 'long', option: { parameter, value: undefined }, tookNext: false };
    return unparsable('value-not-taken', `--${name} takes no value; leave the "=" and what follows out`);
  }
  if (equals !== -1) {
    return { kind: 'long', option: { parameter, value: text.slice(equals + 1) }, tookNext: false };
  }
  if (following === undefined) return valueMissing(`--${name}`);
  return { kind: 'long', option: { parameter, value: following }, tookNext: true };
}

type Cluster = { kind: 'cluster'; options: GivenOption[]; tookNext: boolean };

function readCluster(
  command: Command,
  word: string,
  at: number,
  following: string | undefined,
): Cluster | Unparsable {
  const options: GivenOption[] = [];
  for (let index = 1; index < word.length; index += 1) {
    const parameter = command.params.find((one) => one.short === word[index]);
    if (parameter === undefined) {
      return unparsable(
        'unknown-option',
        `argument ${at} of "${command.name}" has a letter that is no option of it; a positional that begins with "-" goes behind "--"`,
      );
    }
    if (parameter.type === 'bool') {
      // At once: a word of 64 KiB would be as many options.
      if (options.some((one) => one.parameter === parameter)) return givenTwice(parameter);
      options.push({ parameter, value: undefined });
      continue;
    }
    // The rest of the word is the value, whatever it looks like; without a rest, the next word is.
    const rest = word.slice(index + 1);
    if (rest !== '')
      return { kind: 'cluster', options: [...options, { parameter, value: rest }], tookNext: false };
    if (following === undefined) return valueMissing(optionName(parameter));
    return { kind: 'cluster', options: [...options, { parameter, value: following }], tookNext: true };
  }
  return { kind: 'cluster', options, tookNext: false };
}

/** The server completes a long option from its beginning; which parameter it means then depends on its table. */
function unknownLong(command: Command, name: string, at: number): Unparsable {
  const meant = command.params.filter((one) => one.name.startsWith(name)).map((one) => `--${one.name}`);
  if (meant.length > 0) {
    return unparsable(
      'abbreviated-option',
      `argument ${at} of "${command.name}" shortens a long option; write it out: ${meant.join(' or ')}`,
    );
  }
  return unparsable('unknown-option', `argument ${at} is no option of "${command.name}"`);
}

function valueMissing(option: string): Unparsable {
  return unparsable('value-missing', `${option} needs a value behind it`);
}

function givenTwice(parameter: Parameter): Unparsable {
  return unparsable('repeated-option', `${optionName(parameter)} (${parameter.name}) is given twice`);
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
  if (before !== undefined && parameter.type !== 'array') return givenTwice(parameter);
  const isText = parameter.type !== 'int';
  if (isText && !numberTexts.test(parameter.name)) {
    if (before === undefined) given.set(parameter, [value]);
    else before.push(value);
    return undefined;
  }
  // 2.3 drops a number that it cannot read and goes on without; 2.4 says USAGE. Neither takes a plus, blanks or a radix.
  const number = /^-?\d{1,40}$/.test(value) ? BigInt(value) : undefined;
  if (number === undefined || number > int64Max || number < -int64Max - 1n) {
    return unparsable('number-invalid', `${parameter.name} must be a decimal number of at most 64 bits`);
  }
  const isShort = shortNumbers.test(parameter.name);
  if ((parameter.isUnsigned || isShort || isText) && number < 0n) {
    return unparsable('number-invalid', `${parameter.name} must not be negative`);
  }
  if (isShort && number >= 2n ** 32n) {
    return unparsable('number-invalid', `${parameter.name} must be a number of at most 32 bits`);
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
  const places = command.params.filter((one) => one.isPositional);
  let at = 0;
  for (const operand of operands) {
    let target = places[at];
    // What has its value keeps it, so no place is looked at twice.
    while (target !== undefined && target.type !== 'array' && given.has(target)) {
      at += 1;
      target = places[at];
    }
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
