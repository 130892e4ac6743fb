// The program under its own name: its command line with what each subcommand does.

import { runProgram, type Subcommands } from '../cli/program.js';
import { programVersion } from '../host/program.js';

/** What a subcommand is made of is loaded when it is called: half of the program would be idle in any other, and somebody waits. */
const subcommands: Subcommands = {
  serve: async (options) => (await import('./serve.js')).serve(options),
  check: async (options) => (await import('../cli/check.js')).check(options),
  explain: async (options) => (await import('../cli/explain.js')).explain(options),
  can: async (options) => (await import('../cli/can.js')).can(options),
  test: async (options) => (await import('../cli/test.js')).test(options),
  replay: async (options) => (await import('../cli/replay.js')).replay(options),
  suggest: async (options) => (await import('../cli/suggest.js')).suggest(options),
  send: async (options, words) => (await import('../drop-in/send.js')).send(options, words),
  hashPassword: async (options) => (await import('../cli/hash-password.js')).hashPasswordCommand(options),
  status: async (options) => (await import('../cli/status.js')).status(options),
  kill: async (options) => (await import('../cli/operate.js')).kill(options),
  backend: async (options) => (await import('../cli/operate.js')).backend(options),
  reload: async (options) => (await import('../cli/operate.js')).reload(options),
};

/** Resolves to the exit code. */
export function runDovegate(args: readonly string[]): Promise<number> {
  return runProgram(args, programVersion, subcommands);
}
