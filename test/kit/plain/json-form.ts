// The JSON form of command lines: the same parameters by name, in any of the spellings that /doveadm/v1 takes.
import type { Command, Series } from '../../../src/doveadm/commands/catalog.js';
import { resolveCommand } from '../../../src/doveadm/commands/catalog.js';
import { readArguments } from '../../../src/doveadm/commands/getopt.js';
import { jsonName, readNamedCommand } from '../../../src/doveadm/commands/named.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import type { CommandLine, JsonValue, NamedParameter } from '../../../src/doveadm/protocol/command.js';
import { pick, type Random } from './chunkings.js';

export interface JsonForm {
  readonly name: string;
  readonly parameters: readonly NamedParameter[];
}

/** Spells each name in another of the three ways; `index` says which comes first. */
function spellName(name: string, index: number): string {
  const ways = [
    () => name.replace(/[- ]([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    () => name.replaceAll(' ', '-'),
    () => name.replaceAll('-', ' '),
  ];
  return (ways[index % ways.length] ?? (() => name))();
}

function valueOf(command: Command, name: string, values: readonly string[], index: number): JsonValue {
  // Only the fields of `mailbox cache decision` are several words of one text.
  const first = values.join(' ');
  const type = command.params.find((each) => each.name === name)?.type;
  const text: JsonValue = { kind: 'string', text: first };
  if (index % 2 === 1 || type === 'istream') return type === 'array' ? { kind: 'list', items: values } : text;
  if (type === 'bool') return { kind: 'true' };
  if (type === 'array') return values.length === 1 ? text : { kind: 'list', items: values };
  return /^-?\d+$/.test(first) ? { kind: 'number', text: first } : text;
}

/** The form of values by name, as ParsedArguments.values has them; a command with input gets a text. */
export function jsonForm(
  command: Command,
  user: string,
  values: ReadonlyMap<string, readonly string[]>,
  index = 0,
): JsonForm {
  const parameters: NamedParameter[] = [...values].map(([name, list], at) => ({
    name: spellName(name, index + at),
    value: valueOf(command, name, list, index + at),
  }));
  if (command.scope === 'user' && user !== '')
    parameters.push({ name: 'user', value: { kind: 'string', text: user } });
  if (command.input === 'dot') parameters.unshift({ name: 'file', value: { kind: 'span', from: 0, to: 0 } });
  return { name: spellName(command.name, index), parameters };
}

/**
 * The form of a line of the wire. Undefined: it has none, since the trick is in words that JSON does not have: no command, options that are
 * not read, a `-u` beside the user of the line, a file of the server instead of a text.
 */
export function jsonFormOf(
  series: Series,
  user: string,
  words: readonly string[],
  index = 0,
): JsonForm | undefined {
  const resolved = resolveCommand(series, words);
  if (resolved === undefined) return undefined;
  const { command, args } = resolved;
  const parsed = parseArguments(series, command, args);
  const read = readArguments(command, args);
  if (!(read instanceof Map)) return undefined;
  const values = new Map(
    parsed.kind === 'parsed' ? parsed.values : [...read].map(([parameter, list]) => [parameter.name, list]),
  );
  if (command.scope === 'user' && values.has('user')) return undefined;
  if (command.input === 'dot' && values.has('file')) return undefined;
  return jsonForm(command, user, values, index);
}

/** The line that the form becomes. */
export function lineOfForm(form: JsonForm): CommandLine {
  const read = readNamedCommand(form);
  if (read.kind === 'bad') throw new Error(read.text);
  return read.line;
}

/** Whether the engine takes it for JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The name of a command or a parameter in one of its forms. */
export function spelling(random: Random, name: string): string {
  const forms = [jsonName(name), jsonName(name), name, name.replaceAll(' ', '-'), name.replaceAll('-', ' ')];
  return pick(random, forms);
}
