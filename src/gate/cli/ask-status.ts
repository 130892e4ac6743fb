// The report of a running daemon over its admin socket, or why there is none, within five seconds.

import { pause } from '../../host/concurrency/waiting.js';
import { systemClock } from '../../host/machine/clock.js';
import { holdProcess } from '../../host/machine/process.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { parseLine } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import type { Settings } from '../../rules/config/settings.js';
import { inspectUnit, unitFor } from '../../rules/setup/unit.js';
import { type Told, textOf, valuesOf } from '../health/daemon-look.js';
import { within } from '../health/look.js';
import { whyNoStart } from '../health/start-look.js';
import { findDaemon } from './operate.js';

const askMs = 5_000;

/** The page finds a daemon that has just started within this time. */
const pageMs = 6_000;
const againMs = 500;

/** As `askStatus`, but a daemon that has just started is asked again until its page and its shipping process are connected. */
export async function askSettled(config: string, socket: string | undefined): Promise<Told> {
  for (;;) {
    const told = await askStatus(config, socket);
    if (!isLate(told, systemClock.wallMs())) return told;
    await pause(systemClock, againMs);
  }
}

/** The daemon has just started, and its page or its shipping process is not connected yet. */
export function isLate(told: Told, wallMs: number): boolean {
  if ('why' in told) return false;
  const { status } = told;
  const ageMs = wallMs - (parseTime(textOf(status['started'])) ?? 0);
  const isMissing = [status['page'], status['ship']].some((each) => valuesOf(each)['connected'] === false);
  return isMissing && ageMs >= 0 && ageMs < pageMs;
}

/** `socket`: the daemon's admin socket; undefined: as the file says. */
export async function askStatus(config: string, socket: string | undefined): Promise<Told> {
  const ask = async (): Promise<Told> => {
    try {
      const daemon = await findDaemon(socket === undefined ? { config } : { config, socket });
      const [status, metrics] = await Promise.all([daemon('GET', '/status.json'), daemon('GET', '/metrics')]);
      if (status.status !== 200) return { why: `it answers ${status.status}: ${status.body.trim()}` };
      const told = parseLine(status.body);
      if (told === undefined) return { why: 'its answer is not that of dovegate' };
      return { status: told, metrics: metrics.status === 200 ? metrics.body : '' };
    } catch (fault) {
      if (fault instanceof CommandFault)
        return fault.exitCode === exitCodes.notPermitted
          ? { why: fault.message.replaceAll('\n', '; '), isDenied: true }
          : { why: fault.message };
      throw fault;
    }
  };
  return within(askMs, systemClock, ask(), () => ({
    why: `the daemon did not answer within ${askMs / 1000} s`,
  }));
}

/** Why a daemon with these settings would not start now; undefined: it would. */
export async function whyNoStartNow(config: string, settings: Settings): Promise<string | undefined> {
  const [denied] = inspectUnit(settings, unitFor([config]));
  if (denied !== undefined) return denied.message;
  const release = holdProcess();
  try {
    const told =
      settings.admin?.unix === undefined ? undefined : await askStatus(config, settings.admin.unix);
    return await whyNoStart(settings, told, systemClock);
  } finally {
    release();
  }
}
