// Gives each word of an argument list to the parameter that doveadm-server gives it to: options as glibc's getopt_long reads them with the
// table of the command, operands as both series do. Refuses what readers differ on.
//
// The table of a command holds every parameter as a long option, positionals too; all but bool take a value.
//   -r  -rs  -ubob  -u bob  -su bob  --user bob  --user=bob  --user=  --  -
import { type Command, listOfText, optionName, type Parameter, parameterNamed } from './catalog.js';

/** Faults of arguments. A code is never renamed or reused. */
export type UnparsableCode =
  | 'unknown-option'
  | 'abbreviated-option'
  | 'value-not-taken'
  | 'value-missing'
  | 'value-type'
  | 'repeated-option'
  | 'surplus-argument'
  | 'argument-missing'
  | 'number-invalid'
  | 'ambiguous-argument'
  | 'text-invalid'
  | 'fields-invalid'
  | 'query-invalid'
  | 'user-invalid'
  | 'user-unknown'
  | 'too-long'
  | 'too-many'
  | 'kills-server'
  | 'not-over-http';

/** A refusal. The message names parameters of the catalog and places in the line, never the client's text. */
export interface Unparsable {
  readonly kind: 'unparsable';
  readonly code: UnparsableCode;
  readonly message: string;
}

export const boolGiven = 'true';

const int64Max = 2n ** 63n - 1n;
/** Numbers of at most 32 bits: for longer ones 2.4 refuses or its process ends, and 2.3 cuts off the rest. */
const shortNumbers: readonly string[] =
  'lock-timeout max-recent min-first-recent-uid min-next-uid timeout trans-flags uid uid-validity'.split(' ');

/** Texts in 2.3 that it later reads as a number of at least 0; any other value ends the process (measured on 2.3.19.1). */
const numberTexts: readonly string[] =
  'max-recent min-first-recent-uid min-highest-modseq min-highest-pvt-modseq min-next-uid uid-validity'.split(
    ' ',
  );

export type Given = Map<Parameter, string[]>;

interface GivenOption {
  readonly parameter: Parameter;
  readonly value: string;
}

/** A refusal as a value. The message must not contain the client's text: it goes to logs and to the client. */
export function unparsable(code: UnparsableCode, message: string): Unparsable {
  return { kind: 'unparsable', code, message };
}

/**
 * The values of each parameter in the server's order. Options come first, wherever they are; a number is decimal without leading zeros.
 * `isTyped`: as the real program reads a person's words, before it writes them out for a server. It completes an unambiguous long option,
 * and a list given by `--field` or `--flag` replaces the positional for it (measured on 2.3.19.1; servers of 2.4 drop that positional, so
 * it is refused on the wire).
 */
export function readArguments(
  command: Command,
  args: readonly string[],
  isTyped = false,
): Given | Unparsable {
  const bad = args.findIndex((arg) => arg.includes('\0'));
  if (bad !== -1) {
    // The server's strings end there: it would see a different value.
    return unparsable('text-invalid', `argument ${bad + 1} of "${command.name}" holds a NUL byte`);
  }
  const options: GivenOption[] = [];
  let operands: string[] = [];
  for (let next = 0; next < args.length; next += 1) {
    const word = args[next] ?? '';
    const isOperand = word === '-' || !word.startsWith('-');
    if (word === '--' || (isOperand && !command.permutes)) {
      operands = operands.concat(args.slice(isOperand ? next : next + 1));
      break;
    }
    if (isOperand) {
      operands.push(word);
      continue;
    }
    const taken = word.startsWith('--')
      ? readLong(command, args, next, options, isTyped)
      : readCluster(command, args, next, options);
    if (typeof taken !== 'number') return taken;
    next += taken;
  }
  const given: Given = new Map();
  for (const { parameter, value } of options) {
    const refusal = addValue(given, parameter, value);
    if (refusal !== undefined) return refusal;
  }
  const places = command.params.filter((one) => {
    const list = isTyped ? listOfText(command, one) : undefined;
    return one.isPositional && !(list !== undefined && given.has(list));
  });
  return placeOperands(command, places, operands, given) ?? given;
}

/** Reads the option `--NAME` at that position; returns how many of the following words are its value. */
function readLong(
  command: Command,
  args: readonly string[],
  at: number,
  options: GivenOption[],
  isTyped: boolean,
): number | Unparsable {
  const text = args[at] ?? '';
  const equals = text.indexOf('=');
  const name = text.slice(2, equals === -1 ? undefined : equals);
  const meant = command.params.filter((one) => one.name.startsWith(name));
  const parameter = parameterNamed(command, name) ?? (isTyped && meant.length === 1 ? meant[0] : undefined);
  if (parameter === undefined) return unknownLong(command, meant, at + 1);
  if (parameter.type === 'bool') {
    if (equals !== -1)
      return unparsable('value-not-taken', `--${name} takes no value; leave the "=" and what follows out`);
    options.push({ parameter, value: boolGiven });
    return 0;
  }
  const value = equals === -1 ? args[at + 1] : text.slice(equals + 1);
  if (value === undefined) return valueMissing(`--${name}`);
  options.push({ parameter, value });
  return equals === -1 ? 1 : 0;
}

/** Reads the options `-abc` at that position; returns how many of the following words are the value of the last one. */
function readCluster(
  command: Command,
  args: readonly string[],
  at: number,
  options: GivenOption[],
): number | Unparsable {
  const word = args[at] ?? '';
  for (let index = 1; index < word.length; index += 1) {
    const letter = word[index] ?? '';
    const parameter = command.params.find(({ short }) => short === letter);
    if (parameter === undefined) {
      return unparsable(
        'unknown-option',
        `argument ${at + 1} of "${command.name}" has a letter that is no option of it; a positional that begins with "-" goes behind "--"`,
      );
    }
    if (parameter.type !== 'bool') {
      // The rest of the word is the value, whatever it looks like; without a rest, the next word is.
      const rest = word.slice(index + 1);
      const value = rest === '' ? args[at + 1] : rest;
      if (value === undefined) return valueMissing(optionName(parameter));
      options.push({ parameter, value });
      return rest === '' ? 1 : 0;
    }
    // Checked at once: a word of 64 KiB would be as many options.
    if (word.indexOf(letter, 1) < index) return givenTwice(parameter);
    options.push({ parameter, value: boolGiven });
  }
  return 0;
}

/** The server completes abbreviated long options; the result depends on its table. */
function unknownLong(command: Command, meant: readonly Parameter[], at: number): Unparsable {
  if (meant.length > 0) {
    const names = meant.map((one) => `--${one.name}`).join(' or ');
    const text = `argument ${at} of "${command.name}" shortens a long option; write it out: ${names}`;
    return unparsable('abbreviated-option', text);
  }
  return unparsable('unknown-option', `argument ${at} is no option of "${command.name}"`);
}

function valueMissing(option: string): Unparsable {
  return unparsable('value-missing', `${option} needs a value behind it`);
}

function givenTwice(parameter: Parameter): Unparsable {
  return unparsable('repeated-option', `${optionName(parameter)} (${parameter.name}) is given twice`);
}

export function numbersOf({ name, type, isUnsigned }: Parameter): {
  readonly least: bigint;
  readonly most: bigint;
} {
  const isShort = shortNumbers.includes(name);
  return {
    least: isUnsigned || isShort || type !== 'int' ? 0n : -int64Max - 1n,
    most: isShort ? 2n ** 32n - 1n : int64Max,
  };
}

/** Adds one value as the server does, but refuses where the server would overwrite or silently drop one. */
export function addValue(given: Given, parameter: Parameter, value: string): Unparsable | undefined {
  const before = given.get(parameter);
  if (before !== undefined && parameter.type !== 'array') return givenTwice(parameter);
  const isText = parameter.type !== 'int';
  if (isText && !numberTexts.includes(parameter.name)) {
    if (before === undefined) given.set(parameter, [value]);
    else before.push(value);
    return undefined;
  }
  // 2.3 silently drops an invalid number; 2.4 answers USAGE. Neither accepts a plus, blanks or a radix.
  const number = /^-?\d{1,40}$/.test(value) ? BigInt(value) : undefined;
  if (number === undefined || number > int64Max || number < -int64Max - 1n) {
    return unparsable('number-invalid', `${parameter.name} must be a decimal number of at most 64 bits`);
  }
  const { least, most } = numbersOf(parameter);
  if (number < least) {
    return unparsable('number-invalid', `${parameter.name} must not be negative`);
  }
  if (number > most) {
    return unparsable('number-invalid', `${parameter.name} must be a number of at most 32 bits`);
  }
  given.set(parameter, [number.toString()]);
  return undefined;
}

/**
 * Each operand goes to the first positional without a value, or with room for several; the position only moves forward. 2.4: a parameter
 * with a key takes its value only after that word, and the positionals before it get another chance.
 */
function placeOperands(
  command: Command,
  places: readonly Parameter[],
  operands: readonly string[],
  given: Given,
): Unparsable | undefined {
  const byOption = new Set(given.keys());
  let at = 0;
  let plain = 0;
  for (let next = 0; next < operands.length; next += 1) {
    let target = places[at];
    while (target !== undefined) {
      if (target.key === undefined) plain = at;
      // A parameter with its value keeps it, so no position is visited twice.
      const isFree = target.type === 'array' || !given.has(target);
      if (isFree && target.key === undefined) break;
      if (isFree && next + 1 < operands.length && isKey(target, operands[next])) {
        next += 1;
        break;
      }
      at += 1;
      target = places[at];
    }
    if (target === undefined) return surplus(command);
    if (byOption.has(target)) {
      const text = `is given both as --${target.name} and as a positional; use one of them`;
      return unparsable('ambiguous-argument', `${target.name} of "${command.name}" ${text}`);
    }
    const refusal = addValue(given, target, operands[next] ?? '');
    if (refusal !== undefined) return refusal;
    if (target.key !== undefined) at = plain;
  }
  return undefined;
}

/** 2.4 clients write `source-user` where 2.4 servers only accept `user` (the other word ends their process): treated as `user`. */
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
