// The duty of the first process of a container: children of others that were left to it and have ended are taken from the
// process table. It does not know who started them. Anywhere else it does nothing.
// The rule: children of our own are left to who started them. They are taken within moments of their end, so a dead one
// that is still there at a second look is an orphan.

import { readdirSync, readFileSync } from 'node:fs';
import type { Clock, Timer } from '../../ports/clock.js';
import type { Native } from '../../ports/native.js';

/** Between two looks. */
const intervalMs = 5_000;

/** Looks after orphans that can go on until `end`. */
export interface OrphanWatch {
  end(): void;
}

/** Begins, if this process is number 1. `pid`, `deadChildren`: for tests. */
export function watchOrphans(
  native: Pick<Native, 'reap'>,
  clock: Clock,
  pid: number = process.pid,
  deadChildren: (pid: number) => readonly number[] = readDeadChildren,
): OrphanWatch {
  if (pid !== 1) return { end: () => undefined };
  let seen: ReadonlySet<number> = new Set();
  let timer: Timer = clock.setTimer(intervalMs, look);
  function look(): void {
    const dead = deadChildren(pid);
    for (const child of dead) if (seen.has(child)) native.reap(child);
    seen = new Set(dead);
    timer = clock.setTimer(intervalMs, look);
  }
  return { end: () => timer.cancel() };
}

/** Children of a process that have ended and that nobody has taken. */
export function readDeadChildren(pid: number): readonly number[] {
  const dead: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // PID (NAME) STATE PARENT ...; a name may hold blanks and brackets.
      const line = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [state, parent] = line.slice(line.lastIndexOf(')') + 2).split(' ', 2);
      if (state === 'Z' && Number(parent) === pid) dead.push(Number(name));
    } catch {
      // Gone meanwhile.
    }
  }
  return dead;
}
