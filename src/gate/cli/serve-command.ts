// The command line of `dovegate serve`. src/main.ts loads it without the other subcommands: the less a start reads, the sooner it serves.

import type { Command } from 'commander';
import { configOption, type End, runCommands } from '../../host/output/run-commands.js';
import type { serve as run, ServeOptions } from '../daemon/serve.js';

/** What past records mean for limits is read by a part above the gate; the program hands it in. */
export type LoadSpent = () => Promise<Parameters<typeof run>[1]>;

/** As `runDovegate`, where the first argument is `serve`. */
export function runServe(args: readonly string[], loadSpent: LoadSpent): Promise<number> {
  return runCommands(args, (program, end) => addServe(program, end, loadSpent));
}

export function addServe(program: Command, end: End, loadSpent: LoadSpent): void {
  program
    .command('serve')
    .description('run the daemon in the foreground; logs to stdout as JSON lines (pretty on a terminal)')
    .addOption(configOption())
    .option('--no-last', 'while the file has problems, do not serve the configuration that was served last')
    .action(async (options: ServeOptions) => {
      const [{ serve }, createSpent] = await Promise.all([import('../daemon/serve.js'), loadSpent()]);
      end(await serve(options, createSpent));
    });
}
