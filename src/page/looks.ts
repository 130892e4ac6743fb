// Looks at the journal, each in a thread: searches and reviews of policies, checks of all of it, and reports.
// The rule: the page goes on serving others whatever somebody looks for. Looks are few at once, of all people and of each; a thread has
// bounded memory, and is ended when it takes too long or nobody waits for it any more.

import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { LongPart, LongTask } from '../adapters/views/read-long.js';
import type { TrailAnswer } from '../adapters/views/read-trail.js';
import { bounds } from '../bounds/bounds.js';
import { KeyedSemaphore, TokenBuckets } from '../concurrency/limits.js';
import { JournalFault, messageOf } from '../ports/faults.js';
import type { Clock, Timer } from '../ports/machine.js';
import type { SearchTask, Told } from './look-thread.js';
import type { ReviewAnswer, ReviewTask } from './review-task.js';

/** Each look is a record: somebody who asks in a loop must not fill the journal. 5 a second, after a burst. */
const pace = { burst: bounds.lookBurst, refillMs: 200, sourcesMax: bounds.lookSources } as const;
/** Who got no place within so long is refused. */
const patienceMs = bounds.lookPatienceMs;
/** A thread that has nothing to do is kept for so long, since people ask several times. */
const idleMs = 30_000;

/** How many run at once, and of one person, whose place is held until the answer was taken: one that nobody reads takes memory. */
const kinds = {
  /** A search ends by itself long before. */
  look: {
    what: 'searches',
    most: bounds.lookPlaces,
    ownMost: bounds.personLooks,
    timeMsMax: bounds.lookMs,
  },
  /** Apart from the searches, which it must not keep waiting: it takes longer. */
  histogram: {
    what: 'histograms',
    most: bounds.histograms,
    ownMost: 1,
    timeMsMax: bounds.lookMs,
  },
  verify: {
    what: 'checks of the whole journal',
    most: bounds.longChecks,
    ownMost: 1,
    timeMsMax: bounds.longMs,
  },
  report: { what: 'reports', most: bounds.longReports, ownMost: 1, timeMsMax: bounds.longMs },
} as const;

/** No answer: too many ask, or it takes too long. The message is a sentence for who asks. */
export class LookRefused extends Error {}

/**
 * Looks of a person. The signal must be aborted when who asked has gone, and when the answer was taken. They reject with a LookRefused,
 * with a JournalFault, and with the reason of the signal, after which nothing is read any more.
 */
export interface Looks {
  read(task: SearchTask, person: string, signal: AbortSignal): Promise<TrailAnswer>;
  review(task: ReviewTask, person: string, signal: AbortSignal): Promise<ReviewAnswer>;
  /** Reads the whole journal, as fast as its parts are taken. */
  readLong(task: LongTask, person: string, signal: AbortSignal): AsyncGenerator<LongPart, void, undefined>;
  /** Ends all threads. */
  close(): void;
}

/** `entry`: the file of the threads. */
export function createLooks(clock: Clock, entry = new URL('./look-thread.js', import.meta.url)): Looks {
  const places = new KeyedSemaphore();
  const asked = new TokenBuckets(pace);
  const stopping = new AbortController();
  const idle = new Map<Worker, Timer>();

  return {
    read: (task, ...who) =>
      lastOf(lookIn(task.asked.look === 'histogram' ? 'histogram' : 'look', task, ...who)),
    review: (...look) => lastOf(lookIn('look', ...look)),
    readLong: (task, ...who) => lookIn(task.long, task, ...who),
    close() {
      stopping.abort(new LookRefused('dovegate is stopping'));
      for (const worker of idle.keys()) void worker.terminate();
    },
  };

  async function* lookIn<Part>(
    kind: keyof typeof kinds,
    task: object,
    person: string,
    gone: AbortSignal,
  ): AsyncGenerator<Part, void, undefined> {
    const { what, most, ownMost, timeMsMax } = kinds[kind];
    const late = new AbortController();
    const refuse = (text: string) => (): void => late.abort(new LookRefused(text));
    const signal = AbortSignal.any([gone, stopping.signal, late.signal]);
    signal.throwIfAborted();
    const waitMs = asked.take(person, clock.now());
    if (waitMs !== undefined) throw new LookRefused(`${person} asks too often; wait ${waitMs} ms`);
    const crowded = `as many ${what} run as may at once (${most}, and ${ownMost} of one person); try again in a moment`;
    let timer = clock.setTimer(patienceMs, refuse(crowded));
    let leave = (): void => undefined;
    try {
      // One's own first: who asks twice at once must not hold a place of the others meanwhile.
      const leaveOwn = await places.take(`${kind}=${person}`, ownMost, signal);
      signal.addEventListener('abort', leaveOwn, { once: true });
      leave = await places.take(kind, most, signal);
      // Perhaps nobody asks for the next part, so nothing is left for that.
      signal.addEventListener('abort', leave, { once: true });
      signal.throwIfAborted();
      timer.cancel();
      const slow = `this took longer than ${timeMsMax / 1000} s; ask for less, or read the files (dovegate audit --config)`;
      timer = clock.setTimer(timeMsMax, refuse(slow));
      yield* inThread<Part>(task, signal);
    } finally {
      timer.cancel();
      leave();
    }
  }

  async function* inThread<Part>(task: object, signal: AbortSignal): AsyncGenerator<Part, void, undefined> {
    const [worker = start()] = idle.keys();
    idle.get(worker)?.cancel();
    idle.delete(worker);
    // Not awaited: a thread that hangs in the kernel ends when the kernel lets go.
    const end = (): void => void worker.terminate();
    signal.addEventListener('abort', end, { once: true });
    let isOver = false;
    try {
      const messages = on(worker, 'message', { signal, close: ['exit'] });
      post(worker, task);
      for await (const [message] of messages) {
        signal.throwIfAborted();
        const told: Told<Part> = message;
        isOver = 'isOver' in told;
        if ('isOver' in told) return;
        yield told.part;
        post(worker, 'taken');
      }
      throw new Error('the thread that reads it ended');
    } catch (fault) {
      signal.throwIfAborted();
      throw new JournalFault('unreadable', `the journal cannot be read: ${messageOf(fault)}`, fault);
    } finally {
      signal.removeEventListener('abort', end);
      if (isOver && !signal.aborted) idle.set(worker, clock.setTimer(idleMs, end));
      else end();
    }
  }

  function start(): Worker {
    const worker = new Worker(entry, {
      // Whatever flags and variables the program was started with are not for this thread.
      env: {},
      execArgv: [],
      name: 'looks',
      resourceLimits: { maxOldGenerationSizeMb: bounds.lookHeapMiB },
    });
    // One that ends while it is idle is not used again.
    return worker
      .on('error', () => undefined)
      .on('exit', () => {
        idle.get(worker)?.cancel();
        idle.delete(worker);
      });
  }
}

function post(worker: Worker, message: object | 'taken'): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage(message);
}

async function lastOf<Part>(parts: AsyncIterable<Part>): Promise<Part> {
  let last: { readonly part: Part } | undefined;
  for await (const part of parts) last = { part };
  if (last === undefined) throw new Error('a look without an answer');
  return last.part;
}
