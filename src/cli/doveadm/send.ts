// `dovegate send`: a doveadm client for hosts without Dovecot. It asks for one user and prints as doveadm does; the rest is ask.ts.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../domain/policy/duration.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault, formatFault } from '../output/command-fault.js';
import { stderr } from '../output/output.js';
import { allFormats, type Format } from '../output/row-printer.js';
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

/** What it does; resolves to an exit code. */
export interface SendSubcommand {
  send(options: SendOptions, words: readonly string[]): Promise<number>;
}

/** Adds the subcommand; `end` takes its exit code. */
export function addSend(program: Command, subcommand: SendSubcommand, end: (code: number) => void): void {
  program
    .command('send')
    .description(
      'send one command to a doveadm server, and print rows, log lines and exit code as doveadm does',
    )
    .option(
      '--socket <where>',
      'the socket of dovegate or of Dovecot: a path or HOST:PORT (default: DOVEADM_SOCKET, else client.yaml)',
    )
    .option('--user <name>', 'the mailbox user')
    .option('--reason <text>', 'why, for the audit journal')
    .addOption(new Option('--format <format>', 'how to print rows').choices(allFormats))
    .option('--account <name>', 'who we are there, over TCP')
    .option('--password-file <file>', 'the password of the account; one newline at its end is not part of it')
    .option(
      '--ca <file>',
      'authorities that the certificate of the server is checked against (default: those of the system)',
    )
    .option('--certificate <file>', 'our own certificate, for servers that know us by it')
    .option('--key <file>', 'its key')
    .addOption(
      new Option('--tls <mode>', 'over TCP; off on loopback only (default: starttls)').choices([
        'starttls',
        'implicit',
        'off',
      ]),
    )
    .option('--timeout <duration>', 'give up after 30s, 10m, ...', duration)
    .option('--verbose', 'ask for more log lines', false)
    .option('--debug', 'ask for debug log lines', false)
    .argument('<command...>', 'the command and its arguments, behind --')
    .action(async (words: string[], options: SendOptions) => {
      end(await subcommand.send(options, words));
    });
}

/** Resolves to the exit code of doveadm; 64: the command cannot be parsed; 75: the server cannot be reached, or broke off. */
export async function send(options: SendOptions, words: readonly string[]): Promise<number> {
  try {
    const typed = readTypedCommand(words);
    if (typed.isAllUsers || typed.userFile !== undefined || typed.socket !== undefined)
      throw new CommandFault(exitCodes.usage, '-A, -F and -S are for the program that is called doveadm');
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

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('a duration with its unit, as 30s or 10m');
  return ms;
}
