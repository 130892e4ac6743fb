// What the daemon says of itself right now, for every screen that asks: one stream for the page.

import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { createSteadyClock, follow, isStale, type Live } from './follow.js';
import type { Session } from './session.js';

export interface LiveState extends Live {
  /** Nothing was received for 5 s: what is shown may not be so any more. */
  readonly isStale: boolean;
}

export const steadyMs = createSteadyClock(
  () => Date.now(),
  () => performance.now(),
);

const nothing: LiveState = { now: undefined, heardMs: undefined, trouble: undefined, isStale: false };

export const LiveContext = createContext<LiveState>(nothing);

export function useLive(): LiveState {
  return useContext(LiveContext);
}

/** The daemon's clock, by which "an hour ago" is meant: the browser's may be wrong. Undefined: it will be known in a moment. */
export function useDaemonMs(): (() => number) | undefined {
  const { now, heardMs, trouble } = useLive();
  if (now !== undefined && heardMs !== undefined) return () => Date.parse(now.at) + steadyMs() - heardMs;
  return trouble === undefined ? undefined : () => Date.now();
}

/** Follows the daemon for as long as the session lasts. */
export function useFollowing(session: Session): LiveState {
  const [live, setLive] = useState<Live>(nothing);
  const [isOld, setOld] = useState(false);
  useEffect(() => {
    const end = new AbortController();
    let last: Live = nothing;
    const onChange = (next: Live): void => {
      last = next;
      setLive(next);
      setOld(isStale(next, steadyMs()));
    };
    void follow({
      api: session.api,
      signal: end.signal,
      nowMs: steadyMs,
      pause,
      random: () => Math.random(),
      onChange,
    });
    const timer = window.setInterval(() => setOld(isStale(last, steadyMs())), 250);
    return () => {
      end.abort();
      window.clearInterval(timer);
    };
  }, [session]);
  return { ...live, isStale: isOld };
}

/** Over at once when the network is back, or the page is looked at again. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const onEnd = (): void => {
      window.clearTimeout(timer);
      window.removeEventListener('online', onEnd);
      document.removeEventListener('visibilitychange', onEnd);
      signal.removeEventListener('abort', onEnd);
      resolve();
    };
    const timer = window.setTimeout(onEnd, ms);
    window.addEventListener('online', onEnd);
    document.addEventListener('visibilitychange', onEnd);
    signal.addEventListener('abort', onEnd);
    if (signal.aborted) onEnd();
  });
}
