// A bulk run: workers take users from the list at the given pace, and retry temporary failures after a pause. A user is recorded
// as begun before it is sent, a change that may have run is never sent again, and the run stops early only if nobody else could
// be served.

import { pause } from '../../host/concurrency/waiting.js';
import { CommandFault } from '../../host/output/output.js';
import type { Clock } from '../../host/ports/machine.js';
import type { Pace } from './pace.js';
import { type RunState, sysexits } from './run-state.js';
import type { TryAgain, UserResult, UserSender } from './send-user.js';
import { whyNoName } from './user-list.js';

export interface RunOptions {
  readonly clock: Clock;
  readonly state: RunState;
  /** The run's id; the tags of its commands begin with it. */
  readonly id: string;
  /** By normal name, as it is sent. */
  readonly users: ReadonlyMap<string, string>;
  /** Whether a normal name has its result from an earlier run. */
  readonly isDone: (name: string) => boolean;
  /** The command may be sent twice. */
  readonly isHarmless: boolean;
  readonly jobs: number;
  readonly pace: Pace;
  readonly createSender: () => UserSender;
  /** Called for each user that ended, in the order of the ends; awaited before the state has the result. */
  readonly onResult: (user: string, tag: string | undefined, result: UserResult) => Promise<void>;
  /** Nothing is sent for `ms`, for that reason. */
  readonly onWait: (ms: number, why: string) => void;
  /** Begins no new user any more. */
  readonly stop: AbortSignal;
  readonly cancel: AbortSignal;
}

/** `fault`: why it ended early; undefined: every user has a result. */
export interface RunEnd {
  readonly fault: CommandFault | undefined;
  readonly left: number;
  /** Users that failed because all their attempts were too early: the state has them as not sent. */
  readonly givenUp: number;
}

interface Turn {
  readonly name: string;
  readonly user: string;
  readonly attempts: number;
}

/** Pauses of one user before its next attempts. */
const pausesMs = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
/** A server that is unreachable for this time ends the run. */
const awayMsMax = 10 * 60_000;
const limitedMs = 5_000;

/** Resolves when nothing of it runs any more. Rejects for errors of the program only. */
export async function runForUsers(options: RunOptions): Promise<RunEnd> {
  const { clock, state, pace, users, stop, cancel } = options;
  const list = users.entries();
  /** Users to retry, by the number of their attempts, each list in the order of its times. */
  const later: { readonly atMs: number; readonly turn: Turn }[][] = pausesMs.map(() => []);
  /** Ends all waiting: by the caller, or because of a fault. */
  const ending = new AbortController();
  const onStop = (): void => ending.abort(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  let fault: CommandFault | undefined;
  let left = users.size;
  let givenUp = 0;
  let running = 0;
  let aways = 0;
  let awayMs = 0;
  let isReached = false;

  function fail(cause: CommandFault): void {
    fault ??= cause;
    ending.abort(cause);
  }

  /** Resolves to undefined if no user is left, now or later. */
  async function nextTurn(): Promise<Turn | undefined> {
    for (;;) {
      ending.signal.throwIfAborted();
      const nowMs = clock.now();
      let dueMs = Infinity;
      for (const waiting of later) {
        const [first] = waiting;
        if (first !== undefined && first.atMs <= nowMs) return waiting.shift()?.turn;
        dueMs = Math.min(dueMs, first?.atMs ?? Infinity);
      }
      for (let next = list.next(); next.done !== true; next = list.next()) {
        const [name, user] = next.value;
        if (!options.isDone(name)) return { name, user, attempts: 0 };
        left -= 1;
      }
      if (dueMs === Infinity && running === 0) return undefined;
      // A running one may have to be retried.
      await pause(clock, Math.min(dueMs - nowMs, 200), ending.signal);
    }
  }

  async function work(): Promise<void> {
    const sender = options.createSender();
    try {
      for (let turn = await nextTurn(); turn !== undefined; turn = await nextTurn()) {
        running += 1;
        try {
          await take(turn, sender);
        } finally {
          running -= 1;
        }
      }
    } catch (cause) {
      if (cause === ending.signal.reason || cause === cancel.reason) return;
      if (cause instanceof CommandFault) return fail(cause);
      ending.abort(cause);
      throw cause;
    } finally {
      await sender.close();
    }
  }

  async function take(turn: Turn, sender: UserSender): Promise<void> {
    const { name, user } = turn;
    const problem = whyNoName(user);
    if (problem !== undefined)
      return end(user, undefined, { kind: 'failed', code: 'DATAERR', message: problem, id: undefined });
    await pace.turn(ending.signal);
    let number: number | undefined;
    const begin = async (): Promise<string> => {
      // Connecting took time.
      ending.signal.throwIfAborted();
      number = await state.begin(name);
      return `${options.id}-${number}`;
    };
    let came: UserResult | TryAgain;
    try {
      came = await sender.send(user, begin, cancel);
    } catch (cause) {
      if (number !== undefined) {
        // Senders throw faults of their own only if nothing was sent.
        const isUnsent = cause instanceof CommandFault && cause !== cancel.reason;
        if (isUnsent || options.isHarmless) state.end(number, 'released');
        else await end(user, number, { kind: 'unknown', message: 'given up while it ran', id: undefined });
      }
      throw cause;
    }
    if (came.kind !== 'again') {
      noteReached();
      await end(user, number, came);
      if (came.kind === 'unknown' && came.endsRun === true)
        throw new CommandFault(sysexits.tempFail, `no further user is sent: ${came.message}`);
      return;
    }
    if (number !== undefined) state.end(number, 'released');
    await comeAgain(turn, number, came);
  }

  async function comeAgain(turn: Turn, number: number | undefined, came: TryAgain): Promise<void> {
    const attempts = turn.attempts + (came.why === 'busy' || came.why === 'broken' ? 1 : 0);
    if (came.why === 'away') {
      if (aways === 0) awayMs = clock.now();
      aways += 1;
      if (!isReached || clock.now() - awayMs > awayMsMax)
        throw new CommandFault(sysexits.tempFail, `the server cannot be reached: ${came.message}`);
      wait(pausesMs[Math.min(Math.floor(aways / options.jobs), 4)] ?? 1_000, came.message);
    } else {
      noteReached();
      if (came.why === 'limited') wait(came.afterMs ?? limitedMs, came.message);
    }
    const pauseMs = attempts === turn.attempts ? 0 : pausesMs[attempts - 1];
    const queue = later[Math.max(attempts - 1, 0)];
    if (pauseMs === undefined || queue === undefined || (came.why === 'broken' && attempts > 2)) {
      // The state has it as not sent: the next run tries it again.
      const { code, message, id } = came;
      left -= 1;
      givenUp += 1;
      return options.onResult(turn.user, tagOf(number), { kind: 'failed', code, message, id });
    }
    queue.push({ atMs: clock.now() + pauseMs, turn: { ...turn, attempts } });
  }

  function noteReached(): void {
    isReached = true;
    aways = 0;
  }

  function tagOf(number: number | undefined): string | undefined {
    return number === undefined ? undefined : `${options.id}-${number}`;
  }

  function wait(ms: number, why: string): void {
    pace.hold(ms);
    options.onWait(pace.heldMs, why);
  }

  async function end(user: string, number: number | undefined, result: UserResult): Promise<void> {
    left -= 1;
    // Printed first: a result that is only in the state would be seen by nobody.
    await options.onResult(user, tagOf(number), result);
    if (number === undefined) return;
    state.end(number, result.kind, result.kind === 'failed' ? result.code : undefined);
  }

  const ends = await Promise.allSettled(Array.from({ length: options.jobs }, work));
  stop.removeEventListener('abort', onStop);
  for (const worker of ends) if (worker.status === 'rejected') throw worker.reason;
  return { fault, left, givenUp };
}
