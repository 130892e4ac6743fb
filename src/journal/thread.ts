// The writer's thread as one question at a time: an order goes in, its report comes out, also when the thread dies.
// It owns the thread; it does not know what an order means. The thread's file is found beside this one, so that it is
// there in a checkout, in a package and under any path.

import { Worker } from 'node:worker_threads';
import type { Order, Report, WriterOptions } from './messages.js';

export interface WriterThread {
  /** Gives an order; one at a time. Resolves with its report, or with a failed one when the thread ends before. */
  ask(order: Order): Promise<Report>;
  /** Ends the thread; a thread that hangs in the kernel goes on until the kernel lets go. */
  end(): void;
  /** False: it ended, and another thread may be begun. */
  readonly isAlive: boolean;
}

export function openThread(options: WriterOptions): WriterThread {
  const { directory, segmentBytes, program, catalog } = options;
  const workerData: WriterOptions = { directory, segmentBytes, program, catalog };
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData,
    // Whatever flags and variables the program was started with are not for this thread.
    env: {},
    execArgv: [],
    name: 'journal',
  });
  let answer: ((report: Report) => void) | undefined;
  let isAlive = true;
  let cause = 'it ended';

  const report = (value: Report) => {
    const resolve = answer;
    answer = undefined;
    resolve?.(value);
  };
  worker.on('message', report);
  worker.on('messageerror', () => void worker.terminate());
  worker.on('error', (error) => {
    cause = String(error);
  });
  worker.on('exit', () => {
    isAlive = false;
    report({ kind: 'failed', code: 'writer-died', message: `the writer's thread is gone: ${cause}` });
  });

  return {
    ask(order) {
      return new Promise((resolve) => {
        if (!isAlive) {
          resolve({ kind: 'failed', code: 'writer-died', message: `the writer's thread is gone: ${cause}` });
          return;
        }
        answer = resolve;
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage(order);
      });
    },
    end() {
      void worker.terminate();
    },
    get isAlive() {
      return isAlive;
    },
  };
}
