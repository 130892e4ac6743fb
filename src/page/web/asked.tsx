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

/** Asks again and again, `pauseOf` an answer after it. A refusal stands beside the last answer until the next one. */
export function useAgain<T>(
  key: string,
  pauseOf: (value: T | undefined) => number,
  ask: (signal: AbortSignal) => Promise<T>,
): Pick<Asked<T>, 'value' | 'fault'> {
  const [known, setKnown] = useState<Pick<Asked<T>, 'value' | 'fault'>>({});
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    let timer: number | undefined;
    const look = async (): Promise<void> => {
      let value: T | undefined;
      try {
        value = await ask(signal);
        if (!signal.aborted) setKnown({ value });
      } catch (error) {
        if (!signal.aborted) setKnown((before) => ({ ...before, fault: sentenceOf(error) }));
      }
      if (!signal.aborted) timer = window.setTimeout(() => void look(), pauseOf(value));
    };
    void look();
    return () => {
      leaving.abort();
      window.clearTimeout(timer);
    };
  }, [key]);
  return known;
}
