// Signals and uncaught errors of the process, and the duty of the first process of a container: it removes ended children of others from
// the process table. The rule there: our own children are left to the code that started them, which does so within moments of their
// end; a dead one that is still there at a second look is an orphan.

import { readdirSync, readFileSync } from 'node:fs';
import type { Clock, Native, Timer } from '../../ports/machine.js';

/** Calls `run` at each of the signals, instead of what Node does by itself. Returns what takes the listener off. */
export function onSignal(signals: readonly ('SIGTERM' | 'SIGINT' | 'SIGHUP')[], run: () => void): () => void {
  for (const signal of signals) process.on(signal, run);
  return () => {
    for (const signal of signals) process.off(signal, run);
  };
}

/** Calls `run` for an error that nobody caught, once; the process is not in a state to go on. */
export function onFatalError(run: (fault: unknown) => void): void {
  let isTold = false;
  const tell = (fault: unknown): void => {
    if (isTold) return;
    isTold = true;
    run(fault);
  };
  process.on('uncaughtException', tell);
  process.on('unhandledRejection', tell);
}

/** Keeps the process alive while nothing else does (all other timers let it end). Returns what lets go. */
export function holdProcess(): () => void {
  const timer = setInterval(() => undefined, 2 ** 30);
  return () => clearInterval(timer);
}

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
