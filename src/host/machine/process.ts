// This process: its program and version, its signals and uncaught errors, and its two interfaces with systemd: the environment at the
// start, and notifications (sd_notify). Values of systemd are removed from the environment, so that no child uses them. Nothing here waits
// or fails the daemon: a message that cannot be sent is tried again while the queue is full, else dropped.

import { existsSync, fstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Clock, Native, Timer } from '../ports/machine.js';
import { listFiles, readUnpiped, whyFailed } from './files.js';

const own = new URL('./', import.meta.url);
/** The folder of the program: dist/, where all files of the bundle lie, or build/src/ of a test build. */
export const programFolder: URL = own.pathname.endsWith('/src/host/machine/') ? new URL('../../', own) : own;

/** The package's folder, seen from the bundle and from a test build. */
const folders = [new URL('../', programFolder), new URL('../../', programFolder)];

/** A text of the package, by its path there; undefined: there is none. */
function packageText(path: string): string | undefined {
  for (const folder of folders) {
    try {
      return readFileSync(new URL(path, folder), 'utf8');
    } catch {
      // Not there: try the next place.
    }
  }
  return undefined;
}

/** A folder of the package that has that file; undefined: there is none. */
export function packageFolder(name: string, file: string): URL | undefined {
  return folders
    .map((folder) => new URL(`${name}/`, folder))
    .find((folder) => existsSync(new URL(file, folder)));
}

/** The folder of the drop-in doveadm, for PATH: beside this program; of a checkout, as the packages have it. */
export function dropInFolder(): string {
  return packageFolder('bin', 'doveadm')?.pathname.replace(/\/$/, '') ?? '/usr/lib/dovegate/bin';
}

/** Who reads what this process writes to stdout. systemd names the socket of its journal by device and inode. */
export function readerOfStdout(): 'terminal' | 'journal' | 'program' {
  if (process.stdout.isTTY) return 'terminal';
  const { dev, ino } = fstatSync(process.stdout.fd);
  return process.env['JOURNAL_STREAM'] === `${dev}:${ino}` ? 'journal' : 'program';
}

function readVersion(): string {
  const found: unknown = JSON.parse(packageText('package.json') ?? '{}');
  const hasVersion = typeof found === 'object' && found !== null && 'version' in found;
  return hasVersion && typeof found.version === 'string' ? found.version : '0.0.0';
}

export const programVersion: string = readVersion();

export function hostName(): string {
  return hostname();
}

export const processId: number = process.pid;

export function shippedPresets(): readonly string[] {
  for (const folder of folders) {
    try {
      const names = readdirSync(new URL('config/presets/', folder));
      return names.flatMap((name) => /^([a-z0-9-]+)\.yaml$/.exec(name)?.[1] ?? []).toSorted();
    } catch {
      // Not there: try the next place.
    }
  }
  return [];
}

/** The sources of a configuration: files from the disk, presets from the package. */
export const readFromDisk = {
  readText: (path: string) => inWords(() => readUnpiped(path), 'file'),
  glob: (pattern: string) => inWords(() => listFiles(pattern), 'directory'),
  presetText: (name: string) =>
    /^[a-z0-9-]+$/.test(name) ? packageText(`config/presets/${name}.yaml`) : undefined,
  presetNames: shippedPresets,
};

/** Replaces the system's error codes by words. */
function inWords<Result>(read: () => Result, what: 'file' | 'directory'): Result {
  try {
    return read();
  } catch (cause) {
    throw new Error(whyFailed(cause, what), { cause });
  }
}

export const standardShipDoor = '/run/dovegate/ship.sock';

export function descriptorsMax(): number | undefined {
  try {
    const text = readFileSync('/proc/self/limits', 'utf8');
    const found = /^Max open files\s+(\d+)/m.exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}

export function processUsage() {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    startedSeconds: performance.timeOrigin / 1000,
    openDescriptors: openDescriptors(),
    descriptorsMax: descriptorsMax(),
  };
}

function openDescriptors(): number | undefined {
  try {
    // Linux provides the number from 6.2 on; to list 5,000 takes 4 ms. One more is open while the directory is read.
    return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length - 1;
  } catch {
    return undefined;
  }
}

/** Calls `run` at each of the signals, instead of Node's default. Returns a function that removes the listener. */
export function onSignal(
  signals: readonly ('SIGTERM' | 'SIGINT' | 'SIGHUP')[],
  run: (signal: NodeJS.Signals) => void,
): () => void {
  for (const signal of signals) process.on(signal, run);
  return () => {
    for (const signal of signals) process.off(signal, run);
  };
}

/** Calls `run` for an uncaught error, once; the process must not go on. */
export function onFatalError(run: (fault: unknown) => void): void {
  let isTold = false;
  const tell = (fault: unknown): void => {
    if (isTold) return;
    isTold = true;
    run(fault);
  };
  process.on('uncaughtException', tell);
  process.on('unhandledRejection', tell);
}

/** The name that `ps`, `top` and `pgrep` show, for a process that stays: otherwise it is `node`. */
export function nameProcess(subcommand: string): void {
  process.title = `dovegate ${subcommand}`;
}

/** Keeps the process alive (all other timers let it end). Returns a function that releases it. */
export function holdProcess(): () => void {
  const timer = setInterval(() => undefined, 2 ** 30);
  return () => clearInterval(timer);
}

const orphansMs = 5_000;

/**
 * Removes ended children of others from the process table, which is the duty of a container's first process: begins if this process is
 * number 1. Our own children are left to the code that started them, which awaits them at once; a dead child that is still there at a
 * second check is an orphan.
 */
export function watchOrphans(native: Pick<Native, 'reap'>, clock: Clock): { end(): void } {
  if (process.pid !== 1) return { end: () => undefined };
  let seen: ReadonlySet<number> = new Set();
  let timer: Timer = clock.setTimer(orphansMs, look);
  function look(): void {
    const dead = deadChildren();
    for (const child of dead) if (seen.has(child)) native.reap(child);
    seen = new Set(dead);
    timer = clock.setTimer(orphansMs, look);
  }
  return { end: () => timer.cancel() };
}

/** Our children that have ended and are not removed yet. */
function deadChildren(): readonly number[] {
  const dead: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // PID (NAME) STATE PARENT ...; a name may hold blanks and brackets.
      const line = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [state, parent] = line.slice(line.lastIndexOf(')') + 2).split(' ', 2);
      if (state === 'Z' && Number(parent) === process.pid) dead.push(Number(name));
    } catch {
      // Gone meanwhile.
    }
  }
  return dead;
}

/** A message to systemd. Times in milliseconds of CLOCK_MONOTONIC or as spans. */
export type Notification =
  | { readonly kind: 'ready'; readonly status: string }
  /** Must be in one datagram with the time, or `Type=notify-reload` ignores it. */
  | { readonly kind: 'reloading'; readonly monotonicUs: bigint }
  /** `withinMs`: how long the end may take; systemd waits at least that long. */
  | { readonly kind: 'stopping'; readonly status: string; readonly withinMs: number }
  | { readonly kind: 'status'; readonly status: string }
  | { readonly kind: 'watchdog' };

/** A socket from systemd: its descriptor, and its FileDescriptorName (`unknown` if it has none). */
export interface PassedSocket {
  readonly descriptor: number;
  readonly name: string;
}

/** The commands that pass the socket of a packaged socket unit to the daemon: the service wants it, so a restart makes it first. */
export function socketUnitCommands(name: string): readonly string[] {
  return [`systemctl enable dovegate@${name}.socket`, 'systemctl restart dovegate.service'];
}

export interface ServiceEnvironment {
  /** The address for notifications, in the form of `sendDatagram` (`@` in front: abstract); undefined: none. */
  readonly notify: string | undefined;
  /** The time within which a keep-alive is due; undefined: there is no watchdog. */
  readonly watchdogMs: number | undefined;
  readonly sockets: readonly PassedSocket[];
}

/** SD_LISTEN_FDS_START. */
const firstDescriptor = 3;
/** systemd never passes more. */
const socketsMax = 4096;
const retryMs = 100;
/** Messages waiting for a full queue; the oldest are dropped first. */
const waitingMax = 16;

const variables = [
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'LISTEN_PIDFDID',
] as const;

/** The folder of this process's systemd credentials; undefined: it has none. */
export function credentialsFolder(): string | undefined {
  return process.env['CREDENTIALS_DIRECTORY'];
}

/** The datagram of a notification: lines KEY=VALUE (sd_notify(3)). */
export function encodeNotification(notification: Notification): string {
  switch (notification.kind) {
    case 'ready':
      return `READY=1\nSTATUS=${oneLine(notification.status)}\n`;
    case 'reloading':
      return `RELOADING=1\nMONOTONIC_USEC=${notification.monotonicUs}\n`;
    case 'stopping': {
      const { status, withinMs } = notification;
      const span = Math.ceil(withinMs * 1000);
      return `STOPPING=1\nSTATUS=${oneLine(status)}\nEXTEND_TIMEOUT_USEC=${span}\n`;
    }
    case 'status':
      return `STATUS=${oneLine(notification.status)}\n`;
    case 'watchdog':
      return 'WATCHDOG=1\n';
    default:
      return notification satisfies never;
  }
}

/** A further line would be another message. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f]+/g, ' ');
}

/** Removes all variables of systemd from `env`, those for another process too. Throws an Error for numbers that systemd does not write. */
export function takeServiceEnvironment(env: NodeJS.ProcessEnv, pid: number): ServiceEnvironment {
  const given = new Map(variables.map((name) => [name, env[name]]));
  for (const name of variables) delete env[name];
  const isOurs = (name: 'LISTEN_PID' | 'WATCHDOG_PID'): boolean =>
    given.get(name) === undefined || given.get(name) === String(pid);
  const notify = given.get('NOTIFY_SOCKET');
  const watchdog = given.get('WATCHDOG_USEC');
  const listen = given.get('LISTEN_FDS');
  return {
    notify: notify === undefined || !/^[@/]./.test(notify) ? undefined : notify.replace(/^@/, '\0'),
    watchdogMs:
      watchdog === undefined || !isOurs('WATCHDOG_PID')
        ? undefined
        : numberIn('WATCHDOG_USEC', watchdog, 1, Number.MAX_SAFE_INTEGER) / 1000,
    // Unlike with the watchdog, the pid is always there: without it the descriptors are for no process.
    sockets:
      listen === undefined || given.get('LISTEN_PID') === undefined || !isOurs('LISTEN_PID')
        ? []
        : socketsOf(numberIn('LISTEN_FDS', listen, 0, socketsMax), given.get('LISTEN_FDNAMES')),
  };
}

function socketsOf(count: number, names: string | undefined): PassedSocket[] {
  const each = names === undefined ? [] : names.split(':');
  if (names !== undefined && count > 0 && each.length !== count)
    throw new Error(`LISTEN_FDNAMES has ${each.length} names for ${count} descriptors`);
  return Array.from({ length: count }, (_, index) => ({
    descriptor: firstDescriptor + index,
    name: each[index] ?? 'unknown',
  }));
}

function numberIn(name: string, text: string, least: number, most: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw new Error(`${name} is ${JSON.stringify(text)}`);
  return value;
}

const statusMs = 2_000;

/** Notifies the manager named by the environment; does nothing if there is none. `monotonicUs`: CLOCK_MONOTONIC, as systemd reads it. */
export function createServiceManager(
  environment: Pick<ServiceEnvironment, 'notify' | 'watchdogMs'>,
  native: Pick<Native, 'sendDatagram'>,
  clock: Clock,
  monotonicUs: () => bigint = () => process.hrtime.bigint() / 1000n,
) {
  const { notify, watchdogMs } = environment;
  const waiting: string[] = [];
  let retry: Timer | undefined;
  let beat: Timer | undefined;
  let isAlive: () => boolean = () => true;
  let statusTimer: Timer | undefined;
  let shown = '';

  function send(notification: Notification): void {
    if (notify === undefined) return;
    if ('status' in notification) shown = notification.status;
    if (waiting.length === waitingMax) waiting.shift();
    waiting.push(encodeNotification(notification));
    if (retry === undefined) flush();
  }

  function flush(): void {
    retry = undefined;
    while (waiting.length > 0) {
      if (!isDelivered(waiting[0] ?? '')) {
        retry = clock.setTimer(retryMs, flush);
        return;
      }
      waiting.shift();
    }
  }

  function isDelivered(text: string): boolean {
    try {
      return notify === undefined || native.sendDatagram(notify, text);
    } catch {
      // The manager is gone, so nothing can be sent.
      return true;
    }
  }

  return {
    ready: (status: string) => send({ kind: 'ready', status }),
    reloading: () => send({ kind: 'reloading', monotonicUs: monotonicUs() }),
    stopping(status: string, withinMs: number): void {
      statusTimer?.cancel();
      send({ kind: 'stopping', status, withinMs });
    },
    status: (status: string) => send({ kind: 'status', status }),
    /** From now on, until `stopping`, the line is the result of `line`: it is called every 2 s, and sent if it changed. */
    follow(line: () => string): void {
      statusTimer?.cancel();
      if (notify === undefined) return;
      const look = (): void => {
        const status = line();
        if (status !== shown) send({ kind: 'status', status });
        statusTimer = clock.setTimer(statusMs, look);
      };
      statusTimer = clock.setTimer(statusMs, look);
    },
    /** Sends a keep-alive at every third of its time while `isHealthy`. Another call replaces `isHealthy`. */
    watch(isHealthy: () => boolean): void {
      isAlive = isHealthy;
      if (watchdogMs === undefined || beat !== undefined) return;
      const intervalMs = watchdogMs / 3;
      // On the event loop: if that stops, so do the keep-alives.
      const tick = (): void => {
        if (isAlive()) send({ kind: 'watchdog' });
        beat = clock.setTimer(intervalMs, tick);
      };
      tick();
    },
    close(): void {
      beat?.cancel();
      retry?.cancel();
      statusTimer?.cancel();
    },
  };
}
