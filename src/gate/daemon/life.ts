// The process of a program that runs for long: what it has from its beginning, what asks for its end, errors that nobody caught, and the
// closing of what was opened. An uncaught error ends whichever phase runs.

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

/** What the process has before its configuration is good. */
export type Own = Awaited<ReturnType<typeof openProcess>>;

/** Hardens the process, and takes over its signals and what systemd handed over. */
export async function openProcess(log: Log, fatal: FatalErrors, opened: Opened) {
  const clock = systemClock;
  // From now on: the first process of a container has no other answer to SIGTERM, and a stop that comes during the start would
  // be lost.
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
    // Passwords are in our memory: no image of it is written, and nobody but root looks into it.
    native.forbidCoreDumps();
  } catch (fault) {
    const text = `core dumps are not forbidden: ${messageOf(fault)}`;
    log.report({ event: 'not-hardened', level: 'warn', text });
  }
  const manager = createServiceManager(environment, native, clock);
  opened.add('the service manager', () => manager.close());
  // Before anybody connects: it starts a process, and later nothing does.
  const names = createNameService(clock);
  opened.add('the name service', () => names.close());
  const findPeer = createFindPeer(native, clock, names);
  const { sockets: passed } = environment;
  return { log, fatal, clock, stop, takeReloads, passed, native, manager, names, findPeer };
}

/** Group and mode of what we make are said where it is made; others never get anything by accident. */
const creationMask = 0o027;

/** Thrown by a phase that an uncaught error ended; the error itself is logged. */
export class UncaughtError extends Error {}

export type FatalErrors = ReturnType<typeof watchFatalErrors>;

/** Watches errors that nobody caught, instead of what Node does by itself: the process is not in a state to go on. */
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
    /** Resolves at the first one. */
    happened,
    /** The phase, or an UncaughtError if one happens first. */
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

  /** After `close` has begun it closes at once, and throws: the phase that goes on opening has been given up. */
  add(what: string, close: () => unknown): void {
    this.#all.push({ what, close });
    if (this.#closing === undefined) return;
    this.#closing = this.#closing.then(() => this.#closeAll());
    throw new Error(`${what} was opened while the daemon closes`);
  }

  /** The last first, each once; faults are logged. False: `giveUp` came first, and what is open is logged. Never rejects. */
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

/** The signals that ask for an end, from now on without a gap between the two: the first for an orderly one, the second for one now. */
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
