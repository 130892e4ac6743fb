// The program under its own name: its command line with what each subcommand does.

import { programVersion } from '../adapters/host/program.js';
import { runProgram, type Subcommands } from './program.js';

/** What a subcommand is made of is loaded when it is called: half of the program would be idle in any other, and somebody waits. */
const subcommands: Subcommands = {
  serve: async (options) => (await import('../daemon/serve.js')).serve(options),
  check: async (options) => (await import('./check.js')).check(options),
  explain: async (options) => (await import('./explain.js')).explain(options),
  can: async (options) => (await import('./can.js')).can(options),
  test: async (options) => (await import('./test.js')).test(options),
  replay: async (options) => (await import('./replay.js')).replay(options),
  suggest: async (options) => (await import('./suggest.js')).suggest(options),
  send: async (options, words) => (await import('./doveadm/send.js')).send(options, words),
  hashPassword: async (options) => (await import('./hash-password.js')).hashPasswordCommand(options),
  status: async (options) => (await import('./status.js')).status(options),
  kill: async (options) => (await import('./operate.js')).kill(options),
  backend: async (options) => (await import('./operate.js')).backend(options),
  reload: async (options) => (await import('./operate.js')).reload(options),
};

/** Resolves to the exit code. */
export function runDovegate(args: readonly string[]): Promise<number> {
  return runProgram(args, programVersion, subcommands);
}
