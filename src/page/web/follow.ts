// Follows /api/now: one stream for the whole page, taken up again when it breaks, with what is known and how old that is.

import type { Now } from '../../gate/now/now.js';
import { backOffMs } from '../../host/concurrency/back-off.js';
import type { Away, NowChange } from '../answers/api.js';
import { type Api, AskFault } from './api.js';

/** Older data is shown in grey. */
export const staleMs = 5000;

/** Each tab holds a stream, and a browser has six connections for one address. */
export const tabsAdvice =
  'If dovegate is open in more than five tabs of this browser, close some: they wait for each other.';

export interface Live {
  readonly now: Now | undefined;
  /** When something was last received; undefined: never. */
  readonly heardMs: number | undefined;
  /** Why nothing is received, as a sentence; undefined: data comes. */
  readonly trouble: string | undefined;
  /** The page's process answers, but the daemon does not: what is shown is out of date at once. */
  readonly isAway?: boolean;
}

/** A clock that never steps back and continues while the computer sleeps: people set `wallMs` back, and `runMs` stops in sleep. */
export function createSteadyClock(wallMs: () => number, runMs: () => number): () => number {
  let [wall, run] = [wallMs(), runMs()];
  let steady = wall;
  return () => {
    const [nextWall, nextRun] = [wallMs(), runMs()];
    steady += Math.max(nextWall - wall, nextRun - run, 0);
    [wall, run] = [nextWall, nextRun];
    return steady;
  };
}

export interface FollowOptions {
  readonly api: Pick<Api, 'events'>;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** Resolves after this time, or earlier if there is a reason to try at once, and when `signal` is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Random, 0 to 1: jitter, so that pages do not reconnect in lockstep. */
  readonly random: () => number;
  readonly onChange: (live: Live) => void;
}

/** Until the signal is aborted, or the session is over (401). */
export async function follow(options: FollowOptions): Promise<void> {
  const { api, signal, nowMs, onChange } = options;
  let live: Live = { now: undefined, heardMs: undefined, trouble: undefined };
  const become = (next: Live): void => {
    live = next;
    if (!signal.aborted) onChange(next);
  };
  for (let failures = 0; !signal.aborted; failures += 1) {
    const own = new AbortController();
    const onEnd = (): void => own.abort();
    signal.addEventListener('abort', onEnd);
    let lastHeardMs = nowMs();
    const watch = watchSilence(options, own, () => lastHeardMs);
    try {
      for await (const event of api.events('GET /api/now', { signal: own.signal })) {
        const now = applied(live.now, event.name, event.data);
        if (event.name === 'away') {
          const { text }: Away = JSON.parse(event.data);
          lastHeardMs = nowMs();
          become({ ...live, trouble: text, isAway: true });
        }
        if (now === undefined) continue;
        failures = 0;
        lastHeardMs = nowMs();
        become({ now, heardMs: lastHeardMs, trouble: undefined });
      }
      become({ ...live, trouble: 'The process of the page ended the stream.' });
    } catch (error) {
      if (error instanceof AskFault && error.status === 401) return;
      const silent = `Nothing has come from the process of the page for 5 s. ${tabsAdvice}`;
      become({ ...live, trouble: error instanceof AskFault ? error.message : silent });
    } finally {
      own.abort();
      signal.removeEventListener('abort', onEnd);
    }
    await watch;
    if (!signal.aborted) await options.pause(backOffMs(failures + 1, 250, 4000, options.random()), signal);
  }
}

/** Ends an attempt on which nothing came for this time: a connection can be lost without notice. */
async function watchSilence(
  { nowMs, pause }: FollowOptions,
  own: AbortController,
  heardMs: () => number,
): Promise<void> {
  while (!own.signal.aborted) {
    // One timer for the whole interval: each wake-up costs an idle browser milliseconds.
    await pause(heardMs() + staleMs + 1 - nowMs(), own.signal);
    if (nowMs() - heardMs() > staleMs) own.abort();
  }
}

export function applied(known: Now | undefined, name: string, data: string): Now | undefined {
  if (name === 'snapshot') {
    const now: Now = JSON.parse(data);
    return now;
  }
  // A change without a snapshot has nothing to change.
  if (name !== 'change' || known === undefined) return undefined;
  const change: NowChange = JSON.parse(data);
  return { ...known, ...change };
}

export function isStale(live: Live, nowMs: number): boolean {
  return live.heardMs !== undefined && (live.isAway === true || nowMs - live.heardMs > staleMs);
}

/** A change of this text is drawn at once: the daemon's state, its problems without numbers, and a broken stream. */
export function pressing({ now, trouble }: Live): string {
  const problems = now?.head.problems.map(({ code, backend }) => [code, backend]);
  return JSON.stringify([now?.head.state, problems, trouble]);
}
