// What a daemon holds after a collection of all garbage, by the probe that is loaded into it.
import { fileURLToPath } from 'node:url';
import type { Daemon } from './daemon.js';

type LogRecord = Daemon['logs'][number];

/** For the environment of the daemon. */
export const weighed = {
  NODE_OPTIONS: `--import=${fileURLToPath(new URL('../plain/heap-probe.js', import.meta.url))}`,
};

export async function weigh(daemon: Daemon): Promise<LogRecord> {
  const heaps = (): LogRecord[] => daemon.logs.filter(({ event }) => event === 'heap');
  const before = heaps().length;
  daemon.signal('SIGUSR2');
  await daemon.waitForLog(() => heaps().length > before, 'the heap');
  return heaps()[before] ?? {};
}
