// `dovegate status`: what the running daemon does, as a table.

import { systemClock } from '../adapters/host/clock.js';
import { holdProcess } from '../adapters/host/signals.js';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import { type AskDaemon, findDaemon, type WhichDaemon } from './admin-client.js';
import { exitCodeOf } from './operate.js';
import { CommandFault, formatFault } from './output/command-fault.js';
import { plain, stderr } from './output/output.js';
import { openScreen, type Screen } from './output/screen.js';
import { formatStatus, isClosed } from './status-table.js';

/** Which daemon, and how to show it. */
export interface StatusOptions extends WhichDaemon {
  readonly json: boolean;
  /** Shows it again and again, until it is interrupted or nobody answers. */
  readonly watch: boolean;
}

const watchMs = 2_000;
/** Clears a terminal and goes to its upper left. */
const clear = '\u001b[H\u001b[2J';

/** Exit code 0, also when nobody reads any more; 1: it cannot be printed; 69: no daemon; 77: not permitted; 78: configuration. */
export async function status(options: StatusOptions): Promise<number> {
  const daemon = findDaemon(options);
  if (typeof daemon === 'number') return daemon;
  try {
    return await showAgain(daemon, options, openScreen());
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    stderr(formatFault(fault));
    return fault.exitCode;
  }
}

async function showAgain(daemon: AskDaemon, options: StatusOptions, screen: Screen): Promise<number> {
  if (!options.watch) return show(daemon, options, screen, '');
  const release = holdProcess();
  try {
    for (;;) {
      const code = await show(daemon, options, screen, screen.columns === undefined ? '' : clear);
      if (code !== exitCodes.ok || screen.isGone) return code;
      await new Promise<void>((resolve) => {
        systemClock.setTimer(watchMs, resolve);
      });
    }
  } finally {
    release();
  }
}

async function show(
  daemon: AskDaemon,
  { json }: StatusOptions,
  screen: Screen,
  before: string,
): Promise<number> {
  const answer = await daemon('GET', '/status.json');
  if (typeof answer === 'number') return answer;
  if (answer.status !== 200) {
    stderr(plain(answer.body.trimEnd()));
    return exitCodeOf(answer.status);
  }
  const told: unknown = JSON.parse(answer.body);
  await screen.print(before + (json ? answer.body.trimEnd() : formatStatus(told)));
  await screen.flush();
  return isClosed(told) ? exitCodes.configuration : exitCodes.ok;
}
