// All looks of `dovegate doctor`, in the order in which a person would repair things.

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { uidOf } from '../../host/machine/accounts.js';
import { isMissing } from '../../host/machine/files.js';
import { packaged } from '../../host/machine/packaged.js';
import { isProgramEnd, runProgram } from '../../host/machine/programs.js';
import type { Clock } from '../../host/ports/machine.js';
import type { Settings } from '../../rules/config/settings.js';
import type { DovecotFacts } from '../../rules/setup/doveconf.js';
import { serviceUnit, type Unit, unitFor } from '../../rules/setup/unit.js';
import { lookAtBackend } from './backend-look.js';
import {
  type DaemonCommands,
  listOf,
  lookAtDaemon,
  type Told,
  textOf,
  type Values,
  valuesOf,
} from './daemon-look.js';
import { lookAtAllowedCommands, lookAtDovecotPorts, lookAtNeighbours } from './dovecot-look.js';
import { lookAtListener } from './listener-look.js';
import { type Look, ok, warning } from './look.js';
import { lookAtNames } from './names-look.js';

/** Checks of other parts; the program hands them in. */
export interface OtherLooks {
  /** A harmless command the whole way to each backend. */
  readonly ways: (settings: Settings, users: readonly string[], clock: Clock) => Promise<readonly Look[]>;
  readonly journal: (settings: Settings, options: JournalLookOptions) => Promise<readonly Look[]>;
  readonly stores: (
    settings: Settings,
    options: { readonly clock: Clock; readonly told: Values | undefined },
  ) => Promise<readonly Look[]>;
}

export interface JournalLookOptions {
  readonly clock: Clock;
  readonly daemonUid: number | undefined;
  /** The unit that runs the daemon. */
  readonly unit?: Unit | undefined;
  /** The daemon's report about its journal; undefined: there is no daemon to ask. */
  readonly told: Values | undefined;
  readonly verifyCommand: string;
}

export interface LookOptions {
  readonly clock: Clock;
  readonly others: OtherLooks;
  /** The daemon's answer over its admin socket, or why there is none. */
  readonly told: Told;
  readonly users: readonly string[];
  /** False: the file has errors, and these are its remaining settings. */
  readonly isWhole: boolean;
  /** False: an error of the file hides the path of the journal. */
  readonly hasJournal: boolean;
  readonly service: Service | undefined;
  readonly daemonUid: number | undefined;
  /** The Dovecot of this machine; undefined: there is none, or its settings cannot be read. */
  readonly dovecot: DovecotFacts | undefined;
  readonly commands: DaemonCommands & {
    readonly verify: string;
    /** The command that gives Dovecot the lines of `init`; undefined: there are none here. */
    readonly snippet: string | undefined;
  };
}

/** Each check ends in time; checks that wait run concurrently. */
export async function lookAround(settings: Settings, options: LookOptions): Promise<readonly Look[]> {
  const { clock, others, told, users, isWhole, hasJournal, daemonUid } = options;
  const { service } = options;
  const log = service?.isFailing === true ? `journalctl -u ${shortOf(service.unit)} -n 50` : undefined;
  const commands = { ...options.commands, log };
  const status = 'why' in told ? undefined : told.status;
  const served = status === undefined ? undefined : listOf(status['listeners']);
  const [backends, names, ways, journal, stores, clockLook] = await Promise.all([
    Promise.all(
      settings.backends.map((each) =>
        lookAtBackend(each, { clock, daemonUid, snippetCommand: commands.snippet }),
      ),
    ),
    lookAtNames(settings.mailUsers, users, clock),
    // Without a daemon there is no path to check, and an earlier finding says so.
    status === undefined ? [] : others.ways(settings, users, clock),
    hasJournal
      ? others.journal(settings, {
          clock,
          daemonUid,
          unit: service?.written,
          told: status && valuesOf(status['journal']),
          verifyCommand: commands.verify,
        })
      : [],
    others.stores(settings, { clock, told: status }),
    lookAtClock(),
  ]);
  const expected = {
    ...settings,
    hash: isWhole ? settings.hash : undefined,
    isJournalShut: journal[0]?.status === 'bad',
    unit: service?.unit,
    isRunning: service?.isRunning === true,
    refuses: service?.refuses,
    isFolderGone: settings.admin?.unix !== undefined && isMissing(dirname(settings.admin.unix)),
  };
  return [
    ...backends,
    ...names,
    ...lookAtDaemon(told, expected, commands),
    ...settings.listeners.map((each) =>
      lookAtListener(
        each,
        served?.some(({ name }) => textOf(name) === each.name),
        clock,
        daemonUid,
      ),
    ),
    ...ways,
    ...journal,
    ...stores,
    ...(options.dovecot === undefined
      ? []
      : [
          ...lookAtDovecotPorts(options.dovecot, settings),
          ...lookAtNeighbours(options.dovecot),
          ...lookAtAllowedCommands(options.dovecot),
        ]),
    clockLook,
    ...lookAtRuntime(process.execPath, process.versions.node, clock.wallMs()),
  ];
}

/** Without a file a daemon may still run. `told`: undefined if there is no daemon to ask. */
export function lookWithoutFile(told: Told | undefined, commands: LookOptions['commands']): readonly Look[] {
  if (told === undefined) return [];
  const nothingSaid = { admin: {}, listeners: [], backends: [], audit: { ship: [] }, hash: undefined };
  return lookAtDaemon(told, nothingSaid, commands);
}

export interface Service {
  readonly unit: string;
  /** Its file and drop-ins; undefined: there are none. */
  readonly written?: Unit | undefined;
  readonly uid: number | undefined;
  /** Its last start failed; systemd may start it again. */
  readonly isFailing: boolean;
  readonly isRunning: boolean;
  /** Why it refuses all clients. */
  readonly refuses?: string | undefined;
}

export const noService: Omit<Service, 'unit'> = { uid: undefined, isFailing: false, isRunning: false };

export const shortOf = (unit: string): string => unit.replace(/\.service$/, '');

/** Undefined: systemd does not run here, or no unit of it serves this file. */
export async function lookAtService(config: string): Promise<Service | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  const written = unitFor([config]);
  const unit = written?.name ?? (config === packaged.file ? serviceUnit : undefined);
  if (unit === undefined) return undefined;
  const keys = '--property=LoadState,User,ActiveState,SubState,StatusText';
  return { ...readService(await askSystemd('systemctl', ['show', keys, unit]), uidOf), unit, written };
}

/** The output; empty: the program is missing, or fails. */
async function askSystemd(program: string, args: readonly string[]): Promise<string> {
  const ended = await runProgram(program, args, { timeoutMs: 2_000, bytesMax: 4096 });
  return isProgramEnd(ended, 'ended') && ended.exitCode === 0 ? ended.stdout : '';
}

export function readService(
  lines: string,
  findUid: (name: string) => number | undefined,
): Omit<Service, 'unit'> {
  const of = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(lines)?.[1] ?? '';
  if (of('LoadState') !== 'loaded') return noService;
  const user = of('User');
  return {
    uid: user === '' ? 0 : findUid(user),
    isFailing: of('ActiveState') === 'failed' || of('SubState') === 'auto-restart',
    isRunning: of('ActiveState') === 'active',
    refuses: /^closed: (.+)$/.exec(of('StatusText'))?.[1],
  };
}

async function lookAtClock(): Promise<Look> {
  const shown = await askSystemd('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
  const answer = shown.trim();
  if (answer === 'yes') return ok('clock', 'synchronized');
  const todo = 'records and expiries need the right time: run chrony or systemd-timesyncd';
  if (answer === 'no') return warning('clock', 'not synchronized', todo);
  return ok('clock', 'not known here whether it is synchronized');
}

/** Release line -> last day of its maintenance, from the release schedule of Node's project. */
const maintainedUntil: Readonly<Record<string, string>> = {
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
};
const earlyMs = 60 * 86_400_000;

/** `program`: the path of the running Node. `version`: without `v`. */
export function lookAtRuntime(program: string, version: string, nowMs: number): readonly Look[] {
  if (!program.endsWith('/lib/dovegate/runtime/node')) return [];
  const until = maintainedUntil[version.split('.')[0] ?? ''];
  if (until === undefined) return [ok('runtime', `Node ${version}`)];
  const isNear = nowMs > Date.parse(until) - earlyMs;
  const text = `Node ${version}, maintained until ${until}`;
  return [
    isNear
      ? warning('runtime', text, 'Install a newer dovegate, which brings a newer Node.')
      : ok('runtime', text),
  ];
}
