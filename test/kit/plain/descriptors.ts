// What another process holds open. A gate, its page and what ships for it are not dumpable (PR_SET_DUMPABLE): the kernel shows their
// /proc/PID/fd, fdinfo and environ to root alone, and to no other user, not even the one that they run as.
import { readdirSync, readlinkSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { isRoot, onlyRoot, skipped } from './skipped.js';

const seesThem = 'sees what a gate holds open';

/** The options of a test that is about nothing else. */
export const needsDescriptors = onlyRoot(seesThem);

/** Whether a test can look at descriptors beside other things; where it cannot, it says so. */
export function seesDescriptors(t: TestContext): boolean {
  if (!isRoot) t.diagnostic(`left out: ${skipped(`only root ${seesThem}`).skip}`);
  return isRoot;
}

/** What each open descriptor leads to. */
export function descriptorsOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((descriptor) => {
    try {
      return [readlinkSync(`${folder}/${descriptor}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** How many more descriptors than now the process has, at each call; always 0 where they cannot be seen. */
export function countDescriptors(t: TestContext, pid: number): () => number {
  const count = (): number => readdirSync(`/proc/${pid}/fd`).length;
  if (!seesDescriptors(t)) return () => 0;
  const before = count();
  return () => count() - before;
}
