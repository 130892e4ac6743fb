// People at the page, as a thread: some watch, one searches without a pause, the others follow. Their browsers stand on other machines, so
// the thread has the lowest priority here: what it costs itself is none of the page's.
// Messages to it: a Crowd, then anything, which ends it. From it: `ready` when all watch, `over` at the end.

import { readlinkSync } from 'node:fs';
import { request } from 'node:http';
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';

export interface Crowd {
  readonly port: number;
  /** Of sessions. */
  readonly tokens: readonly string[];
  /** Bodies of searches of the first of them, one after the other. */
  readonly searches: readonly object[];
  /** All watch, and all but the first look at the last 15 minutes and their bars each 10 s, as a browser does that follows. */
  readonly isFollowing: boolean;
}

const followMs = 10_000;

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Resolves with the status at the end of the answer; `over` ends it. */
function ask(
  port: number,
  token: string,
  path: string,
  { body, over }: { readonly body?: object; readonly over: AbortSignal },
  onFirst?: () => void,
): Promise<number> {
  return new Promise((resolve) => {
    const method = body === undefined ? 'GET' : 'POST';
    const headers = { Authorization: `Bearer ${token}` };
    const options = { host: '127.0.0.1', port, method, path, headers, agent: false, signal: over };
    const asked = request(options, (response) => {
      const end = (): void => resolve(response.statusCode ?? 0);
      response.once('data', () => onFirst?.());
      response.on('error', end).on('close', end);
      response.resume();
    });
    asked.on('error', () => resolve(0));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function run({ port, tokens, searches, isFollowing }: Crowd, over: AbortSignal): Promise<void> {
  const [searcher = '', ...others] = tokens;
  const watching = isFollowing ? tokens : [];
  await Promise.all(
    watching.map(
      (token) => new Promise<void>((resolve) => void ask(port, token, '/api/now', { over }, resolve)),
    ),
  );
  parentPort?.postMessage('ready');
  const searchOn = async (): Promise<void> => {
    for (let at = 0; !over.aborted; at += 1) {
      const body = { ...searches[at % searches.length], newest: { rows: 50 } };
      const status = await ask(port, searcher, '/api/trail/search', { body, over });
      // Asked too often: somebody who reads what comes is not so fast.
      if (status !== 200) await sleep(200);
    }
  };
  const follow = async (token: string, at: number): Promise<void> => {
    await sleep((followMs * at) / others.length);
    while (!over.aborted) {
      const filter = { sinceMs: Date.now() - 900_000 };
      await ask(port, token, '/api/trail/search', { body: { filter, newest: { rows: 50 } }, over });
      await ask(port, token, '/api/trail/histogram', { body: { filter }, over });
      await sleep(followMs);
    }
  };
  void Promise.all([searchOn(), ...(isFollowing ? others.map(follow) : [])]);
  await new Promise((resolve) => {
    over.addEventListener('abort', resolve, { once: true });
  });
}

/** Linux keeps a priority for each thread. */
function yieldThread(): void {
  const [, tid] = /\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self')) ?? [];
  if (tid !== undefined) setPriority(Number(tid), constants.priority.PRIORITY_LOW);
}

const over = new AbortController();
parentPort?.once('message', (crowd: Crowd) => {
  yieldThread();
  parentPort?.once('message', () => over.abort());
  void run(crowd, over.signal).then(() => parentPort?.postMessage('over'));
});
