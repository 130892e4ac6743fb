#!/usr/bin/env node
// From the command line to an exit code. The only place that ends the process.

import { basename } from 'node:path';
import { can } from './cli/can.js';
import { check } from './cli/check.js';
import { doveadm } from './cli/doveadm.js';
import { explain } from './cli/explain.js';
import { runProgram } from './cli/program.js';
import { replay } from './cli/replay.js';
import { send } from './cli/send.js';
import { suggest } from './cli/suggest.js';
import { test } from './cli/test.js';
import { serve } from './daemon/serve.js';
import { programVersion } from './host/program.js';
import { exitCodes } from './terminal/exit-codes.js';

try {
  const [, name = '', ...args] = process.argv;
  process.exit(
    basename(name) === 'doveadm'
      ? await doveadm(args, process.env)
      : await runProgram(args, programVersion, {
          serve,
          check,
          explain,
          can,
          test,
          replay,
          suggest,
          send,
        }),
  );
} catch (fault) {
  process.stderr.write(
    `dovegate: internal error: ${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}\n`,
  );
  process.exit(exitCodes.bug);
}
