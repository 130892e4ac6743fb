// The program under the name of doveadm: doveadm's own command line, for everything that goes over a socket. What needs the machine of
// Dovecot itself, it says and does not do.

import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault, formatFault } from '../output/command-fault.js';
import { stderr, stdout } from '../output/output.js';
import { ask } from './ask.js';
import { tempFail } from './doveadm-exit.js';
import { usageLine, writeCommands, writeUsage } from './doveadm-help.js';
import { readOwnOptions } from './own-options.js';
import { clientSettingsFile, findServerDoor } from './server-door.js';
import { readTypedCommand, type TypedCommand } from './typed-command.js';
import type { UserSource } from './user-list.js';

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

/** The list ends with 64, as that of the real program does; where that shows the manual of a command, its usage is shown here. */
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

/** -A is stronger than -F, and -F than -u. */
function usersOf({ command, isAllUsers, userFile, user }: TypedCommand): UserSource {
  if (command.scope === 'server') return { kind: 'one', user: '' };
  if (isAllUsers) return { kind: 'mask', mask: '*' };
  if (userFile !== undefined) return { kind: 'file', path: userFile };
  if (user === undefined) throw new CommandFault(tempFail, 'One of -u, -F or -A must be provided');
  return /[*?]/.test(user) ? { kind: 'mask', mask: user } : { kind: 'one', user };
}
