// The life of the daemon: its states, what asks for its end, errors that nobody caught, and the closing of what was opened.
// The rules: nothing leaves draining but stopped; an uncaught error ends whichever phase runs; a drain ends in bounded time,
// whatever a backend or a client does.

import assert from 'node:assert';
import { onFatalError, onSignal } from '../adapters/host/signals.js';
import type { Log } from '../adapters/telemetry/log.js';
import type { Pool } from '../gateway/pool/pool.js';
import type { Service } from '../gateway/session/service.js';
import type { Clock } from '../ports/machine.js';

/** A state of the daemon. */
export type Phase = 'starting' | 'serving' | 'reloading' | 'draining' | 'stopped';

/** The daemon's state. A task that reloads checks after each wait whether it still may. */
export interface Lifecycle {
  readonly at: Phase;
  /** Whether that state may follow now. */
  may(next: Phase): boolean;
  /** Asserts that it may follow. */
  become(next: Phase): void;
}

const following: Readonly<Record<Phase, readonly Phase[]>> = {
  starting: ['serving', 'stopped'],
  serving: ['reloading', 'draining', 'stopped'],
  reloading: ['serving', 'draining', 'stopped'],
  draining: ['stopped'],
  stopped: [],
};

/** A daemon that starts. */
export function createLifecycle(): Lifecycle {
  let at: Phase = 'starting';
  return {
    get at() {
      return at;
    },
    may: (next) => following[at].includes(next),
    become(next) {
      assert(following[at].includes(next), `a daemon that is ${at} cannot be ${next}`);
      at = next;
    },
  };
}

/** Thrown by a phase that an uncaught error ended; the error itself is logged. */
export class UncaughtError extends Error {}

/** Errors that nobody caught: the process is not in a state to go on. */
export interface FatalErrors {
  readonly hasHappened: boolean;
  /** Resolves at the first one. */
  readonly happened: Promise<void>;
  /** The phase, or an UncaughtError if one happens first. */
  race<T>(phase: Promise<T>): Promise<T>;
}

/** Watches from now on, instead of what Node does by itself. */
export function watchFatalErrors(log: Pick<Log, 'report'>): FatalErrors {
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
    get hasHappened() {
      return hasHappened;
    },
    happened,
    race: (phase) => Promise.race([phase, ended]),
  };
}

/** What a phase has opened. */
export interface Opened {
  /** After `close` has begun it closes at once, and throws: the phase that goes on opening has been given up. */
  add(what: string, close: () => unknown): void;
  /**
   * Closes all of it, the last first, each once; one that fails is logged. Resolves to true when all of it is closed, or to false when
   * `giveUp` does first, and logs what was not. Never rejects.
   */
  close(giveUp: Promise<string>): Promise<boolean>;
}

export function createOpened(log: Pick<Log, 'report'>): Opened {
  const all: { readonly what: string; readonly close: () => unknown }[] = [];
  let closing: Promise<void> | undefined;
  let isClosing = '';
  const report = (what: string, why: string): void =>
    log.report({ event: 'close-failed', level: 'warn', text: `${what} could not be closed: ${why}` });
  async function closeOne({ what, close }: (typeof all)[0]): Promise<void> {
    isClosing = what;
    try {
      await close();
    } catch (fault) {
      report(what, fault instanceof Error ? fault.message : String(fault));
    }
  }
  async function closeAll(): Promise<void> {
    for (let one = all.pop(); one !== undefined; one = all.pop()) await closeOne(one);
  }
  return {
    add(what, close) {
      if (closing === undefined) {
        all.push({ what, close });
        return;
      }
      closing = closing.then(() => closeOne({ what, close }));
      throw new Error(`${what} was opened while the daemon closes`);
    },
    close(giveUp) {
      closing ??= closeAll();
      return Promise.race([
        closing.then(() => true),
        giveUp.then((why) => {
          report([isClosing, ...all.toReversed().map(({ what }) => what)].join(', '), why);
          return false;
        }),
      ]);
    },
  };
}

/** The signals that ask for an end: the first for an orderly one, the second for one now. */
export interface StopRequests {
  readonly first: Promise<'stop'>;
  readonly second: Promise<'now'>;
}

/** Listens from now on, without a gap between the two. */
export function createStopRequests(): StopRequests {
  let count = 0;
  let askFirst: (value: 'stop') => void = () => undefined;
  let askSecond: (value: 'now') => void = () => undefined;
  const first = new Promise<'stop'>((resolve) => {
    askFirst = resolve;
  });
  const second = new Promise<'now'>((resolve) => {
    askSecond = resolve;
  });
  onSignal(['SIGTERM', 'SIGINT'], () => {
    count += 1;
    if (count === 1) askFirst('stop');
    else askSecond('now');
  });
  return { first, second };
}

/** From giving up to cutting: long enough to say so to every client that reads. */
const tellMs = 1_000;
/** From cutting to not waiting any longer: a transport that was cut is gone at once. */
const cutMs = 1_000;

/**
 * Ends all sessions: idle ones now, the others after their exchange. When `drainMs` are over, or at a second signal, waiting
 * commands are refused and running ones given up, both told to their clients; a moment later they are cut. Never rejects.
 */
export function drain(
  service: Service,
  pools: readonly Pool[],
  drainMs: number,
  clock: Clock,
  hurried: Promise<unknown>,
): Promise<void> {
  return new Promise((resolve) => {
    let isHurried = false;
    let timer = clock.setTimer(drainMs, hurry);
    void hurried.then(hurry);
    function end(): void {
      isHurried = true;
      timer.cancel();
      resolve();
    }
    function hurry(): void {
      if (isHurried) return;
      isHurried = true;
      timer.cancel();
      for (const pool of pools) pool.drain();
      service.abort();
      timer = clock.setTimer(tellMs, () => {
        service.cut();
        timer = clock.setTimer(cutMs, end);
      });
    }
    service.drain().then(end, end);
  });
}
