// The program under the name of doveadm: doveadm's own command line, for everything that goes over a socket. What needs the machine of
// Dovecot itself, it says and does not do.

import { CommandFault, formatFault } from '../terminal/command-fault.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { stderr } from '../terminal/output.js';
import { allFormats, type Format } from '../terminal/row-printer.js';
import { ask } from './ask.js';
import { tempFail } from './doveadm-exit.js';
import { createServerDoor, readClientSettings } from './server-door.js';
import { readTypedCommand, type TypedCommand } from './typed-command.js';
import type { UserSource } from './user-list.js';

/** The options in front of the command. */
interface OwnOptions {
  readonly format: Format | undefined;
  readonly hidesTitles: boolean;
  readonly isVerbose: boolean;
  readonly isDebug: boolean;
  readonly words: readonly string[];
}

/** Where the socket is when neither -S nor DOVEADM_SOCKET says it. */
export const clientSettingsFile = '/etc/dovegate/client.yaml';

const usage = 'usage: doveadm [-Dv] [-f <formatter>] <command> [<args>]';

/** Resolves to the exit code that the real program would end with. */
export async function doveadm(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  try {
    const { words, ...shown } = readOwnOptions(args);
    if (words.length === 0) throw new CommandFault(exitCodes.usage, usage);
    const typed = readTypedCommand(words);
    const named = typed.socket ?? environment['DOVEADM_SOCKET'];
    // The path of a socket is all that there is to know.
    const settings =
      named?.includes('/') === true
        ? undefined
        : await readClientSettings(environment['DOVEGATE_CLIENT_CONFIG'] ?? clientSettingsFile);
    const at = named ?? settings?.at;
    if (at === undefined) {
      throw new CommandFault(
        tempFail,
        `no socket: give one with -S, in DOVEADM_SOCKET, or in ${clientSettingsFile}`,
      );
    }
    return await ask({
      words,
      typed,
      users: usersOf(typed),
      door: await createServerDoor(at, settings),
      ...shown,
      reason: environment['DOVEGATE_REASON'],
      timeoutMs: undefined,
    });
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    stderr(fault.message === usage ? usage : `doveadm: Error: ${formatFault(fault)}`);
    return fault.exitCode;
  }
}

/** As getopt reads them: `-Dv`, `-ftab`, `-f tab`, up to the first word that is none. */
function readOwnOptions(args: readonly string[]): OwnOptions {
  let format: Format | undefined;
  let hidesTitles = false;
  let isVerbose = false;
  let isDebug = false;
  let next = 0;
  for (; next < args.length; next += 1) {
    const word = args[next] ?? '';
    if (word === '--') {
      next += 1;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    if (word === '--help') throw new CommandFault(exitCodes.ok, usage);
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
          `-${letter} changes the settings of Dovecot on its own machine: it never goes over a socket`,
        );
      } else throw new CommandFault(exitCodes.usage, `invalid option -- '${letter}'`);
    }
  }
  return { format, hidesTitles, isVerbose, isDebug, words: args.slice(next) };
}

function formatOf(text: string | undefined): Format {
  const format = allFormats.find((one) => one === text);
  if (text === undefined) throw new CommandFault(exitCodes.usage, "option requires an argument -- 'f'");
  if (format === undefined) throw new CommandFault(tempFail, `Unknown print formatter: ${text}`);
  return format;
}

/** -A is stronger than -F, and -F than -u. */
function usersOf({ command, isAllUsers, userFile, user }: TypedCommand): UserSource {
  if (command.scope === 'server') return { kind: 'one', user: '' };
  if (isAllUsers) return { kind: 'mask', mask: '*' };
  if (userFile !== undefined) return { kind: 'file', path: userFile };
  if (user === undefined) throw new CommandFault(tempFail, 'One of -u, -F or -A must be provided');
  return /[*?]/.test(user) ? { kind: 'mask', mask: user } : { kind: 'one', user };
}
