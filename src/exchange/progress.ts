// How far a command came, over all the ways that it took: for its completion. Pure.

import { emptyCount } from '../relay/converse.js';
import type { RelayCount } from '../relay/relay.js';
import type { Carriage } from './carry.js';

/** The ways together. */
export interface Progress {
  /** Of the last way. */
  readonly upstream: string | undefined;
  /** Whether a byte of the command went upstream anywhere. */
  readonly isSent: boolean;
  /** The longest wait for an upstream; undefined: none was leased. */
  readonly waitMs: number | undefined;
  /** Of all replies; undefined: nothing was sent. */
  readonly count: RelayCount | undefined;
}

/** Of these ways, in the order in which they began. */
export function progressOf(carriages: readonly Carriage[]): Progress {
  const [only, ...others] = carriages;
  if (only !== undefined && others.length === 0) return only;
  let waitMs: number | undefined;
  let count: RelayCount | undefined;
  for (const carriage of carriages) {
    if (carriage.waitMs !== undefined) waitMs = Math.max(waitMs ?? 0, carriage.waitMs);
    if (carriage.count !== undefined)
      count = count === undefined ? carriage.count : sum(count, carriage.count);
  }
  return {
    upstream: carriages.at(-1)?.upstream,
    isSent: carriages.some((carriage) => carriage.isSent),
    waitMs,
    count,
  };
}

function sum(one: RelayCount, other: RelayCount): RelayCount {
  const both = emptyCount();
  for (const { logs } of [one, other]) {
    for (const [type, lines] of logs) both.logs.set(type, (both.logs.get(type) ?? 0) + lines);
  }
  const firsts = [one.firstByteMs, other.firstByteMs].filter((ms) => ms !== undefined);
  both.cells = one.cells + other.cells;
  both.bytesIn = one.bytesIn + other.bytesIn;
  both.firstByteMs = firsts.length === 0 ? undefined : Math.min(...firsts);
  return both;
}
