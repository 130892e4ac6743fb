#!/usr/bin/env node
// From the command line to an exit code. The only place that ends the process.

import { basename } from 'node:path';
import { watchOutputs } from './host/machine/outputs.js';
import { exitCodes } from './host/ports/machine.js';

/** Loads only what the name calls for: scripts call doveadm and send once for each mailbox, and a start serves sooner. */
async function run(name: string, args: readonly string[]): Promise<number> {
  if (basename(name) === 'doveadm') {
    const { doveadm } = await import('./client/doveadm/doveadm.js');
    return doveadm(args, process.env);
  }
  if (args[0] === 'send') return (await import('./client/doveadm/send-command.js')).runSend(args);
  if (args[0] === 'serve') return (await import('./gate/cli/serve-command.js')).runServe(args);
  const isHelp = args.length === 0 || (args.length === 1 && /^(?:-h|--help|--version)$/.test(args[0] ?? ''));
  if (isHelp) return (await import('./help.js')).runHelp(args);
  return (await import('./program.js')).runDovegate(args);
}

/** A service that has ended is started again soon, whoever reads its output. */
const serviceOutputMs = 1_000;

try {
  process.cwd();
} catch {
  // It was removed, or another user started us there: a thread could not even begin.
  process.chdir('/');
}
const outputs = watchOutputs();
const [, name = '', ...args] = process.argv;
let code: number;
try {
  code = await run(name, args);
} catch (fault) {
  process.stderr.write(
    `dovegate: internal error: ${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}\n`,
  );
  code = exitCodes.bug;
}
const isService = args[0] === 'serve' || args[0] === 'ship' || (args[0] === 'page' && args[1] !== 'open');
const unwritten = await outputs.end(isService ? serviceOutputMs : undefined);
if (unwritten !== undefined) {
  process.stderr.write(`dovegate: the output cannot be written whole: ${unwritten.message}\n`);
  await outputs.end(serviceOutputMs);
}
process.exit(unwritten !== undefined && code === exitCodes.ok ? exitCodes.failed : code);
