// People at the page, as a thread: some watch, one searches without a pause, the others follow. Their browsers stand on other machines, so
// this thread has the lowest priority and runs on the page's processors: its own cost must not delay commands.
// It begins with a Crowd, says `ready` when all watch, and goes on until it is terminated.

import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { request } from 'node:http';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { processorsOfPage } from '../../../kit/plain/processors.js';

export interface Crowd {
  readonly port: number;
  /** Of sessions. */
  readonly tokens: readonly string[];
  /** Bodies of searches of the first of them, one after the other; none: nobody searches. */
  readonly searches: readonly object[];
  readonly isWatching: boolean;
  /** All but the first look at the last 15 minutes each 10 s, as a browser does that follows. */
  readonly isFollowing: boolean;
}

const followMs = 10_000;

/** Resolves with the status at the end of the answer. */
function ask(
  port: number,
  token: string,
  path: string,
  body?: object,
  onFirst?: (status: number) => void,
): Promise<number> {
  return new Promise((resolve) => {
    const method = body === undefined ? 'GET' : 'POST';
    const headers = { Authorization: `Bearer ${token}` };
    const options = { host: '127.0.0.1', port, method, path, headers, agent: false };
    const asked = request(options, (response) => {
      const end = (): void => resolve(response.statusCode ?? 0);
      response.once('data', () => onFirst?.(response.statusCode ?? 0));
      response.on('error', end).on('close', end);
      response.resume();
    });
    asked.on('error', () => resolve(0));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function run({ port, tokens, searches, isWatching, isFollowing }: Crowd): Promise<void> {
  const [searcher = '', ...others] = tokens;
  const watching = isWatching ? tokens : [];
  await Promise.all(
    watching.map(
      (token) =>
        new Promise<void>((resolve, reject) => {
          const onFirst = (status: number): void =>
            status === 200 ? resolve() : reject(new Error(`a watcher got ${status}`));
          void ask(port, token, '/api/now', undefined, onFirst);
        }),
    ),
  );
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage('ready');
  const searchOn = async (): Promise<void> => {
    for (let at = 0; searches.length > 0; at += 1) {
      const search = searches[at % searches.length];
      const status = await ask(port, searcher, '/api/trail/search', { ...search, newest: { rows: 50 } });
      // The rows first, then the bars, as a browser does once for each search.
      if (status === 200 && isFollowing) await ask(port, searcher, '/api/trail/histogram', { ...search });
      // Asked too often: somebody who reads what comes is not so fast.
      if (status !== 200) await sleep(200);
    }
  };
  const follow = async (token: string, at: number): Promise<void> => {
    await sleep((followMs * at) / others.length);
    for (;;) {
      const filter = { sinceMs: Date.now() - 900_000 };
      // The bars of a followed search stay as they are.
      await ask(port, token, '/api/trail/search', { filter, newest: { rows: 50 } });
      await sleep(followMs);
    }
  };
  await Promise.all([searchOn(), ...(isFollowing ? others.map(follow) : [])]);
}

/** Linux keeps a priority and processors for each thread. */
function yieldThread(): void {
  const [, tid] = /\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self')) ?? [];
  if (tid === undefined) return;
  setPriority(Number(tid), constants.priority.PRIORITY_LOW);
  const all = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim();
  execFileSync('taskset', ['-p', '-c', processorsOfPage(all), tid]);
}

yieldThread();
const crowd: Crowd = workerData;
await run(crowd);
