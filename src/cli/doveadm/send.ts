// `dovegate send`: a doveadm client for hosts without Dovecot. It asks for one user and prints as doveadm does; the rest is ask.ts.

import { exitCodes } from '../../ports/exit-codes.js';
import { CommandFault, formatFault, stderr } from '../output/output.js';
import type { Format } from '../output/row-printer.js';
import { ask } from './ask.js';
import { clientSettingsFile, type DoorOptions, findServerDoor } from './server-door.js';
import { readTypedCommand } from './typed-command.js';

/** What was given on the command line. */
export interface SendOptions extends DoorOptions {
  readonly socket?: string;
  readonly user: string | undefined;
  readonly reason: string | undefined;
  readonly format: Format | undefined;
  readonly timeout: number | undefined;
  readonly verbose: boolean;
  readonly debug: boolean;
}

/** Resolves to the exit code of doveadm; 64: the command cannot be parsed; 75: the server cannot be reached, or broke off. */
export async function send(options: SendOptions, words: readonly string[]): Promise<number> {
  try {
    const typed = readTypedCommand(words);
    if (typed.isAllUsers || typed.userFile !== undefined || typed.socket !== undefined)
      throw new CommandFault(exitCodes.usage, '-A, -F and -S work only under the name doveadm');
    const door = await findServerDoor(options.socket, process.env, options);
    if (door === undefined) {
      const text = `no socket: give one with --socket, in DOVEADM_SOCKET, or in ${clientSettingsFile}`;
      throw new CommandFault(exitCodes.usage, text);
    }
    return await ask({
      words,
      typed,
      users: { kind: 'one', user: options.user ?? typed.user ?? '' },
      door,
      format: options.format,
      hidesTitles: false,
      reason: options.reason,
      isVerbose: options.verbose,
      isDebug: options.debug,
      timeoutMs: options.timeout,
    });
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    stderr(`dovegate: ${formatFault(fault)}`);
    return fault.exitCode;
  }
}
