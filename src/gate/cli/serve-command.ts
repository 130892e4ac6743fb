// The command line of `dovegate serve`. src/main.ts loads it without the other subcommands: the less a start reads, the sooner it serves.

import type { Command } from 'commander';
import { configOption, type End, runCommands } from '../../host/output/run-commands.js';
import type { ServeOptions } from '../daemon/serve.js';

/** As `runDovegate`, where the first argument is `serve`. */
export function runServe(args: readonly string[]): Promise<number> {
  return runCommands(args, addServe);
}

export function addServe(program: Command, end: End): void {
  program
    .command('serve')
    .description(
      'run the daemon in the foreground; logs to stdout as JSON lines (a sentence a line on a terminal)',
    )
    .addOption(configOption())
    .option('--no-last', 'while the file has problems, do not serve the configuration that was served last')
    .action(async (options: ServeOptions) => {
      const { serve } = await import('../daemon/serve.js');
      end(await serve(options));
    });
}
