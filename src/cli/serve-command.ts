// `dovegate serve`: its command line. It is a file of its own in dist/ (scripts/build.mjs), and src/main.ts starts it without the other
// subcommands.

import type { Command } from 'commander';
import { configOption, type End, runCommands } from './run-commands.js';

/** As `runDovegate`, where the first argument is `serve`. */
export function runAlone(args: readonly string[]): Promise<number> {
  return runCommands(args, addServe);
}

export function addServe(program: Command, end: End): void {
  program
    .command('serve')
    .description('run the daemon in the foreground; logs to stdout as JSON lines (pretty on a terminal)')
    .addOption(configOption())
    .action(async (options: { readonly config: string }) => {
      end(await (await import('../daemon/serve.js')).serve(options));
    });
}
