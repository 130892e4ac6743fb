// How long to wait before the next try, in the gate, its commands and the browser.

/** The pause after `failures` (from 1) in a row: doubled with each, and up to half shorter by `chance` (0 to 1), against lockstep. */
export function backOffMs(failures: number, first: number, most: number, chance = 0): number {
  return Math.min(most, first * 2 ** Math.min(failures - 1, 30)) * (1 - chance / 2);
}
