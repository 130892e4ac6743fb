// Where the daemon stands: starting -> serving <-> reloading -> draining -> stopped. A machine: signals, operators and faults
// poke it. It does not know what is done in a state. The rules: nothing leaves draining but stopped; whoever reloads looks
// whether it still may, after each wait.

import assert from 'node:assert';

/** A state of the daemon. */
export type Phase = 'starting' | 'serving' | 'reloading' | 'draining' | 'stopped';

/** The daemon's state. */
export interface Lifecycle {
  readonly at: Phase;
  /** Whether that state may follow now. */
  may(next: Phase): boolean;
  /** Asserts that it may follow. */
  become(next: Phase): void;
}

const following: Readonly<Record<Phase, readonly Phase[]>> = {
  starting: ['serving', 'stopped'],
  serving: ['reloading', 'draining', 'stopped'],
  reloading: ['serving', 'draining', 'stopped'],
  draining: ['stopped'],
  stopped: [],
};

/** A daemon that starts. */
export function createLifecycle(): Lifecycle {
  let at: Phase = 'starting';
  return {
    get at() {
      return at;
    },
    may: (next) => following[at].includes(next),
    become(next) {
      assert(following[at].includes(next), `a daemon that is ${at} cannot be ${next}`);
      at = next;
    },
  };
}
