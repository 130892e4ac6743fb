import { readFileSync } from 'node:fs';
import { halfOf } from '../../../src/host/machine/share-processor.js';

/** What the kernel lists for a page whose daemon may run on `all`, a list of the kernel. */
export function processorsOfPage(all: string): string {
  const half = halfOf(all, readFileSync('/sys/devices/system/cpu/online', 'utf8'));
  if (half.length === 0) return all;
  const [first, last] = [half[0], half.at(-1)];
  return first === last ? `${first}` : `${first}-${last}`;
}
