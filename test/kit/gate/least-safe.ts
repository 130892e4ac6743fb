// How far the receivers are together.

import type { Shipping } from '../../../src/ship/shipping/shipping.js';

/** The last record that every receiver certainly has; undefined: there is no receiver. */
export function leastSafe({ sinks }: Pick<Shipping, 'sinks'>): number | undefined {
  return sinks.length === 0 ? undefined : Math.min(...sinks.map(({ safe }) => safe.seq));
}
