// A command of the library as Dovecot's HTTP API takes it: its name and parameters in camelCase, their values as JSON. The words are
// read by the catalog, since JSON has no positionals. Imported on demand: only HTTP needs the catalog for sending.

import {
  listOfText,
  resolveCommand,
  resolveOwnCommand,
  type Series,
  textOfList,
} from '../domain/commands/catalog.js';
import { jsonName, type ParsedArguments, parseArguments } from '../domain/commands/parse.js';
import { replyShape } from '../domain/meaning/columns.js';
import { type Command, SessionFault } from './client-command.js';

/** What a parameter may hold. */
export type JsonParameter = string | true | readonly string[];

export interface JsonCommand {
  /** `mailboxStatus`; of a command of dovegate's own `dovegate can`. */
  readonly name: string;
  /** In table order; the text of `file` is not among them. */
  readonly parameters: Readonly<Record<string, JsonParameter>>;
  readonly takesInput: boolean;
  /** The keys of a row in the order of its cells; undefined: those of the answer count. */
  readonly keys: readonly string[] | undefined;
}

/** Throws SessionFault `unsendable` for words that no series can read, and for what JSON cannot express. */
export function jsonCommandOf({ user = '', name, args = [] }: Command): JsonCommand {
  if (resolveOwnCommand([name]) !== undefined)
    return { name, parameters: {}, takesInput: false, keys: ['what', 'value'] };
  const parsed = read(name, args);
  const { command } = parsed;
  if (command.params.some(({ name: key, role }) => role === 'content-file' && parsed.values.has(key)))
    throw new SessionFault(
      'unsendable',
      'over HTTP the text is the input of the command, never a file of the server',
    );
  if (command.input === 'duplex')
    throw new SessionFault('unsendable', `"${name}" speaks both ways, which HTTP cannot`);
  const parameters: Record<string, JsonParameter> = {};
  if (command.scope === 'user' && !parsed.values.has('all-users')) parameters['user'] = user;
  for (const [key, value] of parametersOf(parsed)) parameters[jsonName(key)] = value;
  return {
    name: jsonName(command.name),
    parameters,
    takesInput: command.input === 'dot',
    keys: parsed.values.has('all-users') ? undefined : replyShape(parsed, 3)?.columns.map(({ key }) => key),
  };
}

function read(name: string, args: readonly string[]): ParsedArguments {
  let problem = `there is no command "${name}"`;
  for (const series of ['2.4', '2.3'] satisfies Series[]) {
    const found = resolveCommand(series, [name, ...args]);
    if (found === undefined) continue;
    const parsed = parseArguments(series, found.command, found.args);
    if (parsed.kind === 'parsed') return parsed;
    problem = parsed.message;
  }
  throw new SessionFault('unsendable', problem);
}

function* parametersOf({ command, values }: ParsedArguments): Generator<readonly [string, JsonParameter]> {
  for (const parameter of command.params) {
    if (textOfList(command, parameter) !== undefined) {
      const words = values.get(parameter.name);
      if (words !== undefined) yield [parameter.name, words];
      continue;
    }
    // `fieldstr` is never among the values; `field` holds its words.
    if (listOfText(command, parameter) !== undefined) continue;
    const given = values.get(parameter.name);
    if (given === undefined) continue;
    if (parameter.name === 'source-user') yield ['source-type', 'user'];
    yield [
      parameter.name,
      parameter.type === 'bool' ? true : parameter.type === 'array' ? given : (given[0] ?? ''),
    ];
  }
}
