// What the daemon says of itself right now, for every screen that asks: one stream for the page.

import { type ComponentChildren, createContext } from 'preact';
import { useContext, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { createSteadyClock, follow, isStale, type Live, pressing } from './follow.js';
import type { Session } from './session.js';
import { type Today, todayAt } from './wording.js';

export interface LiveState extends Live {
  /** Nothing was received for 5 s: the data may be out of date. */
  readonly isStale: boolean;
  /** By the daemon's clock, before the first state by the browser's; in the current time zone. */
  readonly today: Today;
}

export const steadyMs = createSteadyClock(
  () => Date.now(),
  () => performance.now(),
);

class News {
  live: LiveState = {
    now: undefined,
    heardMs: undefined,
    trouble: undefined,
    isStale: false,
    today: todayAt(new Date().toISOString(), undefined),
  };
  readonly #readers = new Set<() => void>();

  tell(live: LiveState): void {
    this.live = live;
    for (const read of this.#readers) read();
  }

  read(reader: () => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}

const NewsContext = createContext(new News());

interface FollowingProps {
  readonly session: Session;
  readonly children: ComponentChildren;
}

/** Follows the daemon while the session lasts. A state redraws only the components whose part of it changed. */
export function Following({ session, children }: FollowingProps) {
  const [news] = useState(() => new News());
  useEffect(() => followInto(news, session), [session]);
  return <NewsContext.Provider value={news}>{children}</NewsContext.Provider>;
}

/** A part of the state. Redraws the component when `part` returns another value (===), so `part` must not create objects. */
export function useLive<Part>(part: (live: LiveState) => Part): Part {
  const news = useContext(NewsContext);
  const [, redraw] = useState({});
  const shown = part(news.live);
  const latest = useRef({ part, shown });
  latest.current = { part, shown };
  useLayoutEffect(
    () =>
      news.read(() => {
        if (latest.current.part(news.live) !== latest.current.shown) redraw({});
      }),
    [news],
  );
  return shown;
}

/** A timestamp of the daemon's current day, for `localTime`. */
export function useToday(): string {
  return useLive((live) => live.today).at;
}

/** The daemon's clock, for times such as "an hour ago": the browser's may be wrong. Undefined: not known yet. */
export function useDaemonMs(): (() => number) | undefined {
  const news = useContext(NewsContext);
  if (!useLive(({ now, trouble }) => now !== undefined || trouble !== undefined)) return undefined;
  return () => {
    const { now, heardMs = 0 } = news.live;
    return now === undefined ? Date.now() : Date.parse(now.at) + steadyMs() - heardMs;
  };
}

const lookMs = 900;
/** Figures are drawn at most once in this time: up to 5 states a second arrive, and drawing is the largest cost of the page. */
const drawMs = 1_000;

function followInto(news: News, session: Session): () => void {
  const end = new AbortController();
  let last: Live = news.live;
  let drawnMs = -Infinity;
  let drawing: number | undefined;
  const today = (): Today => todayAt(last.now?.at ?? new Date().toISOString(), news.live.today);
  const draw = (): void => {
    window.clearTimeout(drawing);
    drawing = undefined;
    drawnMs = steadyMs();
    news.tell({ ...last, isStale: isStale(last, drawnMs), today: today() });
  };
  const onChange = (next: Live): void => {
    // Problems are drawn without delay.
    const isUrgent = pressing(next) !== pressing(last);
    last = next;
    if (isUrgent) draw();
    else drawing ??= window.setTimeout(draw, drawnMs + drawMs - steadyMs());
  };
  void follow({
    api: session.api,
    signal: end.signal,
    nowMs: steadyMs,
    pause,
    random: () => Math.random(),
    onChange,
  });
  const looking = window.setInterval(() => {
    // The computer may be taken to another zone while the daemon is silent.
    const { live } = news;
    if (isStale(last, steadyMs()) !== live.isStale || today() !== live.today) draw();
  }, lookMs);
  return () => {
    end.abort();
    window.clearTimeout(drawing);
    window.clearInterval(looking);
  };
}

/** Ends early when the network is back or the page becomes visible. */
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
