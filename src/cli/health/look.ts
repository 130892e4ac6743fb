// One look of `dovegate doctor`: what was looked at, how it is, and what to do. The rule: a look ends in time, and none of its texts holds a
// secret.

import type { Clock } from '../../ports/machine.js';

export interface Look {
  readonly status: 'ok' | 'warning' | 'bad';
  /** `backend mail1`. */
  readonly name: string;
  readonly text: string;
  /** What to do, as a sentence; undefined: nothing. */
  readonly todo?: string | undefined;
  /** The command that does it, as it would be typed. */
  readonly next?: string | undefined;
}

export function ok(name: string, text: string): Look {
  return { status: 'ok', name, text };
}

export function warning(name: string, text: string, todo?: string, next?: string): Look {
  return { status: 'warning', name, text, todo, next };
}

export function bad(name: string, text: string, todo?: string, next?: string): Look {
  return { status: 'bad', name, text, todo, next };
}

/** The result, or what `late` says when it is not there in time; what goes on meanwhile is left alone. */
export function within<Result>(
  ms: number,
  clock: Clock,
  running: Promise<Result>,
  late: () => Result,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(ms, () => resolve(late()));
    running.then(
      (result) => {
        timer.cancel();
        resolve(result);
      },
      (fault: unknown) => {
        timer.cancel();
        reject(fault instanceof Error ? fault : new Error(String(fault)));
      },
    );
  });
}
