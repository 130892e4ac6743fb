// Reads a configuration in a thread, for a process that serves clients: it takes the settings over in steps of a few milliseconds, because
// the reading of 2 MiB takes seconds, and the parser and its memory are gone with the thread. Files with secrets are read on the main
// thread only.

import { Worker } from 'node:worker_threads';
import { bounds } from '../bounds/bounds.js';
import type { Finding, Problem } from '../domain/config/problem.js';
import type { Asking } from '../domain/config/read-files.js';
import type { Clock } from '../ports/machine.js';
import {
  createSettingsBuilder,
  type FileLine,
  type Piece,
  type ProblemLine,
  type ThreadOrder,
} from './configuration-lines.js';
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
const answerMs = bounds.reloadAnswerMs;

/** Works a few milliseconds at a time here. Rejects when the thread dies, as for lack of memory, or misses `deadlineMs`. */
export async function loadBeside(
  file: string,
  clock: Clock,
  options: LoadOptions & { readonly deadlineMs?: number } = {},
): Promise<LoadedConfiguration> {
  const thread = openThread(clock, options.deadlineMs ?? answerMs);
  const pause = createPause(clock);
  try {
    const builder = createSettingsBuilder();
    const files = new Map<string, Asking | undefined>();
    let part: 'files' | 'settings' = 'files';
    let hasSettings = false;
    await thread.lines({ kind: 'read', file, nowMs: clock.wallMs() }, pause, (line) => {
      if (line === '') part = 'settings';
      else if (part === 'files') {
        const { path, from }: FileLine = JSON.parse(line);
        files.set(path, from);
      } else {
        builder.push(line);
        hasSettings = true;
      }
    });
    const settings = hasSettings ? withJournalGroup(builder.settings()) : undefined;
    const inspected: Finding[] = [];
    for (const problems of inspect(settings, files, options)) {
      inspected.push(...problems);
      await pause();
    }
    const found: Problem[] = [];
    const problems: string[] = [];
    const kept: string[] = [];
    await thread.lines({ kind: 'report', inspected }, pause, (line) => {
      const told: ProblemLine | string = JSON.parse(line);
      if (typeof told === 'string') kept.push(told);
      else {
        found.push(told[0]);
        problems.push(told[1]);
      }
    });
    return loadedOf(settings, { found, problems }, kept.join(''));
  } finally {
    // Not awaited: a thread that hangs in the kernel ends only when the kernel returns.
    thread.end();
  }
}

const sliceMs = bounds.reloadSliceMs;

/** Resolves in a later turn of the event loop, once a slice is used up. */
function createPause(clock: Clock): () => Promise<void> | undefined {
  let startedMs = clock.now();
  return () => {
    if (clock.now() - startedMs < sliceMs) return undefined;
    return clock.nextTurn().then(() => {
      startedMs = clock.now();
    });
  };
}

function openThread(clock: Clock, deadlineMs: number) {
  threads += 1;
  const worker = new Worker(new URL('./configuration-thread.js', import.meta.url), {
    // The thread gets no flags and variables of the program.
    env: {},
    execArgv: [],
    name: 'configuration',
  });
  let settle: { resolve(piece: Piece): void; reject(fault: Error): void } | undefined;
  /** Why there are no more answers: the thread may end between two orders. */
  let ended: Error | undefined;
  const end = (fault: Error): void => {
    ended ??= fault;
    settle?.reject(ended);
  };
  worker.on('message', (piece: Piece) => settle?.resolve(piece));
  worker.on('error', (fault) => end(new Error(`reading failed: ${fault.message}`, { cause: fault })));
  worker.on('exit', () => {
    threads -= 1;
    if (threads === 0) for (const resolve of ending) resolve();
    end(new Error('reading failed: the thread ended'));
  });
  const ask = (order: ThreadOrder): Promise<Piece> =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      const late = `reading failed: no answer within ${deadlineMs / 1000} s; does the file system of an include hang?`;
      const timer = clock.setTimer(deadlineMs, () => end(new Error(late)));
      settle = {
        resolve(piece) {
          timer.cancel();
          resolve(piece);
        },
        reject(fault) {
          timer.cancel();
          reject(fault);
        },
      };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(order);
    });
  return {
    async lines(order: ThreadOrder, pause: () => Promise<void> | undefined, take: (line: string) => void) {
      let rest = '';
      for (let piece = await ask(order); ; piece = await ask({ kind: 'more' })) {
        const lines = (rest + piece.text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          take(line);
          await pause();
        }
        if (piece.isLast) return;
      }
    },
    end: () => void worker.terminate(),
  };
}
