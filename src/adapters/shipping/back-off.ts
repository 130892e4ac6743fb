// How long to wait before the next dial. The rule: many gateways that lost the same receiver at the same instant must not all
// come back at the same instant.

const delayMsMin = 500;
const delayMsMax = 30_000;

/** Milliseconds after so many failures in a row (from 1 on); `chance` is from 0 up to 1, without 1. */
export function backOffMs(failures: number, chance: number): number {
  const delayMs = Math.min(delayMsMin * 2 ** (failures - 1), delayMsMax);
  return Math.round(delayMs * (0.5 + chance / 2));
}
