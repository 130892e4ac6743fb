// One finding of `dovegate doctor`: its subject, its state, and what to do. Each check ends in time, and no text contains a
// secret.

import type { Clock } from '../../host/ports/machine.js';

export interface Look {
  readonly status: 'ok' | 'warning' | 'bad';
  readonly name: string;
  readonly text: string;
  /** The remedy, as a sentence; undefined: none is needed. */
  readonly todo?: string | undefined;
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

/** The result, or the value of `late` if it takes too long; the pending work is left alone. */
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

export const doctorsReason = 'dovegate doctor';
