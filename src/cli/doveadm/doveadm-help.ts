// The list of commands and the usage of one, in the form of the real program; of those that go over a socket, since the others do not
// work here. It is made from the catalog: there are no other tables of options.

import { type Command, commandsOf, type Parameter, textOfList } from '../../domain/commands/catalog.js';
import { allSeries } from '../../domain/commands/series.js';
import { isLocalOnly } from './typed-command.js';

/** The first line; of the commands that begin so. */
export function usageLine(group: string): string {
  return `usage: doveadm [-Dv] [-f <formatter>] ${group === '' ? '' : `${group} `}<command> [<args>]`;
}

/**
 * The commands whose names begin with these words and go on, one a line, those of a group on one line; without the last LF.
 * Undefined: there are none.
 */
export function writeCommands(group: string): string | undefined {
  const begin = group === '' ? '' : `${group} `;
  const lines = new Map<string, string[]>();
  for (const command of allCommands()) {
    if (!command.name.startsWith(begin)) continue;
    const [first = '', second] = command.name.slice(begin.length).split(' ');
    const said = lines.get(first) ?? [];
    lines.set(first, said);
    if (second === undefined) said.unshift(argumentsOf(command));
    else if (said.at(-1) !== second) said.push(second);
  }
  if (lines.size === 0) return undefined;
  const shown = [...lines].map(([name, said]) => `  ${name.padEnd(12)} ${said.join('|')}`.trimEnd());
  return [usageLine(group), ...shown].join('\n');
}

/** The usage of the command that the words name; undefined: there is none. */
export function writeUsage(words: readonly string[]): string | undefined {
  const name = words.join(' ');
  const command = allCommands().find((one) => one.name === name);
  return command && `doveadm ${name} ${argumentsOf(command)}`.trimEnd();
}

/** By name; of those that both series have, the newer. */
function allCommands(): readonly Command[] {
  const byName = new Map<string, Command>();
  for (const series of allSeries) {
    for (const command of commandsOf(series))
      if (!isLocalOnly(command.words) && command.input !== 'duplex') byName.set(command.name, command);
  }
  return [...byName.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

function argumentsOf(command: Command): string {
  const { scope, params, input } = command;
  const own = scope === 'user' ? params.filter(({ name }) => !commonParameters.has(name)) : params;
  const options = own
    .filter((one) => !one.isPositional && one.role !== 'internal' && textOfList(command, one) === undefined)
    .map(formatOption);
  const positionals = own.filter((one) => one.isPositional).map(formatPositional);
  const common = scope === 'user' ? ['[-u <user>|-A] [-S <socket_path>]'] : [];
  return [...common, ...options, ...positionals, ...(input === 'dot' ? ['< <text>'] : [])].join(' ');
}

/** What every command about mail has; shown in one piece, as the real program does. */
const commonParameters: ReadonlySet<string> = new Set([
  'all-users',
  'socket-path',
  'user',
  'user-file',
  'trans-flags',
  'no-userdb-lookup',
]);

function formatOption({ short, name, type }: Parameter): string {
  const option = short === undefined ? `--${name}` : `-${short}`;
  return type === 'bool' ? `[${option}]` : `[${option} <${name}>]`;
}

function formatPositional({ name, role, type, isOptional }: Parameter): string {
  const shown = role === 'search-query' ? '<search query>' : `<${name.replace(/str$/, 's')}>`;
  const many = type === 'array' && role !== 'search-query' ? `${shown} [...]` : shown;
  return isOptional ? `[${many}]` : many;
}
