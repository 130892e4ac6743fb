// What the subcommands have in common: how they are run, and options that several have.

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { uidOf } from '../machine/accounts.js';
import { standardConfig, standardConfigHelp } from '../machine/packaged.js';
import { programVersion } from '../machine/process.js';
import { exitCodes } from '../ports/machine.js';
import { parseDuration } from '../words/durations.js';
import { addHelpTexts } from './help-texts.js';
import { CommandFault, formatFault, stderr } from './output.js';

/** Takes the exit code of a subcommand that has ended. */
export type End = (code: number) => void;

/** Runs one of the subcommands that `add` adds: the one that the arguments after the program's name select. Resolves to the exit code. */
export async function runCommands(
  args: readonly string[],
  add: (program: Command, end: End) => void,
): Promise<number> {
  let code: number = exitCodes.ok;
  const program = new Command('dovegate')
    .description('A gate in front of doveadm: policy per team, an audit record before every command.')
    .version(programVersion, '--version')
    .showHelpAfterError('(dovegate --help lists the subcommands)')
    .exitOverride();
  add(program, (ended) => {
    code = ended;
  });
  addHelpTexts(program);
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (fault) {
    if (fault instanceof CommandFault) {
      stderr(formatFault(fault));
      return fault.exitCode;
    }
    if (!(fault instanceof CommanderError)) throw fault;
    // commander has printed the message; help and version are no errors.
    return fault.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}

/** Defaults to the standard path, which still counts as not given for options that conflict with it. */
export function configOption(help = 'the configuration file'): Option {
  return new Option('--config <file>', help).default(standardConfig(), standardConfigHelp);
}

export function parseWait(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new InvalidArgumentError('It must be a duration with a unit, such as 30s or 10m.');
  return ms;
}

export function several(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

export function numberParser(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
  };
}

export const listenerHelp = 'the listener, by its name in the configuration';

export interface Who {
  uid?: number;
  account?: string;
}

/** Adds the options of `Who`, with their helps. */
export function withClient(command: Command, user: string, account: string): Command {
  return command
    .addOption(
      new Option('--uid <user>', `${user}, by the uid or the name on this machine`).argParser(parseUid),
    )
    .addOption(new Option('--account <name>', account).conflicts('uid'));
}

function parseUid(text: string): number {
  const uid = /^\d{1,10}$/.test(text) ? Number(text) : uidOf(text);
  if (uid !== undefined) return uid;
  throw new InvalidArgumentError('It must be a number, and no user of this machine has this name.');
}
