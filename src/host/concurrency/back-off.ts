// How long to wait before the next try, in the gate, its commands and the browser.

/**
 * The pause after so many failures in a row, from 1: doubled with each, and shorter by up to half with `chance` (0 to 1), so that instances
 * do not come back in lockstep.
 */
export function backOffMs(failures: number, first: number, most: number, chance = 0): number {
  return Math.min(most, first * 2 ** Math.min(failures - 1, 30)) * (1 - chance / 2);
}
