// The program under its own name: its command line with what each subcommand does.

import { can } from '../cli/can.js';
import { check } from '../cli/check.js';
import { explain } from '../cli/explain.js';
import { hashPasswordCommand as hashPassword } from '../cli/hash-password.js';
import { backend, kill, reload } from '../cli/operate.js';
import { runProgram } from '../cli/program.js';
import { replay } from '../cli/replay.js';
import { status } from '../cli/status.js';
import { suggest } from '../cli/suggest.js';
import { test } from '../cli/test.js';
import { send } from '../drop-in/send.js';
import { programVersion } from '../host/program.js';
import { serve } from './serve.js';

/** Resolves to the exit code. */
export function runDovegate(args: readonly string[]): Promise<number> {
  const forPolicies = { check, explain, can, test, replay, suggest };
  const forOperators = { status, kill, backend, reload };
  return runProgram(args, programVersion, { serve, send, hashPassword, ...forPolicies, ...forOperators });
}
