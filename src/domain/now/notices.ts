// The sentence about a receiver of notices that takes none; commands do not suffer from it.

import { timeOf } from './amounts.js';

export interface NoticesAway {
  readonly name: string;
  readonly sinceMs: number;
  /** Meaning and advice of the code. */
  readonly why: readonly [means: string, ask?: string];
  /** Of its answer. */
  readonly status: number | undefined;
}

export function sayNotices({ name, sinceMs, why: [means, ask], status }: NoticesAway) {
  const shown = status === undefined ? '' : ` (${status})`;
  return {
    text: `The receiver of notices ${name} takes none since ${timeOf(sinceMs)}: ${means}${shown}.`,
    ...(ask !== undefined && { try: ask }),
    sinceMs,
  };
}
