import assert from 'node:assert/strict';

/** Looks every 20 ms: what a disk or another process holds has no event. Fails with `what` after `ms`. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  ms = 20_000,
): Promise<void> {
  const startMs = performance.now();
  while (!(await isSo())) {
    assert.ok(performance.now() - startMs < ms, `after ${ms} ms still waiting for: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
