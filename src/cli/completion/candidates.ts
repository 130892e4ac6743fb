// Candidates for the next word of a command line: of dovegate, of the drop-in doveadm, and of the doveadm commands that both
// send. Only words that continue the typed text are candidates.

import type { Argument, Option, Command as Program } from 'commander';
import type { Rights } from '../../domain/answers/rights.js';
import {
  allSeries,
  type Command,
  commandNames,
  ownCommands,
  type Parameter,
  resolveCommand,
  resolveOwnCommand,
  statusFields,
} from '../../domain/commands/catalog.js';
import { allFormats } from '../output/row-printer.js';

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** The possible words at the cursor. The shell completes files and directories itself. */
export type Candidates =
  | { readonly kind: 'words'; readonly words: readonly Candidate[] }
  | { readonly kind: 'files' }
  | { readonly kind: 'directories' };

/** No candidates: nothing can follow, or any word. */
const nothing: Candidates = { kind: 'words', words: [] };

/** The words that begin with the typed text. */
function wordsFrom(begun: string, words: readonly (Candidate | string)[]): Candidates {
  const all = words.map((word) => (typeof word === 'string' ? { word, description: '' } : word));
  return { kind: 'words', words: all.filter(({ word }) => word.startsWith(begun)) };
}

/** Asks the daemon at a socket what may be run there. Undefined: no answer in time. */
export type AskRights = (socket: string) => Promise<Rights | undefined>;

/** Asks it for the ids of requests and grants that `verb` (`approve`, `revoke`, ...) is possible for. Empty: none, or no answer in time. */
export type AskIds = (socket: string, verb: string) => Promise<readonly Candidate[]>;

/**
 * Candidates of dovegate's own command line, read from its option tables, so they cannot get out of date. `words`: those after the
 * program's name, the last one incomplete or empty. Runs nothing that was typed.
 */
export async function completeProgram(
  program: Program,
  words: readonly string[],
  askRights: AskRights,
  askIds: AskIds = () => Promise.resolve([]),
): Promise<Candidates> {
  const begun = words.at(-1) ?? '';
  let command = program;
  /** Values of options, by their long names. */
  const given = new Map<string, string>();
  const positionals: string[] = [];
  let wanted: Option | undefined;
  let isBehindOptions = false;
  for (const word of words.slice(0, -1)) {
    if (wanted !== undefined) {
      given.set(wanted.long ?? '', word);
      wanted = undefined;
    } else if (isBehindOptions || !word.startsWith('-') || word === '-') {
      const next = positionals.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (next === undefined) positionals.push(word);
      else command = next;
    } else if (word === '--') {
      isBehindOptions = true;
    } else {
      const [name = '', value] = word.split(/=(.*)/s);
      const option = visibleOptions(command).find(({ long, short }) => name === long || name === short);
      if (value !== undefined) given.set(name, value);
      else if (option?.required === true) wanted = option;
    }
  }
  if (wanted !== undefined) return valuesNamed(begun, wanted.argChoices, placeholderOf(wanted.flags));
  const { registeredArguments } = command;
  if (!isBehindOptions && begun.startsWith('-')) {
    const options = visibleOptions(command);
    return wordsFrom(
      begun,
      options.map(({ long, short, description }) => ({ word: long ?? short ?? '', description })),
    );
  }
  const next = argumentAt(registeredArguments, positionals.length);
  if (next?.name() === 'command') {
    const socket = given.get('--socket');
    return completeCommandWords([...positionals, begun], {
      hasOwn: command.name() === 'send',
      rights: () => (socket === undefined ? Promise.resolve(undefined) : askRights(socket)),
    });
  }
  if (next?.name() === 'id') {
    const socket = given.get('--socket');
    return wordsFrom(begun, socket === undefined ? [] : await askIds(socket, command.name()));
  }
  if (next !== undefined) return valuesNamed(begun, next.argChoices, next.name());
  if (positionals.length > 0) return nothing;
  return wordsFrom(
    begun,
    command
      .createHelp()
      .visibleCommands(command)
      .map((one) => ({ word: one.name(), description: one.description() })),
  );
}

function visibleOptions(command: Program): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function argumentAt(all: readonly Argument[], at: number): Argument | undefined {
  const last = all.at(-1);
  return all[at] ?? (last?.variadic === true ? last : undefined);
}

/** `file` of `--config <file>`. */
function placeholderOf(flags: string): string {
  return /[<[]([a-z]+)/.exec(flags)?.[1] ?? '';
}

/** Chooses by the placeholder of the value in the help. */
function valuesNamed(begun: string, choices: readonly string[] | undefined, called: string): Candidates {
  if (choices !== undefined) return wordsFrom(begun, choices);
  switch (called) {
    case 'file':
    case 'path':
    case 'place':
      return { kind: 'files' };
    case 'dir':
    case 'directory':
      return { kind: 'directories' };
    default:
      return nothing;
  }
}

/** Candidates of the drop-in doveadm's command line. `socket`: from the environment. */
export async function completeDoveadm(
  words: readonly string[],
  socket: string | undefined,
  askRights: AskRights,
): Promise<Candidates> {
  const begun = words.at(-1) ?? '';
  let at = 0;
  for (; at < words.length - 1; at += 1) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) break;
    if (word === '--') {
      at += 1;
      break;
    }
    const isFormat = word.endsWith('f');
    if (isFormat && at === words.length - 2) {
      return wordsFrom(begun, allFormats);
    }
    if (isFormat) at += 1;
  }
  const command = words.slice(at);
  if (command.length === 1 && begun.startsWith('-')) {
    const { commandLetters } = await import('../doveadm/doveadm.js');
    const options = commandLetters.map(({ letter, description }) => ({ word: `-${letter}`, description }));
    return wordsFrom(begun, options);
  }
  // The socket may be named after the command; it is there only if the user went back to complete an earlier word.
  const behind = command[command.indexOf('-S') + 1];
  const named = command.includes('-S') && behind !== undefined && behind !== '' ? behind : socket;
  const rights = (): Promise<Rights | undefined> =>
    named === undefined ? Promise.resolve(undefined) : askRights(named);
  const isAskingHelp = command[0] === 'help';
  return completeCommandWords(isAskingHelp ? command.slice(1) : command, { hasOwn: !isAskingHelp, rights });
}

interface CommandPlace {
  /** Also offers dovegate's own commands. */
  readonly hasOwn: boolean;
  /** The rights of this user; called only to complete a name. Undefined: not known. */
  readonly rights: () => Promise<Rights | undefined>;
}

/** Candidates of a doveadm command: its name word by word, then options and values. */
export async function completeCommandWords(
  words: readonly string[],
  place: CommandPlace,
): Promise<Candidates> {
  const before = words.slice(0, -1);
  const begun = words.at(-1) ?? '';
  const found = commandOf(before, place.hasOwn);
  if (found === undefined) return wordsFrom(begun, nextWords(before, namesIn(await place.rights(), place)));
  const { command, args } = found;
  if (args.includes('--')) return nothing;
  const wanted = optionNamed(command, args.at(-1));
  if (wanted !== undefined && wanted.type !== 'bool') return valuesOf(command, wanted, begun);
  if (begun.startsWith('-')) return wordsFrom(begun, parametersOf(command));
  const positional = command.params.find((parameter) => parameter.isPositional);
  if (args.length === 0 && positional !== undefined) return valuesOf(command, positional, begun);
  return nothing;
}

/** In the newest series that has the command. */
function commandOf(
  words: readonly string[],
  hasOwn: boolean,
): { command: Command; args: readonly string[] } | undefined {
  for (const series of allSeries.toReversed()) {
    const found = resolveCommand(series, words);
    if (found !== undefined) return found;
  }
  return hasOwn ? resolveOwnCommand(words) : undefined;
}

/** All names of the catalog, or those that the rights list. Under observe more is allowed than they list. */
function namesIn(rights: Rights | undefined, { hasOwn }: CommandPlace): Set<string> {
  const names = new Set(hasOwn ? ownCommands.map(({ name }) => name) : []);
  const isKnown = rights !== undefined && !rights.isObserving;
  const denied = new Set(
    (rights?.deny ?? []).flatMap(({ command, says }) => (says.length === 0 ? [command] : [])),
  );
  for (const name of isKnown ? rights.allow.map(({ command }) => command) : commandNames())
    if (!denied.has(name)) names.add(name);
  return names;
}

function nextWords(before: readonly string[], names: ReadonlySet<string>): string[] {
  const begin = before.map((word) => `${word} `).join('');
  const next = new Set<string>();
  for (const name of names) {
    const [word] = name.startsWith(begin) ? name.slice(begin.length).split(' ') : [];
    if (word !== undefined) next.add(word);
  }
  return [...next].toSorted();
}

function parametersOf(command: Command): Candidate[] {
  return command.params
    .filter((parameter) => !parameter.isPositional && parameter.role !== 'internal')
    .map(({ short, name }) => ({ word: short === undefined ? `--${name}` : `-${short}`, description: name }));
}

function optionNamed({ params }: Command, word: string | undefined): Parameter | undefined {
  return params.find(
    ({ isPositional, short, name }) => !isPositional && (word === `--${name}` || word === `-${short ?? ''}`),
  );
}

/** Values that the catalog knows. Files are those of this machine: `-S` and `-F` read them here. */
function valuesOf(command: Command, { role, name }: Parameter, begun: string): Candidates {
  if (role === 'socket' || role === 'user-file' || role === 'content-file') return { kind: 'files' };
  const isField = command.name === 'mailbox status' && name.startsWith('field');
  return isField ? wordsFrom(begun, ['all', ...statusFields]) : nothing;
}
