// Looks at the journal for people, each in a thread: searches and reviews of policies, checks of all of it, and reports. A person has a few
// at once; further ones wait. A thread has bounded memory, and ends when nobody waits for it any more. The cgroup of the page's unit
// (CPUWeight=, MemoryMax=) bounds all of them together.

import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { IncidentsRead, IncidentsTask } from '../evidence/reading/read-incidents.js';
import type { LongPart, LongTask } from '../evidence/reading/read-long.js';
import type { TrailAnswer } from '../evidence/reading/read-trail.js';
import { KeyedSemaphore } from '../host/concurrency/limits.js';
import { JournalFault, messageOf } from '../host/ports/faults.js';
import type { Clock, Timer } from '../host/ports/machine.js';
import { Refusal } from './http/page-request.js';
import type { SearchTask, Told } from './look-thread.js';
import type { ReviewAnswer, ReviewTask } from './review-task.js';

/** How long an idle thread is kept: people ask several times in a row. */
const idleMs = 30_000;

/**
 * Abort the signal when the client has gone or the answer was taken. Reject with a Refusal, a JournalFault, or the reason of the signal.
 */
export interface Looks {
  read(task: SearchTask, person: string, signal: AbortSignal): Promise<TrailAnswer>;
  incidents(task: IncidentsTask, person: string, signal: AbortSignal): Promise<IncidentsRead>;
  review(task: ReviewTask, person: string, signal: AbortSignal): Promise<ReviewAnswer>;
  /** Reads the whole journal, as fast as its parts are taken. */
  readLong(task: LongTask, person: string, signal: AbortSignal): AsyncGenerator<LongPart, void, undefined>;
  close(): void;
}

export function createLooks(clock: Clock, entry = new URL('./look-thread.js', import.meta.url)): Looks {
  const places = new KeyedSemaphore();
  const stopping = new AbortController();
  const idle = new Map<Worker, Timer>();

  return {
    read: (...look) => lastOf(lookIn(...look)),
    incidents: (...look) => lastOf(lookIn(...look)),
    review: (...look) => lastOf(lookIn(...look)),
    readLong: lookIn,
    close() {
      stopping.abort(new Refusal(503, 'dovegate is stopping'));
      for (const worker of idle.keys()) void worker.terminate();
    },
  };

  async function* lookIn<Part>(
    task: object,
    person: string,
    gone: AbortSignal,
  ): AsyncGenerator<Part, void, undefined> {
    const signal = AbortSignal.any([gone, stopping.signal]);
    signal.throwIfAborted();
    const leave = await places.take(person, 4, signal);
    // The place is kept until the signal: an answer that nobody reads takes memory, and perhaps nobody asks for the next part.
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    signal.throwIfAborted();
    yield* inThread<Part>(task, signal);
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
      // The thread gets none of the flags and variables that the program was started with.
      env: {},
      execArgv: [],
      name: 'looks',
      resourceLimits: { maxOldGenerationSizeMb: 384 },
    });
    // A thread that ends while it is idle is not used again.
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
