// How processes beside the gate leave processor time to it: by their priority, and by the processors that they run on.

import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import type { Native } from '../ports/machine.js';

/** As in systemd/dovegate-page.service. */
const niceness = 10;

/** Gives this process a lower priority, later threads too. A unit may forbid the call, and set `Nice=` instead. */
export function yieldToOthers(): void {
  for (const thread of threadIds()) {
    try {
      if (getPriority(thread) < niceness) setPriority(thread, niceness);
    } catch {
      // The priority stays as it was.
    }
  }
}

/** Leaves half of the processors to commands, which else wait for a time slice; for later threads, too. Keeps `CPUAffinity=`. */
export function leaveHalfToOthers(native: Pick<Native, 'runOn'>): void {
  let half: readonly number[];
  try {
    const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    half = halfOf(allowed ?? '', readFileSync('/sys/devices/system/cpu/online', 'utf8'));
  } catch {
    return;
  }
  if (half.length > 0) for (const thread of threadIds()) native.runOn(thread, half);
}

/** Lists as the kernel writes them, `0-3,8`; `allowed` may name missing processors. Empty: there is only one, or not all are allowed. */
export function halfOf(allowed: string, online: string): readonly number[] {
  const all = numbersIn(online);
  const own = new Set(numbersIn(allowed));
  return all.every((each) => own.has(each)) ? all.slice(Math.ceil(all.length / 2)) : [];
}

function numbersIn(list: string): readonly number[] {
  return [...list.matchAll(/(\d+)(?:-(\d+))?/g)].flatMap(([, first, last = first]) => {
    const from = Number(first);
    return Array.from({ length: Number(last) - from + 1 }, (_, at) => from + at);
  });
}

/** Linux keeps priority and processors of each thread. 0: the one that calls. */
function threadIds(): readonly number[] {
  try {
    return readdirSync('/proc/self/task').map(Number);
  } catch {
    return [0];
  }
}
