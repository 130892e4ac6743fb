// The process of a long-running program: its first parts, requests to stop, uncaught errors, and the closing of what was opened. An
// uncaught error ends whichever phase runs.

import { systemClock } from '../../host/machine/clock.js';
import { createFindPeer } from '../../host/machine/find-peer.js';
import { createNameService } from '../../host/machine/name-service.js';
import { loadNative } from '../../host/machine/native.js';
import {
  createServiceManager,
  holdProcess,
  onFatalError,
  onSignal,
  takeServiceEnvironment,
} from '../../host/machine/process.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Log } from '../telemetry/log.js';

/** The parts that exist before the configuration is accepted. */
export type Own = Awaited<ReturnType<typeof openProcess>>;

/** Hardens the process, and takes over its signals and the sockets from systemd. */
export async function openProcess(log: Log, fatal: FatalErrors, opened: Opened) {
  const clock = systemClock;
  // Before everything else: PID 1 of a container has no default action for SIGTERM, and a stop during the start would be lost.
  const stop = createStopRequests();
  // A request to reload that comes during the start must not end the process either.
  let isReloadAsked = false;
  const offSignal = onSignal(['SIGHUP'], () => {
    isReloadAsked = true;
  });
  const takeReloads = (): boolean => {
    offSignal();
    return isReloadAsked;
  };
  opened.add('the process', holdProcess());
  const environment = takeServiceEnvironment(process.env, process.pid);
  const native = await loadNative();
  process.umask(creationMask);
  try {
    // Passwords are in memory: no core dump is written, and only root may look into the process.
    native.forbidCoreDumps();
  } catch (fault) {
    const text = `core dumps are not forbidden: ${messageOf(fault)}`;
    log.report({ event: 'not-hardened', level: 'warn', text });
  }
  const manager = createServiceManager(environment, native, clock);
  opened.add('the service manager', () => manager.close());
  // Before a client connects: this starts a child process, and nothing starts one later.
  const names = createNameService(clock);
  opened.add('the name service', () => names.close());
  const findPeer = createFindPeer(native, clock, names);
  const { sockets: passed } = environment;
  return { log, fatal, clock, stop, takeReloads, passed, native, manager, names, findPeer };
}

/** Group and mode of files are set where the files are made. The mask keeps other users out in any case. */
const creationMask = 0o027;

/** Thrown by a phase that an uncaught error ended; the error itself is logged. */
export class UncaughtError extends Error {}

export type FatalErrors = ReturnType<typeof watchFatalErrors>;

/** Logs uncaught errors in place of Node's default. The process cannot continue after one. */
export function watchFatalErrors(log: Pick<Log, 'report'>) {
  let hasHappened = false;
  const happened = new Promise<void>((resolve) => {
    onFatalError((fault) => {
      const text = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
      log.report({ event: 'internal-error', level: 'error', text });
      hasHappened = true;
      resolve();
    });
  });
  const ended = happened.then(() => Promise.reject(new UncaughtError('an error that nobody caught')));
  ended.catch(() => undefined);
  return {
    get hasHappened(): boolean {
      return hasHappened;
    },
    /** Resolves at the first uncaught error. */
    happened,
    /** Settles as the phase does, or rejects with an UncaughtError if an uncaught error comes first. */
    race: <T>(phase: Promise<T>): Promise<T> => Promise.race([phase, ended]),
  };
}

export class Opened {
  readonly #log: Pick<Log, 'report'>;
  readonly #all: { readonly what: string; readonly close: () => unknown }[] = [];
  #closing: Promise<void> | undefined;
  #isClosing = '';

  constructor(log: Pick<Log, 'report'>) {
    this.#log = log;
  }

  /** After `close` was called, closes at once and throws: the phase that opened this has been given up. */
  add(what: string, close: () => unknown): void {
    this.#all.push({ what, close });
    if (this.#closing === undefined) return;
    this.#closing = this.#closing.then(() => this.#closeAll());
    throw new Error(`${what} was opened while the daemon closes`);
  }

  /** Closes all, the newest first, and logs faults. Resolves to false if `giveUp` comes first; then it logs what is open. Never rejects. */
  close(giveUp: Promise<string>): Promise<boolean> {
    this.#closing ??= this.#closeAll();
    return Promise.race([
      this.#closing.then(() => true),
      giveUp.then((why) => {
        this.#report([this.#isClosing, ...this.#all.toReversed().map(({ what }) => what)].join(', '), why);
        return false;
      }),
    ]);
  }

  async #closeAll(): Promise<void> {
    for (let one = this.#all.pop(); one !== undefined; one = this.#all.pop()) {
      this.#isClosing = one.what;
      try {
        await one.close();
      } catch (fault) {
        this.#report(one.what, messageOf(fault));
      }
    }
  }

  #report(what: string, why: string): void {
    this.#log.report({ event: 'close-failed', level: 'warn', text: `${what} could not be closed: ${why}` });
  }
}

/** Stop requests by SIGTERM and SIGINT: the first is for an orderly end, the second for an immediate one. None is lost in between. */
export function createStopRequests() {
  const asks: (() => void)[] = [];
  const ask = <T>(what: T): Promise<T> =>
    new Promise((resolve) => {
      asks.push(() => resolve(what));
    });
  const requests = { first: ask('stop'), second: ask('now') };
  onSignal(['SIGTERM', 'SIGINT'], () => asks.shift()?.());
  return requests;
}
