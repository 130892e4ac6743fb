// The command line of `dovegate serve`. src/main.ts loads it without the other subcommands: the less a start reads, the sooner it serves.

import type { Command } from 'commander';
import { configOption, type End, runCommands } from '../../host/output/run-commands.js';
import type { ServeOptions } from '../daemon/serve.js';

/** Loads the daemon with what it takes from parts above the gate; the program hands it in. */
export type LoadServe = () => Promise<(options: ServeOptions) => Promise<number>>;

/** As `runDovegate`, where the first argument is `serve`. */
export function runServe(args: readonly string[], load: LoadServe): Promise<number> {
  return runCommands(args, (program, end) => addServe(program, end, load));
}

export function addServe(program: Command, end: End, load: LoadServe): void {
  program
    .command('serve')
    .description('run the daemon in the foreground; logs to stdout as JSON lines (pretty on a terminal)')
    .addOption(configOption())
    .option('--no-last', 'while the file has problems, do not serve the configuration that was served last')
    .action(async (options: ServeOptions) => {
      const serve = await load();
      end(await serve(options));
    });
}
