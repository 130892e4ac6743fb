// A command of the library in the form of Dovecot's HTTP API: name and parameters in camelCase, values as JSON. The catalog
// parses the words, because JSON has no positional arguments; only HTTP loads it for sending.

import {
  listOfText,
  resolveCommand,
  resolveOwnCommand,
  type Series,
  textOfList,
} from '../doveadm/commands/catalog.js';
import { jsonName } from '../doveadm/commands/named.js';
import { type ParsedArguments, parseArguments } from '../doveadm/commands/parse.js';
import { replyShape } from '../doveadm/meaning/columns.js';
import { type Command, unsendable } from './client-command.js';

export type JsonParameter = string | true | readonly string[];

export interface JsonCommand {
  /** `mailboxStatus`; for dovegate's own commands `dovegate can`. */
  readonly name: string;
  /** In table order, without the text of `file`. */
  readonly parameters: Readonly<Record<string, JsonParameter>>;
  readonly takesInput: boolean;
  /** The keys of a row in the order of its cells; undefined: as in the answer. */
  readonly keys: readonly string[] | undefined;
}

/**
 * The forms of a command, at least one: with the parameter names of 2.4, then with those of 2.3 if they differ (`proxy kick`, `fs delete`),
 * for a server that answers `invalidRequest` to the first. Throws SessionFault `unsendable` for words that no series can parse, and for
 * words that JSON cannot express.
 */
export function jsonFormsOf({ user = '', name, args = [] }: Command): readonly JsonCommand[] {
  if (resolveOwnCommand([name]) !== undefined)
    return [{ name, parameters: {}, takesInput: false, keys: ['what', 'value'] }];
  let problem = `there is no command "${name}" here, and one of a plugin cannot go over HTTP`;
  const forms = new Map<string, JsonCommand>();
  for (const series of ['2.4', '2.3'] satisfies Series[]) {
    const found = resolveCommand(series, [name, ...args]);
    if (found === undefined) continue;
    const parsed = parseArguments(series, found.command, found.args);
    if (parsed.kind !== 'parsed') {
      problem = parsed.message;
      continue;
    }
    const form = formOf(parsed, user);
    // An input can be sent once.
    if (forms.size === 0 || !form.takesInput) forms.set(JSON.stringify(form.parameters), form);
  }
  if (forms.size === 0) throw unsendable(problem);
  return [...forms.values()];
}

function formOf(parsed: ParsedArguments, user: string): JsonCommand {
  const { command, values } = parsed;
  if (command.params.some(({ name, role }) => role === 'content-file' && values.has(name)))
    throw unsendable('over HTTP the text is the input of the command, never a file of the server');
  if (command.input === 'duplex') throw unsendable(`"${command.name}" speaks both ways, which HTTP cannot`);
  const parameters: Record<string, JsonParameter> = {};
  // JSON has no other place for the user, and a pattern there does not work: `*` would mean everybody.
  if (command.scope === 'user' && /[*?]/.test(user))
    throw unsendable('over HTTP a mask is no user: name one, or all with -A');
  if (command.scope === 'user' && !values.has('all-users')) parameters['user'] = user;
  for (const [key, value] of parametersOf(parsed)) parameters[jsonName(key)] = value;
  return {
    name: jsonName(command.name),
    parameters,
    takesInput: command.input === 'dot',
    keys: values.has('all-users') ? undefined : replyShape(parsed)?.columns.map(({ key }) => key),
  };
}

function* parametersOf({ command, values }: ParsedArguments): Generator<readonly [string, JsonParameter]> {
  for (const parameter of command.params) {
    if (textOfList(command, parameter) !== undefined) {
      const words = values.get(parameter.name);
      if (words !== undefined) yield [parameter.name, words];
      continue;
    }
    // `fieldstr` never has a value of its own; `field` holds its words.
    if (listOfText(command, parameter) !== undefined) continue;
    const given = values.get(parameter.name);
    if (given === undefined) continue;
    const isOld = command.params.some(({ name }) => name === 'source-type');
    if (isOld && parameter.name === 'source-user') yield ['source-type', 'user'];
    yield [
      parameter.name,
      parameter.type === 'bool' ? true : parameter.type === 'array' ? given : given.join(' '),
    ];
  }
}
