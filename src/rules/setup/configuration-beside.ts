// Reads a configuration in a thread, for a process that serves clients: parsing 2 MiB takes seconds, taking over the settings a small part
// of that, and the thread's memory is freed at its end. Files with secrets are read on the main thread only.

import assert from 'node:assert/strict';
import type { Clock } from '../../host/ports/machine.js';
import { Thread } from '../../host/threads/thread.js';
import type { Finding } from '../config/problem.js';
import { settingsIn, type ThreadAnswer, type ThreadOrder } from './configuration-text.js';
import {
  inspect,
  type LoadedConfiguration,
  type LoadOptions,
  loadedOf,
  withJournalGroup,
} from './inspect.js';

let threads = 0;

/** Resolved by the end of the last thread. */
const ending = new Set<() => void>();

/** Resolves when no thread reads any more; perhaps never. */
export function readingEnded(): Promise<void> {
  return new Promise((resolve) => {
    if (threads === 0) resolve();
    else ending.add(resolve);
  });
}

/** Whether a thread still reads: it may hang in the kernel, and Node's own exit would wait for it. */
export function isReading(): boolean {
  return threads > 0;
}

/** The longest wait for one answer of the thread: an `include` on a hanging file system must not block reloads forever. */
const answerMs = 30_000;

/**
 * Work on the calling thread comes in short steps: the longest makes the settings from their text. Rejects if the thread ends early, as for
 * lack of memory, or misses `deadlineMs`.
 */
export async function loadBeside(
  file: string,
  clock: Clock,
  { deadlineMs = answerMs, ...options }: LoadOptions & { readonly deadlineMs?: number } = {},
): Promise<LoadedConfiguration> {
  const thread = new Thread<ThreadOrder, ThreadAnswer | Error>(
    new URL('./configuration-thread.js', import.meta.url),
    { name: 'configuration' },
    (cause) => new Error(`reading failed: ${cause}`),
  );
  threads += 1;
  const ask = async (order: ThreadOrder): Promise<ThreadAnswer> => {
    const late = `no answer within ${deadlineMs / 1000} s; does the file system of an include hang?`;
    const timer = clock.setTimer(deadlineMs, () => thread.giveUp(late));
    const answer = await thread.ask(order);
    timer.cancel();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  try {
    const read = await ask({ kind: 'read', file, nowMs: clock.wallMs() });
    assert.ok(read.kind === 'read');
    const settings = read.text === undefined ? undefined : withJournalGroup(settingsIn(read.text));
    const inspected: Finding[] = [];
    for (const problems of inspect(settings, read.files, options)) {
      inspected.push(...problems);
      await clock.nextTurn();
    }
    const told = await ask({ kind: 'report', inspected });
    assert.ok(told.kind === 'report');
    return loadedOf(settings, told.report, told.kept);
  } finally {
    // Not awaited: a thread that hangs in the kernel ends only when the kernel returns.
    void thread.end().then(() => {
      threads -= 1;
      if (threads === 0) for (const resolve of ending) resolve();
    });
  }
}
