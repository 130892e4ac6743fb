// An answer of the daemon within a screen: asked for when what it depends on changes, given up when the screen goes.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Refused } from '../answers/api.js';
import { type Api, type Ask, AskFault, type AskOptions, type StreamEvent, sentenceOf } from './api.js';

export interface Asked<T> {
  readonly value?: T;
  /** Why there is no answer, as a sentence. */
  readonly fault?: string;
  readonly isBusy: boolean;
}

/** `key`: what the answer depends on; undefined: nothing is asked. While `isBusy`, the last answer is still shown. */
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

interface Again<T> extends Pick<Asked<T>, 'value' | 'fault'> {
  readonly again: () => void;
}

/**
 * Asks repeatedly while the page is visible: `pauseOf` milliseconds after each answer, and at once with `again`. A refusal is shown beside
 * the last answer to this key, until the next answer. `key` undefined: nothing is asked.
 */
export function useAgain<T>(
  key: string | undefined,
  pauseOf: (value: T | undefined) => number,
  ask: (signal: AbortSignal) => Promise<T>,
): Again<T> {
  const [{ of, ...known }, setKnown] = useState<{ of?: string; value?: T; fault?: string }>({});
  const [round, setRound] = useState(0);
  const again = (): void => setRound((before) => before + 1);
  useEffect(() => {
    if (key === undefined) return undefined;
    const leaving = new AbortController();
    const { signal } = leaving;
    let timer: number | undefined;
    const look = async (): Promise<void> => {
      if (document.visibilityState === 'hidden') return;
      let value: T | undefined;
      try {
        value = await ask(signal);
        if (!signal.aborted) setKnown({ of: key, value });
      } catch (error) {
        if (!signal.aborted)
          setKnown((before) => ({ ...(before.of === key && before), of: key, fault: sentenceOf(error) }));
      }
      if (!signal.aborted) timer = window.setTimeout(() => void look(), pauseOf(value));
    };
    void look();
    document.addEventListener('visibilitychange', again, { signal });
    return () => {
      leaving.abort();
      window.clearTimeout(timer);
    };
  }, [key, round]);
  return { ...(of === key && known), again };
}

export interface Task {
  /** The progress of the task, its result, or why it failed. */
  readonly said: string;
  readonly say: (text: string) => void;
  readonly isBusy: boolean;
  /** `work` resolves to its result, in words. `stopped`: the words if it was stopped. */
  readonly run: (work: (signal: AbortSignal) => Promise<string>, stopped?: string) => void;
  readonly stop: () => void;
}

/** Runs what a button starts: one task at a time, ended when the screen is left. */
export function useTask(): Task {
  const [said, say] = useState('');
  const [isBusy, setBusy] = useState(false);
  const running = useRef<AbortController | undefined>(undefined);
  const stop = (): void => running.current?.abort();
  useEffect(() => stop, []);
  const run = async (work: (signal: AbortSignal) => Promise<string>, stopped: string): Promise<void> => {
    stop();
    const own = new AbortController();
    running.current = own;
    setBusy(true);
    say('');
    let became: string;
    try {
      became = await work(own.signal);
    } catch (error) {
      became = own.signal.aborted ? stopped : sentenceOf(error);
    }
    if (running.current !== own) return;
    say(became);
    setBusy(false);
  };
  return { said, say, isBusy, run: (work, stopped = '') => void run(work, stopped), stop };
}

/** The events of a long answer up to its end. Rejects with an AskFault where the daemon gave it up, or the end did not come. */
export async function readEvents(
  api: Pick<Api, 'events'>,
  endpoint: Ask,
  options: AskOptions,
  end: string,
  onEvent: (event: StreamEvent) => void,
): Promise<void> {
  let isWhole = false;
  for await (const event of api.events(endpoint, options)) {
    if (event.name === 'failed') {
      const { text }: Refused = JSON.parse(event.data);
      throw new AskFault(0, text);
    }
    isWhole = event.name === end;
    onEvent(event);
  }
  if (!isWhole) throw new AskFault(0, 'It broke off: the connection ended. Start it again.');
}
