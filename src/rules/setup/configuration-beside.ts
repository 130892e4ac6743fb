// Reads a configuration in a thread, for a process that serves clients: the reading of 2 MiB takes seconds, to take the settings over a
// small part of it, and the parser and its memory are gone with the thread. Files with secrets are read on the main thread only.

import { Worker } from 'node:worker_threads';
import type { Clock } from '../../host/ports/machine.js';
import type { Finding } from '../config/problem.js';
import { settingsIn, type ThreadAnswers, type ThreadOrder } from './configuration-text.js';
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
 * Its steps here are short: the longest one makes the settings of their text. Rejects when the thread dies, as for lack of memory, or
 * misses `deadlineMs`.
 */
export async function loadBeside(
  file: string,
  clock: Clock,
  options: LoadOptions & { readonly deadlineMs?: number } = {},
): Promise<LoadedConfiguration> {
  const thread = openThread(clock, options.deadlineMs ?? answerMs);
  try {
    const { files, text } = await thread.ask({ kind: 'read', file, nowMs: clock.wallMs() });
    const settings = text === undefined ? undefined : withJournalGroup(settingsIn(text));
    const inspected: Finding[] = [];
    for (const problems of inspect(settings, files, options)) {
      inspected.push(...problems);
      await clock.nextTurn();
    }
    const { report, kept } = await thread.ask({ kind: 'report', inspected });
    return loadedOf(settings, report, kept);
  } finally {
    // Not awaited: a thread that hangs in the kernel ends only when the kernel returns.
    thread.end();
  }
}

function openThread(clock: Clock, deadlineMs: number) {
  threads += 1;
  const worker = new Worker(new URL('./configuration-thread.js', import.meta.url), {
    // The thread gets no flags and variables of the program.
    env: {},
    execArgv: [],
    name: 'configuration',
  });
  let settle: ((fault: Error) => void) | undefined;
  /** Why there are no more answers: the thread may end between two orders. */
  let ended: Error | undefined;
  const end = (fault: Error): void => {
    ended ??= fault;
    settle?.(ended);
  };
  worker.on('error', (fault) => end(new Error(`reading failed: ${fault.message}`, { cause: fault })));
  worker.on('exit', () => {
    threads -= 1;
    if (threads === 0) for (const resolve of ending) resolve();
    end(new Error('reading failed: the thread ended'));
  });
  return {
    ask<Kind extends keyof ThreadAnswers>(
      order: ThreadOrder & { readonly kind: Kind },
    ): Promise<ThreadAnswers[Kind]> {
      return new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        const late = `reading failed: no answer within ${deadlineMs / 1000} s; does the file system of an include hang?`;
        const timer = clock.setTimer(deadlineMs, () => end(new Error(late)));
        settle = (fault) => {
          timer.cancel();
          reject(fault);
        };
        worker.once('message', (answer: ThreadAnswers[Kind]) => {
          timer.cancel();
          resolve(answer);
        });
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage(order);
      });
    },
    end: () => void worker.terminate(),
  };
}
