// The command line: subcommands and their options. It does not know what they do.

import { Command, CommanderError } from 'commander';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import { registerAudit } from './audit/audit.js';
import type { CheckOptions } from './check.js';
import { addCompletion } from './completion/completion-commands.js';
import { configOption } from './config-option.js';
import { addSend, type SendSubcommand } from './doveadm/send.js';
import { addHashPassword, type HashPasswordSubcommand } from './hash-password.js';
import { addOperatorCommands, type OperatorSubcommands } from './operator-commands.js';
import { addPolicyCommands, type PolicySubcommands } from './policy-commands.js';

/** What the subcommands do; each resolves to an exit code. */
export interface Subcommands
  extends PolicySubcommands,
    OperatorSubcommands,
    SendSubcommand,
    HashPasswordSubcommand {
  serve(options: { readonly config: string }): Promise<number>;
  check(options: CheckOptions): Promise<number>;
}

/** Reads the arguments behind the program's name, runs the subcommand, and resolves to the exit code. */
export async function runProgram(
  args: readonly string[],
  version: string,
  subcommands: Subcommands,
): Promise<number> {
  let code: number = exitCodes.ok;
  const program = new Command('dovegate')
    .description('A gate in front of doveadm: policy per team, an audit record before every command.')
    .version(version, '--version')
    .showHelpAfterError('(dovegate --help lists the subcommands)')
    .exitOverride();
  program
    .command('serve')
    .description('run the daemon in the foreground; logs to stdout as JSON lines (pretty on a terminal)')
    .addOption(configOption())
    .action(async (options: { config: string }) => {
      code = await subcommands.serve(options);
    });
  program
    .command('check')
    .description('print every problem of a configuration as FILE:LINE:COLUMN: message; exit 0 or 78')
    .addOption(configOption())
    .option('--verbose', 'print the effective settings and rules too', false)
    .option('--json', 'print each problem as a line of JSON, with its code (docs/messages.md)', false)
    .action(async (options: CheckOptions) => {
      code = await subcommands.check(options);
    });
  addOperatorCommands(program, subcommands, (ended) => {
    code = ended;
  });
  addPolicyCommands(program, subcommands, (ended) => {
    code = ended;
  });
  addHashPassword(program, subcommands, (ended) => {
    code = ended;
  });
  registerAudit(program, (ended) => {
    code = ended;
  });
  addSend(program, subcommands, (ended) => {
    code = ended;
  });
  addCompletion(program, (ended) => {
    code = ended;
  });
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (fault) {
    if (!(fault instanceof CommanderError)) throw fault;
    // commander has printed what it had to say; help and version are no errors.
    return fault.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}
