// Tells options from operands in an argument list as glibc's getopt_long does with the option tables of doveadm-server, and
// refuses what only one of two readers would take. Knows nothing of what a value means or which operand belongs where.
//
// The table of a command holds every parameter as a long option, positionals too; all but bool take a value.
//   -r  -rs  -ubob  -u bob  -su bob  --user bob  --user=bob  --user=  --  -
import type { Command, Parameter } from './catalog.js';

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
  | 'user-invalid';

/** A refusal. The message names parameters of the catalog and places in the line, never what the client wrote. */
export interface Unparsable {
  readonly kind: 'unparsable';
  readonly code: UnparsableCode;
  readonly message: string;
}

/** One option as given; value is undefined for a bool. */
export interface GivenOption {
  readonly parameter: Parameter;
  readonly value: string | undefined;
}

export interface OptionsAndOperands {
  readonly kind: 'read';
  /** In the order of the line. */
  readonly options: readonly GivenOption[];
  /** What is no option, in the order of the line. */
  readonly operands: readonly string[];
}

export function unparsable(code: UnparsableCode, message: string): Unparsable {
  return { kind: 'unparsable', code, message };
}

/** How a parameter is written as an option, for messages and for the canonical form. */
export function optionName(parameter: Parameter): string {
  return parameter.short === undefined ? `--${parameter.name}` : `-${parameter.short}`;
}

/** Splits the arguments behind the command's name. */
export function readOptions(command: Command, args: readonly string[]): OptionsAndOperands | Unparsable {
  const options: GivenOption[] = [];
  const operands: string[] = [];
  let next = 0;
  while (next < args.length) {
    const at = next + 1;
    const word = args[next] ?? '';
    next += 1;
    if (word === '--') {
      operands.push(...args.slice(next));
      break;
    }
    if (word === '-' || !word.startsWith('-')) {
      operands.push(word);
      if (command.permutes) continue;
      operands.push(...args.slice(next));
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
    options.push(...cluster.options);
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
  const parameter = command.params.find((one) => one.name === name);
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
