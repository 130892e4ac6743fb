// The command line of the subcommands for operators. It does not know what they do.

import { Argument, type Command } from 'commander';
import type { OperateOptions } from './operate.js';
import type { StatusOptions } from './status.js';

/** What they do; each resolves to an exit code. */
export interface OperatorSubcommands {
  status(options: StatusOptions): Promise<number>;
  kill(options: OperateOptions & { readonly id: string }): Promise<number>;
  backend(
    options: OperateOptions & { readonly action: 'drain' | 'enable'; readonly name: string },
  ): Promise<number>;
  reload(options: OperateOptions): Promise<number>;
}

const configHelp = 'the configuration file, which says where the daemon is asked';

/** Adds them to the program; `end` takes the exit code. */
export function addOperatorCommands(
  program: Command,
  subcommands: OperatorSubcommands,
  end: (code: number) => void,
): void {
  program
    .command('status')
    .description('print listeners, backends and running commands of the daemon; exit 69 when there is none')
    .requiredOption('--config <file>', configHelp)
    .option('--json', 'print what the daemon says, as JSON', false)
    .option('--watch', 'print it again every two seconds', false)
    .action(async (options: StatusOptions) => {
      end(await subcommands.status(options));
    });
  program
    .command('kill')
    .description('end one running command, by its id in status')
    .argument('<id>')
    .requiredOption('--config <file>', configHelp)
    .action(async (id: string, options: OperateOptions) => {
      end(await subcommands.kill({ ...options, id }));
    });
  program
    .command('backend')
    .description('take a backend out of service (drain), or back (enable); survives a restart')
    .addArgument(new Argument('<action>').choices(['drain', 'enable']))
    .argument('<name>')
    .requiredOption('--config <file>', configHelp)
    .action(async (action: 'drain' | 'enable', name: string, options: OperateOptions) => {
      end(await subcommands.backend({ ...options, action, name }));
    });
  program
    .command('reload')
    .description(
      'have the daemon read its configuration again; exit 1 when it has problems and the old one is kept',
    )
    .requiredOption('--config <file>', configHelp)
    .action(async (options: OperateOptions) => {
      end(await subcommands.reload(options));
    });
}
