import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/** Looks every 20 ms: what a disk or another process holds has no event. Fails with `what` after `ms`. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string | (() => string),
  ms = 60_000,
): Promise<void> {
  const startMs = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startMs > ms)
      assert.fail(`after ${ms} ms still waiting for: ${typeof what === 'string' ? what : what()}`);
    await pause(20);
  }
}
