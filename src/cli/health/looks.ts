// All looks of `dovegate doctor`, in the order in which a person would repair things.

import { existsSync } from 'node:fs';
import { uidOf } from '../../adapters/host/accounts.js';
import { runProgram } from '../../adapters/host/programs.js';
import type { Settings } from '../../domain/config/settings.js';
import type { Clock } from '../../ports/machine.js';
import { packaged } from '../../setup/configuration.js';
import { lookAtBackend } from './backend-look.js';
import { type DaemonCommands, listOf, lookAtDaemon, type Told, textOf, valuesOf } from './daemon-look.js';
import { lookAtJournal } from './journal-look.js';
import { lookAtListener } from './listener-look.js';
import { type Look, ok, warning } from './look.js';
import { lookAtStreams } from './stream-look.js';
import { lookAtWays } from './way-look.js';

export interface LookOptions {
  readonly clock: Clock;
  /** What the daemon told over its admin socket, or why not. */
  readonly told: Told;
  /** Mail users that may be asked for. */
  readonly users: readonly string[];
  /** False: the settings are what is left of a file with errors. */
  readonly isWhole: boolean;
  /** False: an error of the file hides where the journal is. */
  readonly hasJournal: boolean;
  /** The daemon's unit, if it is the one of this file. */
  readonly service: Service | undefined;
  /** The user that the daemon runs as, or would. */
  readonly daemonUid: number | undefined;
  readonly commands: DaemonCommands & {
    readonly verify: string;
    /** Types the lines for Dovecot into it; undefined: there are none here. */
    readonly snippet: string | undefined;
  };
}

/** Each look ends in time; they run beside one another where they wait for others. */
export async function lookAround(settings: Settings, options: LookOptions): Promise<readonly Look[]> {
  const { clock, told, users, isWhole, hasJournal, daemonUid } = options;
  const log = options.service?.isFailing === true ? 'journalctl -u dovegate -n 50' : undefined;
  const commands = { ...options.commands, log };
  const status = 'why' in told ? undefined : told.status;
  const served = status === undefined ? undefined : listOf(status['listeners']);
  const [backends, ways, journal, streams, clockLook] = await Promise.all([
    Promise.all(
      settings.backends.map((each) =>
        lookAtBackend(each, { clock, daemonUid, snippetCommand: commands.snippet }),
      ),
    ),
    // Without a daemon there is no way, and that is said above.
    status === undefined ? [] : lookAtWays(settings, users, clock),
    hasJournal
      ? lookAtJournal(settings, {
          clock,
          daemonUid,
          // A daemon that refuses all clients has not opened it.
          told:
            status === undefined || status['state'] === 'closed' ? undefined : valuesOf(status['journal']),
          verifyCommand: commands.verify,
        })
      : [],
    lookAtStreams(settings, { clock, told: status }),
    lookAtClock(),
  ]);
  const expected = {
    ...settings,
    hash: isWhole ? settings.hash : undefined,
    isJournalShut: journal[0]?.status === 'bad',
  };
  return [
    ...backends,
    ...lookAtDaemon(told, expected, commands),
    ...settings.listeners.map((each) =>
      lookAtListener(
        each,
        served?.some(({ listener }) => textOf(listener) === each.name),
        clock,
      ),
    ),
    ...ways,
    ...journal,
    ...streams,
    clockLook,
  ];
}

/** Where there is no file to look at, a daemon may run all the same. `told`: undefined, if there is none to ask. */
export function lookWithoutFile(told: Told | undefined, commands: LookOptions['commands']): readonly Look[] {
  if (told === undefined) return [];
  const nothingSaid = { admin: {}, listeners: [], backends: [], audit: { ship: [] }, hash: undefined };
  return lookAtDaemon(told, nothingSaid, commands);
}

/** The daemon's unit, as systemd knows it. */
export interface Service {
  readonly uid: number | undefined;
  /** Its last start failed; it may be about to be started again. */
  readonly isFailing: boolean;
}

export const noService: Service = { uid: undefined, isFailing: false };

/** Undefined: systemd does not run here, or its unit has another file. */
export async function lookAtService(config: string): Promise<Service | undefined> {
  if (config !== packaged.file || !existsSync('/run/systemd/system')) return undefined;
  const keys = '--property=LoadState,User,ActiveState,SubState';
  return readService(await askSystemd('systemctl', ['show', keys, 'dovegate.service']), uidOf);
}

/** What it prints; empty: it is not here, or fails. */
async function askSystemd(program: string, args: readonly string[]): Promise<string> {
  const ended = await runProgram(program, args, { timeoutMs: 2_000, bytesMax: 4096 });
  return ended.kind === 'ended' && ended.exitCode === 0 ? ended.stdout : '';
}

/** From the lines of `systemctl show`. */
export function readService(lines: string, findUid: (name: string) => number | undefined): Service {
  const of = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(lines)?.[1] ?? '';
  if (of('LoadState') !== 'loaded') return noService;
  const user = of('User');
  return {
    uid: user === '' ? 0 : findUid(user),
    isFailing: of('ActiveState') === 'failed' || of('SubState') === 'auto-restart',
  };
}

/** Whether the clock follows others, as systemd says it. */
async function lookAtClock(): Promise<Look> {
  const shown = await askSystemd('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
  const answer = shown.trim();
  if (answer === 'yes') return ok('clock', 'synchronized');
  const todo = 'records and expiries need the right time: run chrony or systemd-timesyncd';
  if (answer === 'no') return warning('clock', 'not synchronized', todo);
  return ok('clock', 'not known here whether it is synchronized');
}
