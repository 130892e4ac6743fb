// The command line of the subcommands for operators. It does not know what they do.

import { Argument, type Command } from 'commander';
import type { WhichDaemon } from './admin-client.js';
import { configOption } from './config-option.js';
import type { ReloadOptions } from './operate.js';
import type { StatusOptions } from './status.js';

/** What they do; each resolves to an exit code. */
export interface OperatorSubcommands {
  status(options: StatusOptions): Promise<number>;
  kill(options: WhichDaemon & { readonly id: string }): Promise<number>;
  backend(
    options: WhichDaemon & { readonly action: 'drain' | 'enable'; readonly name: string },
  ): Promise<number>;
  reload(options: ReloadOptions): Promise<number>;
}

function withDaemon(command: Command): Command {
  return command
    .addOption(
      configOption('the configuration file, which says where the daemon is asked; it may have problems'),
    )
    .option('--socket <path>', 'the admin socket itself; no file is read then');
}

/** Adds them to the program; `end` takes the exit code. */
export function addOperatorCommands(
  program: Command,
  subcommands: OperatorSubcommands,
  end: (code: number) => void,
): void {
  withDaemon(program.command('status'))
    .description('print listeners, backends and running commands of the daemon; exit 69 when there is none')
    .option('--json', 'print what the daemon says, as JSON', false)
    .option('--watch', 'print it again every two seconds', false)
    .action(async (options: StatusOptions) => {
      end(await subcommands.status(options));
    });
  withDaemon(program.command('kill'))
    .description('end one running command, by its id in status')
    .argument('<id>')
    .action(async (id: string, options: WhichDaemon) => {
      end(await subcommands.kill({ ...options, id }));
    });
  withDaemon(program.command('backend'))
    .description('take a backend out of service (drain), or back (enable); survives a restart')
    .addArgument(new Argument('<action>').choices(['drain', 'enable']))
    .argument('<name>')
    .action(async (action: 'drain' | 'enable', name: string, options: WhichDaemon) => {
      end(await subcommands.backend({ ...options, action, name }));
    });
  withDaemon(program.command('reload'))
    .description(
      'have the daemon read its configuration again; exit 78 when it has problems and the old one is kept',
    )
    .option(
      '--pid <pid>',
      'of a daemon without an admin socket: it gets a SIGHUP if the file has no problems (default: $MAINPID)',
    )
    .action(async (options: ReloadOptions) => {
      end(await subcommands.reload(options));
    });
}
