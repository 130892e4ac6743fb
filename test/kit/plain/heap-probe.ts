// Loaded into a daemon before its program (`node --import`): at each SIGUSR2 it collects all garbage and writes what is left as a
// line of the log, `event: "heap"`. It takes no part in what the daemon does, and knows it by its packages only.
import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { queryObjects, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LRUCache } from 'lru-cache';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');
const timeout = setTimeout(() => undefined, 0).constructor;

/** Garbage behind other garbage (weak references, finalizers, what a closed handle holds) takes several rounds. */
async function settle(): Promise<void> {
  for (let round = 0; round < 6; round += 1) {
    if (typeof collect === 'function') collect();
    await nextTurn();
  }
}

function count(kind: unknown): number {
  return typeof kind === 'function' ? queryObjects(kind, { format: 'count' }) : 0;
}

async function tell(): Promise<void> {
  await settle();
  // A configuration that somebody still holds has caches of its own.
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const counts = { caches: count(LRUCache), sockets: count(Socket), timers: count(timeout) };
  process.stdout.write(
    `${JSON.stringify({ event: 'heap', ...counts, bytes: heapUsed, buffers: arrayBuffers })}\n`,
  );
}

process.on('SIGUSR2', () => void tell());
