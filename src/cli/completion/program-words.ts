// What may come next on a command line of dovegate: read from the option tables of the program itself, so that nothing here can go
// stale. It does not know shells. The commands of doveadm behind `--` are command-words.ts.
// The rule: it runs nothing that was typed, and what it does not understand has no candidates.

import type { Argument, Command, Option } from 'commander';
import type { Rights } from '../../domain/policy/rights.js';
import { type Candidates, nothing, wordsFrom } from './candidates.js';
import { completeCommandWords } from './command-words.js';

/** Asks the daemon at a socket what may be run there; undefined: it does not say so in time. */
export type AskRights = (socket: string) => Promise<Rights | undefined>;

/** `words`: those behind the program's name, the last one begun or empty. */
export async function completeProgram(
  program: Command,
  words: readonly string[],
  askRights: AskRights,
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
      const option = optionsOf(command).find(({ long, short }) => name === long || name === short);
      if (value !== undefined) given.set(name, value);
      else if (option?.required === true) wanted = option;
    }
  }
  if (wanted !== undefined) return valuesOf(begun, wanted.argChoices, placeholderOf(wanted.flags));
  const { registeredArguments } = command;
  if (!isBehindOptions && begun.startsWith('-')) {
    return wordsFrom(
      begun,
      optionsOf(command).map(({ long, short, description }) => ({ word: long ?? short ?? '', description })),
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
  if (next !== undefined) return valuesOf(begun, next.argChoices, next.name());
  if (positionals.length > 0) return nothing;
  return wordsFrom(
    begun,
    command
      .createHelp()
      .visibleCommands(command)
      .map((one) => ({ word: one.name(), description: one.description() })),
  );
}

function optionsOf(command: Command): readonly Option[] {
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

/** By what the value is called in the help. */
function valuesOf(begun: string, choices: readonly string[] | undefined, called: string): Candidates {
  if (choices !== undefined)
    return wordsFrom(
      begun,
      choices.map((word) => ({ word, description: '' })),
    );
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
