// An answer of the daemon within a screen: asked for when what it depends on changes, given up when the screen goes.

import { useEffect, useState } from 'preact/hooks';
import { sentenceOf } from './api.js';

export interface Asked<T> {
  readonly value?: T;
  /** Why there is no answer, as a sentence. */
  readonly fault?: string;
  readonly isBusy: boolean;
}

/** `key`: what the answer depends on; undefined: nothing is asked. The last answer stays until the next; `isBusy`: it is still shown. */
export function useAnswer<T>(
  key: string | undefined,
  ask: (signal: AbortSignal) => Promise<T>,
  pauseMs = 0,
): Asked<T> {
  const [{ of, ...asked }, setAsked] = useState<Asked<T> & { readonly of: string | undefined }>({
    of: key,
    isBusy: key !== undefined,
  });
  useEffect(() => {
    if (key === undefined) {
      setAsked({ of: key, isBusy: false });
      return undefined;
    }
    const controller = new AbortController();
    setAsked((before) => ({ ...before, of: key, isBusy: true }));
    const timer = window.setTimeout(() => {
      ask(controller.signal).then(
        (value) => {
          if (!controller.signal.aborted) setAsked({ of: key, value, isBusy: false });
        },
        (error: unknown) => {
          if (!controller.signal.aborted) setAsked({ of: key, fault: sentenceOf(error), isBusy: false });
        },
      );
    }, pauseMs);
    return () => {
      window.clearTimeout(timer);
      controller.abort();
    };
  }, [key]);
  return of === key ? asked : { ...asked, isBusy: key !== undefined };
}
