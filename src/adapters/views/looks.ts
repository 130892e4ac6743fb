// Requests about the journal, each answered by a thread: a few at once, the others wait for a moment.
// The rule: whatever a request costs, it cannot slow commands down: its thread has a lower priority and bounded memory, and is ended when the
// request takes too long or nobody waits for it any more.

import { Worker } from 'node:worker_threads';
import { bounds } from '../../bounds/bounds.js';
import { KeyedSemaphore, TokenBuckets } from '../../concurrency/limits.js';
import { JournalFault, messageOf } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import { readParts } from './long-looks.js';
import type { LongPart, LongTask } from './read-long.js';
import type { ReadTask, TrailAnswer } from './read-trail.js';

/** Of all people together. */
export const placesMax = bounds.lookPlaces;
/** A request that got no place within so long is refused. */
const patienceMs = bounds.lookPatienceMs;
/** Each request is a record: somebody who asks in a loop must not fill the journal. 5 a second, after a burst. */
const pace = { burst: bounds.lookBurst, refillMs: 200, sourcesMax: bounds.lookSources } as const;
/** Requests of one person at once, from the first byte to the last of the answer: an answer that nobody reads takes memory. */
const askingMax = bounds.personLooks;
/** The longest that a thread reads; a search ends by itself long before. */
const readMsMax = bounds.lookMs;
/** Rows, bytes and time of one request, after which a search gives a cursor. */
const limits = { rowsMax: bounds.lookRows, bytesMax: bounds.lookBytes, timeMs: bounds.lookAnswerMs } as const;
/** A thread that has nothing to do is kept for so long, since people ask several times. */
const idleMs = 30_000;
/** Of a thread's heap, in MiB. */
const heapMiBMax = bounds.lookHeapMiB;
/** A review holds each kind of command that it saw, and tries rules out after it has read. */
const reviewLimits = { timeMsMax: bounds.reviewMs, heapMiBMax: bounds.reviewHeapMiB } as const;
/** Checks of the whole journal at once, and reports, which check it too. */
const longMax = { verify: bounds.longChecks, report: bounds.longReports } as const;

/** No answer: too many ask, or it takes too long. The message is a sentence for who asks. */
export class LookRefused extends Error {}

export interface Looks {
  /** Ends all threads. */
  close(): void;
  /**
   * The answer; `person`: one of whom has one place at a time. The signal is aborted when the answer was taken, too. Rejects with a LookRefused, with a JournalFault, and with the reason of the
   * signal, after which nothing is read any more.
   */
  read(task: Omit<ReadTask, 'limits'>, person: string, signal: AbortSignal): Promise<TrailAnswer>;
  /**
   * Reads the whole journal, in parts. Throws a LookRefused at once where there is no place; the parts end with a JournalFault, or with the
   * reason of the signal, which must be aborted when who asked has gone.
   */
  readLong(task: LongTask, person: string, signal: AbortSignal): AsyncGenerator<LongPart, void, undefined>;
  /** The answer of a thread that reviews policies by the journal; in turn with the others, and rejected like them. */
  review(task: ReviewMessage, person: string, signal: AbortSignal): Promise<ReviewMessage>;
}

const everybody = '';

/** One reading of the whole journal. */
interface LongPlace {
  readonly person: string;
}

/** What a thread that reviews is asked, and what it answers; other fields are for who asks and the thread alone. */
export interface ReviewMessage {
  readonly kind: string;
}

/** A thread's file, how long it may take, its heap in MiB, and what it answers. */
interface ThreadKind<Answered> {
  readonly entry: URL;
  readonly timeMsMax: number;
  readonly heapMiBMax: number;
  readonly isAnswer: (message: unknown) => message is Answered;
}

function isTrailAnswer(message: unknown): message is TrailAnswer {
  return typeof message === 'object' && message !== null && 'text' in message && 'rows' in message;
}

function isReviewMessage(message: unknown): message is ReviewMessage {
  return typeof message === 'object' && message !== null && 'kind' in message;
}

/** `reviewEntry`: the file of the threads that review; undefined: nothing is reviewed. `readingEntry`: that of the threads that search. */
export function createLooks(
  clock: Clock,
  reviewEntry?: URL,
  readingEntry = new URL('./reading-thread.js', import.meta.url),
): Looks {
  const places = new KeyedSemaphore();
  const threads = createThreads(clock, {
    entry: readingEntry,
    timeMsMax: readMsMax,
    heapMiBMax,
    isAnswer: isTrailAnswer,
  });
  const reviews =
    reviewEntry === undefined
      ? undefined
      : createThreads(clock, { entry: reviewEntry, ...reviewLimits, isAnswer: isReviewMessage });
  const asked = new TokenBuckets(pace);
  /** By person: requests, until the client has taken the answer or has gone. */
  const asking = new Map<string, number>();

  function enter(person: string, signal: AbortSignal): void {
    signal.throwIfAborted();
    const count = asking.get(person) ?? 0;
    if (count >= askingMax)
      throw new LookRefused(`${count} requests of yours are not over; try again in a moment`);
    asking.set(person, count + 1);
    const leave = (): void => {
      const left = (asking.get(person) ?? 1) - 1;
      if (left > 0) asking.set(person, left);
      else asking.delete(person);
    };
    signal.addEventListener('abort', leave, { once: true });
  }

  const long = { verify: new Set<LongPlace>(), report: new Set<LongPlace>() };
  const stopping = new AbortController();

  /** From the first part that is asked for to the last. */
  async function* readInPlace(task: LongTask, leave: () => void, signal: AbortSignal) {
    try {
      yield* readParts(task, clock, AbortSignal.any([signal, stopping.signal]));
    } finally {
      leave();
    }
  }

  return {
    close() {
      stopping.abort(new LookRefused('dovegate is stopping'));
      threads.close();
      reviews?.close();
    },
    readLong(task, person, signal) {
      stopping.signal.throwIfAborted();
      const waitMs = asked.take(person, clock.now());
      if (waitMs !== undefined) throw new LookRefused(`${person} asks too often; wait ${waitMs} ms`);
      signal.throwIfAborted();
      const taken = long[task.long];
      const people = [...taken].map((each) => each.person);
      const what = task.long === 'verify' ? 'check of the whole journal' : 'report';
      if (people.includes(person))
        throw new LookRefused(`a ${what} of yours is being made; wait until it is over`);
      if (people.length >= longMax[task.long])
        throw new LookRefused(`another ${what} is being made; try again when it is over`);
      const place: LongPlace = { person };
      taken.add(place);
      const leave = (): void => void taken.delete(place);
      // Perhaps nobody asks for the first part; then there is no last one either.
      signal.addEventListener('abort', leave, { once: true });
      return readInPlace(task, leave, signal);
    },
    read: (task, person, signal) => inTurn(person, signal, () => threads.read({ ...task, limits }, signal)),
    review: (task, person, signal) =>
      inTurn(person, signal, () => {
        if (reviews === undefined) throw new LookRefused('nothing is reviewed here');
        return reviews.read(task, signal);
      }),
  };

  async function inTurn<Found>(
    person: string,
    signal: AbortSignal,
    use: () => Promise<Found>,
  ): Promise<Found> {
    stopping.signal.throwIfAborted();
    const waitMs = asked.take(person, clock.now());
    if (waitMs !== undefined) throw new LookRefused(`${person} asks too often; wait ${waitMs} ms`);
    enter(person, signal);
    const waiting = new AbortController();
    const giveUp = (): void => waiting.abort(signal.aborted ? signal.reason : stopping.signal.reason);
    const ends = [signal, stopping.signal];
    for (const end of ends) end.addEventListener('abort', giveUp, { once: true });
    const timer = clock.setTimer(patienceMs, () => {
      const text = `${placesMax} searches run already, or one of yours; try again in a moment`;
      waiting.abort(new LookRefused(text));
    });
    const held: (() => void)[] = [];
    try {
      // One's own first: who asks twice at once must not hold a place of the others meanwhile.
      held.push(await places.take(`=${person}`, 1, waiting.signal));
      held.push(await places.take(everybody, placesMax, waiting.signal));
      timer.cancel();
      // The end of the others gave the places away.
      waiting.signal.throwIfAborted();
      return await use();
    } finally {
      timer.cancel();
      for (const end of ends) end.removeEventListener('abort', giveUp);
      for (const release of held) release();
    }
  }
}

interface Thread {
  readonly worker: Worker;
  idle: Timer | undefined;
}

function createThreads<Answered>(
  clock: Clock,
  { entry, timeMsMax, heapMiBMax: heap, isAnswer }: ThreadKind<Answered>,
) {
  const idle: Thread[] = [];
  const all = new Set<Worker>();

  return {
    read,
    close(): void {
      for (const worker of all) void worker.terminate();
    },
  };

  function start(): Thread {
    const worker = new Worker(entry, {
      // Whatever flags and variables the program was started with are not for this thread.
      env: {},
      execArgv: [],
      name: 'looks',
      resourceLimits: { maxOldGenerationSizeMb: heap },
    });
    const thread: Thread = { worker, idle: undefined };
    all.add(worker);
    // One that ends while it is idle is not used again.
    const gone = (): void => {
      all.delete(worker);
      thread.idle?.cancel();
      const at = idle.indexOf(thread);
      if (at >= 0) idle.splice(at, 1);
    };
    worker.on('exit', gone);
    worker.on('error', gone);
    return thread;
  }

  function rest(thread: Thread): void {
    idle.push(thread);
    thread.idle = clock.setTimer(idleMs, () => void thread.worker.terminate());
  }

  function read(task: object, signal: AbortSignal): Promise<Answered> {
    const thread = idle.pop() ?? start();
    thread.idle?.cancel();
    const { worker } = thread;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        timer.cancel();
        signal.removeEventListener('abort', leave);
        worker.off('message', take).off('error', fail).off('exit', exit);
        settle();
      };
      // Not awaited: a thread that hangs in the kernel ends when the kernel lets go.
      const giveUp = (fault: unknown): void =>
        end(() => {
          reject(fault);
          void worker.terminate();
        });
      const take = (answer: unknown): void => {
        if (!isAnswer(answer)) return fail('its answer is none');
        end(() => {
          resolve(answer);
          rest(thread);
        });
      };
      const fail = (fault: unknown): void =>
        giveUp(new JournalFault('unreadable', `the journal cannot be read: ${messageOf(fault)}`, fault));
      const exit = (): void =>
        giveUp(new JournalFault('unreadable', 'the thread that reads the journal ended'));
      const leave = (): void => giveUp(signal.reason);
      const timer = clock.setTimer(timeMsMax, () => {
        const text = `this took longer than ${timeMsMax / 1000} s; ask for less, or read the files (dovegate audit --config)`;
        giveUp(new LookRefused(text));
      });
      signal.addEventListener('abort', leave, { once: true });
      worker.on('message', take).on('error', fail).on('exit', exit);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(task);
    });
  }
}
