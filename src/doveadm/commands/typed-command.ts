// Parses a typed command as the real doveadm does before it connects: the command, the arguments to send, and the inputs to read
// here (a text, a list of users). The list of commands and their usage come from the catalog.

import { wrongUsage } from '../../host/output/output.js';
import { canonicalArguments } from '../meaning/canonical.js';
import {
  allSeries,
  type Command,
  commandOfOthers,
  commandsOf,
  type Parameter,
  resolveCommand,
  resolveOwnCommand,
  type Series,
  textOfList,
  whyLocal,
} from './catalog.js';
import { inputOf, type ParsedArguments, parseArguments, withoutParameters } from './parse.js';

export interface TypedCommand {
  readonly command: Command;
  /** Without the options that only this side reads. */
  readonly parsed: ParsedArguments;
  readonly args: readonly string[];
  /** The text that goes with it: from a file here, or from stdin when `file` is undefined. */
  readonly input: { readonly file: string | undefined } | undefined;
  readonly user: string | undefined;
  readonly isAllUsers: boolean;
  readonly userFile: string | undefined;
  readonly socket: string | undefined;
}

/** Options of every mail command; shown once, as the real program does. */
const commonParameters = ['all-users', 'socket-path', 'user', 'user-file', 'trans-flags', 'no-userdb-lookup'];

/** Why an option in front of the command is for Dovecot's own machine alone; undefined: it is none of these. */
export function whyLocalOption(letter: string): string | undefined {
  return /^[coi]$/.test(letter)
    ? `-${letter} changes the settings of Dovecot on its own machine: it is never sent over a socket`
    : undefined;
}

/** Throws a CommandFault for words that are no command, or none that goes over a socket. */
export function readTypedCommand(words: readonly string[], series: Series = '2.4'): TypedCommand {
  const local = whyLocal(words);
  if (local !== undefined) throw wrongUsage(local);
  const own = resolveOwnCommand(words);
  if (own !== undefined) return readArguments('2.4', own.command, own.args);
  // A command that 2.4 lacks may exist in 2.3.
  for (const one of [series, series === '2.4' ? '2.3' : '2.4'] as const) {
    const found = resolveCommand(one, words);
    if (found !== undefined) return readArguments(one, found.command, found.args);
  }
  throw wrongUsage(`there is no command "${words.slice(0, 2).join(' ')}"`);
}

/**
 * As {@link readTypedCommand}, but a command that no catalog here has is sent as it is typed, without any input: a gate may have it from a
 * file of its own, and a server from a plugin. Both refuse it if they do not.
 */
export function readSentCommand(words: readonly string[], series?: Series): TypedCommand {
  const [name = '', ...args] = words;
  const isKnown = allSeries.some((one) => resolveCommand(one, words) !== undefined);
  // Other words mean something else on the wire: OPTION has no reply.
  const mayBeName = /^[a-z0-9][a-z0-9_ -]*$/.test(name);
  if (isKnown || !mayBeName || whyLocal(words) !== undefined || resolveOwnCommand(words) !== undefined)
    return readTypedCommand(words, series);
  const command = commandOfOthers(name);
  return {
    command,
    parsed: { kind: 'parsed', series: series ?? '2.4', command, values: new Map(), query: undefined },
    args,
    input: undefined,
    user: undefined,
    isAllUsers: false,
    userFile: undefined,
    socket: undefined,
  };
}

function readArguments(series: Series, command: Command, args: readonly string[]): TypedCommand {
  // The real program reads `-` as stdin, which is also the default.
  const given = command.input === 'dot' && args.at(-1) === '-' ? args.slice(0, -1) : args;
  const parsed = parseArguments(series, command, given, true);
  if (parsed.kind === 'unparsable') throw wrongUsage(parsed.message);
  if (inputOf(command, parsed) === 'duplex')
    throw wrongUsage(`"${command.name}" needs the connection in both directions: it cannot be run here`);
  const isMail = command.scope === 'user';
  const value = (name: string): string | undefined => (isMail ? parsed.values.get(name)?.[0] : undefined);
  const sent = isMail ? withoutParameters(parsed, [...commonParameters, 'file']) : parsed;
  return {
    command,
    parsed: sent,
    args: canonicalArguments(sent),
    input: command.input === 'dot' ? { file: parsed.values.get('file')?.[0] } : undefined,
    user: value('user'),
    isAllUsers: isMail && parsed.values.has('all-users'),
    userFile: value('user-file'),
    socket: value('socket-path'),
  };
}

/** The usage of each command that begins with these words, one a line, without the last LF. Undefined: none does. */
export function writeUsage(words: readonly string[]): string | undefined {
  const begun = words.map((word) => `${word} `).join('');
  const lines = allCommands()
    .filter(({ name }) => `${name} `.startsWith(begun))
    .map(usageOf);
  return lines.length === 0 ? undefined : lines.join('\n');
}

/** By name; for a command of both series, the newer form. */
function allCommands(): readonly Command[] {
  const byName = new Map<string, Command>();
  for (const series of allSeries) {
    for (const command of commandsOf(series))
      if (whyLocal(command.words) === undefined && command.input !== 'duplex')
        byName.set(command.name, command);
  }
  return [...byName.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

function usageOf(command: Command): string {
  const { name: called, scope, params, input } = command;
  const own = scope === 'user' ? params.filter(({ name }) => !commonParameters.includes(name)) : params;
  const options = own
    .filter((one) => !one.isPositional && one.role !== 'internal' && textOfList(command, one) === undefined)
    .map(formatOption);
  const positionals = own.filter((one) => one.isPositional).map(formatPositional);
  const common = scope === 'user' ? ['[-u <user>|-A] [-S <socket_path>]'] : [];
  const text = input === 'dot' ? ['< <text>'] : [];
  return ['doveadm', called, ...common, ...options, ...positionals, ...text].join(' ');
}

function formatOption({ short, name, type }: Parameter): string {
  const option = short === undefined ? `--${name}` : `-${short}`;
  return type === 'bool' ? `[${option}]` : `[${option} <${name}>]`;
}

function formatPositional({ name, role, type, isOptional }: Parameter): string {
  const shown = role === 'search-query' ? '<search query>' : `<${name.replace(/str$/, 's')}>`;
  const many = type === 'array' && role !== 'search-query' ? `${shown} [...]` : shown;
  return isOptional ? `[${many}]` : many;
}
