// Readings of the whole journal, each in a thread of its own: what the thread tells goes to one reader, as fast as that takes it.
// The rule: an end comes whatever happens: the reader leaves, takes nothing more, the thread dies, or it takes too long.

import { Worker } from 'node:worker_threads';
import { bounds } from '../../bounds/bounds.js';
import { JournalFault, messageOf } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import type { LongPart, LongTask } from './read-long.js';

/** The longest that a journal is read: 1 TiB takes an hour. */
const readMsMax = bounds.longMs;
/** A part that was not taken for so long ends the reading: a client that stands still must not keep the place. */
const takenMsMax = bounds.longUntakenMs;
/** Of a thread's heap, in MiB. */
const heapMiBMax = 192;

/** What a thread tells; `at`: the number of a part that is waited for. */
export interface ToldPart {
  readonly told: LongPart;
  readonly at: number;
}

/** How a thread ends. */
export type LongEnd = { readonly ended: true } | { readonly failed: string };

/** The parts in their order; of several `progress` the newest. Ends when the task does; rejects with a JournalFault or the signal's reason. */
export async function* readParts(
  task: LongTask,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<LongPart, void, undefined> {
  signal.throwIfAborted();
  const worker = new Worker(new URL('./reading-thread.js', import.meta.url), {
    // Whatever flags and variables the program was started with are not for this thread.
    env: {},
    execArgv: [],
    name: 'long-look',
    resourceLimits: { maxOldGenerationSizeMb: heapMiBMax },
  });
  /** One at most that is waited for: the thread tells no further before it was taken. */
  let waiting: ToldPart | undefined;
  let progress: LongPart | undefined;
  let end: { readonly fault?: unknown } | undefined;
  let wake = (): void => undefined;
  let stuck: Timer | undefined;
  // Perhaps nobody asks for the next part, so nothing is left for that.
  const finish = (fault?: unknown): void => {
    end ??= fault === undefined ? {} : { fault };
    late.cancel();
    if (fault !== undefined) stuck?.cancel();
    wake();
  };
  const unreadable = (why: unknown): JournalFault =>
    new JournalFault('unreadable', `the journal cannot be read: ${messageOf(why)}`, why);
  const giveUp = (): void => {
    finish(signal.reason);
    void worker.terminate();
  };
  const late = clock.setTimer(readMsMax, () => {
    finish(unreadable(new Error(`it takes longer than ${readMsMax / 60_000} minutes`)));
    void worker.terminate();
  });
  signal.addEventListener('abort', giveUp, { once: true });
  worker
    .on('message', (message: ToldPart | LongEnd) => {
      if ('failed' in message) finish(unreadable(new Error(message.failed)));
      else if ('ended' in message) finish();
      else if (message.told.part === 'progress') progress = message.told;
      else waiting = message;
      wake();
    })
    .on('error', (fault) => finish(unreadable(fault)))
    .on('exit', () => finish(unreadable(new Error('the thread that reads it ended'))));
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage(task);
  try {
    for (;;) {
      const part: LongPart | undefined = waiting?.told ?? progress;
      if (end?.fault !== undefined) throw end.fault;
      if (part === undefined) {
        if (end !== undefined) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const taken = waiting;
      progress = undefined;
      waiting = undefined;
      stuck = clock.setTimer(takenMsMax, () => {
        finish(unreadable(new Error('nobody took the answer')));
        void worker.terminate();
      });
      try {
        yield part;
      } finally {
        stuck.cancel();
      }
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      if (taken !== undefined) worker.postMessage({ taken: taken.at });
    }
  } finally {
    finish();
    signal.removeEventListener('abort', giveUp);
    void worker.terminate();
  }
}
