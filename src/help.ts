// Prints the version and the list of subcommands, as a file of its own: it names all of them, and calls none.

import { runDovegate } from './program.js';

/** As `runDovegate`, where the arguments select no subcommand. */
export function runHelp(args: readonly string[]): Promise<number> {
  return runDovegate(args);
}
