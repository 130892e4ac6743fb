// The program under the name doveadm: doveadm's own command line for every command that is sent over a socket. Commands that need
// Dovecot's own machine are refused with the reason.

import { exitCodes } from '../../ports/exit-codes.js';
import { CommandFault, formatFault, stderr, stdout } from '../output/output.js';
import { allFormats, type Format } from '../output/row-printer.js';
import { ask, type UserSource } from './ask.js';

import { tempFail } from './doveadm-exit.js';
import { clientSettingsFile, findServerDoor } from './server-door.js';
import {
  readTypedCommand,
  type TypedCommand,
  usageLine,
  writeCommands,
  writeUsage,
} from './typed-command.js';

/** Resolves to the exit code that the real program would end with. */
export async function doveadm(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  try {
    const { words, wantsHelp, ...shown } = readOwnOptions(args);
    if (wantsHelp || words.length === 0 || words[0] === 'help') return help(wantsHelp, words.slice(1));
    const group = writeCommands(words.join(' '));
    if (group !== undefined) {
      stderr(group);
      return exitCodes.usage;
    }
    const typed = readTypedCommand(words);
    const door = await findServerDoor(typed.socket, environment);
    if (door === undefined) {
      throw new CommandFault(
        tempFail,
        `no socket: give one with -S, in DOVEADM_SOCKET, or in ${clientSettingsFile}`,
      );
    }
    return await ask({
      words,
      typed,
      users: usersOf(typed),
      door,
      ...shown,
      reason: environment['DOVEGATE_REASON'],
      timeoutMs: undefined,
    });
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    stderr(`doveadm: Error: ${formatFault(fault)}`);
    return fault.exitCode;
  }
}

/** The list exits with 64, as in the real program, which shows the manual of a command; here it is the usage. */
function help(isOption: boolean, words: readonly string[]): number {
  const name = words.join(' ');
  if (isOption || name === '') {
    const list = writeCommands('') ?? usageLine('');
    if (isOption) stdout(list);
    else stderr(list);
    return isOption ? exitCodes.ok : exitCodes.usage;
  }
  const text = writeCommands(name) ?? writeUsage(words);
  if (text === undefined) throw new CommandFault(exitCodes.usage, `there is no command "${name}"`);
  stdout(text);
  return exitCodes.ok;
}

/** -A overrides -F, which overrides -u. */
function usersOf({ command, isAllUsers, userFile, user }: TypedCommand): UserSource {
  if (command.scope === 'server') return { kind: 'one', user: '' };
  if (isAllUsers) return { kind: 'mask', mask: '*' };
  if (userFile !== undefined) return { kind: 'file', path: userFile };
  if (user === undefined) throw new CommandFault(tempFail, 'One of -u, -F or -A must be provided');
  return /[*?]/.test(user) ? { kind: 'mask', mask: user } : { kind: 'one', user };
}

export interface OwnOptions {
  readonly format: Format | undefined;
  readonly hidesTitles: boolean;
  readonly isVerbose: boolean;
  readonly isDebug: boolean;
  readonly wantsHelp: boolean;
  readonly words: readonly string[];
}

export const commandLetters = [
  { letter: 'D', description: 'ask for debug log lines' },
  { letter: 'v', description: 'ask for more log lines' },
  { letter: 'f', description: 'how to print rows' },
  { letter: 'h', description: 'without the line of names' },
] as const;

/** Throws a CommandFault with the exit code of the real program. */
export function readOwnOptions(args: readonly string[]): OwnOptions {
  let format: Format | undefined;
  let hidesTitles = false;
  let isVerbose = false;
  let isDebug = false;
  let wantsHelp = false;
  let next = 0;
  for (; next < args.length; next += 1) {
    const word = args[next] ?? '';
    if (word === '--') {
      next += 1;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    if (word === '--help') {
      wantsHelp = true;
      continue;
    }
    for (let at = 1; at < word.length; at += 1) {
      const letter = word[at] ?? '';
      if (letter === 'D') isDebug = true;
      else if (letter === 'v') isVerbose = true;
      else if (letter === 'h') hidesTitles = true;
      else if (letter === 'f') {
        const rest = word.slice(at + 1);
        if (rest === '') next += 1;
        format = formatOf(rest === '' ? args[next] : rest);
        break;
      } else if ('coi'.includes(letter)) {
        throw new CommandFault(
          exitCodes.usage,
          `-${letter} changes the settings of Dovecot on its own machine: it is never sent over a socket`,
        );
      } else throw new CommandFault(exitCodes.usage, `invalid option -- '${letter}'`);
    }
  }
  return { format, hidesTitles, isVerbose, isDebug, wantsHelp, words: args.slice(next) };
}

function formatOf(text: string | undefined): Format {
  const format = allFormats.find((one) => one === text);
  if (text === undefined) throw new CommandFault(exitCodes.usage, "option requires an argument -- 'f'");
  if (format === undefined) throw new CommandFault(tempFail, `Unknown print formatter: ${text}`);
  return format;
}
