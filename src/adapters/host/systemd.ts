// The two conversations with systemd: what it hands over in the environment at start, and what it is told meanwhile (sd_notify).
// The rules: what came in the environment is taken out of it, so that no child believes it is meant; nothing here waits or fails
// the daemon: a message that cannot be sent is tried again while the queue is full, else dropped.
//
// A message is lines KEY=VALUE in one datagram (sd_notify(3)); a name of NOTIFY_SOCKET that begins with @ is abstract.

import type { Clock, Native, Timer } from '../../ports/machine.js';

/** What is said to systemd. Times in milliseconds of CLOCK_MONOTONIC or as spans. */
export type Notification =
  | { readonly kind: 'ready'; readonly status: string }
  /** Must be in one datagram with the time, or `Type=notify-reload` does not take it. */
  | { readonly kind: 'reloading'; readonly monotonicUs: bigint }
  /** `withinMs`: how long the end may take; systemd waits at least so long. */
  | { readonly kind: 'stopping'; readonly status: string; readonly withinMs: number }
  | { readonly kind: 'status'; readonly status: string }
  | { readonly kind: 'watchdog' };

/** A socket that was handed over: its descriptor, and its FileDescriptorName (`unknown` where it has none). */
export interface PassedSocket {
  readonly descriptor: number;
  readonly name: string;
}

/** What systemd gave to this process. */
export interface ServiceEnvironment {
  /** Where to send notifications, as `sendDatagram` takes it; undefined: nobody listens. */
  readonly notify: string | undefined;
  /** Within which time a sign of life is due; undefined: nobody watches. */
  readonly watchdogMs: number | undefined;
  readonly sockets: readonly PassedSocket[];
}

/** Speaks to systemd; does nothing where there is none. */
export interface ServiceManager {
  ready(status: string): void;
  reloading(): void;
  stopping(status: string, withinMs: number): void;
  /** A line for `systemctl status`. */
  status(text: string): void;
  /** From now on a sign of life at every third of the time in which it is due, while `isHealthy`. Again: another `isHealthy`. */
  watch(isHealthy: () => boolean): void;
  /** Ends the signs of life. */
  close(): void;
}

/** SD_LISTEN_FDS_START. */
const firstDescriptor = 3;
/** More is no list that systemd made. */
const socketsMax = 4096;
const retryMs = 100;
/** Messages that wait for a full queue; the oldest go first. */
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

/** Where systemd put the credentials of this process; undefined: it has none. */
export function credentialsFolder(): string | undefined {
  return process.env['CREDENTIALS_DIRECTORY'];
}

/** The datagram of a notification. */
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

/** A line more would be another message. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f]+/g, ' ');
}

/**
 * What stands in `env` for the process `pid`; all of it is taken out of `env`, also what is for another process. Throws an
 * Error with a sentence for numbers that systemd does not write.
 */
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
    // Unlike the watchdog's, this one is always there: without it the descriptors are for nobody.
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

/** Speaks to the manager that the environment names. `monotonicUs`: CLOCK_MONOTONIC, as systemd reads it. */
export function createServiceManager(
  environment: Pick<ServiceEnvironment, 'notify' | 'watchdogMs'>,
  native: Pick<Native, 'sendDatagram'>,
  clock: Clock,
  monotonicUs: () => bigint = () => process.hrtime.bigint() / 1000n,
): ServiceManager {
  const { notify, watchdogMs } = environment;
  const waiting: string[] = [];
  let retry: Timer | undefined;
  let beat: Timer | undefined;
  let isAlive: () => boolean = () => true;

  function send(notification: Notification): void {
    if (notify === undefined) return;
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
      // Nobody is there any more: nobody is left who could be told.
      return true;
    }
  }

  return {
    ready: (status) => send({ kind: 'ready', status }),
    reloading: () => send({ kind: 'reloading', monotonicUs: monotonicUs() }),
    stopping: (status, withinMs) => send({ kind: 'stopping', status, withinMs }),
    status: (status) => send({ kind: 'status', status }),
    watch(isHealthy) {
      isAlive = isHealthy;
      if (watchdogMs === undefined || beat !== undefined) return;
      const intervalMs = watchdogMs / 3;
      // On the event loop like everything else: when that stands still, so does this.
      const tick = (): void => {
        if (isAlive()) send({ kind: 'watchdog' });
        beat = clock.setTimer(intervalMs, tick);
      };
      tick();
    },
    close() {
      beat?.cancel();
      retry?.cancel();
    },
  };
}
