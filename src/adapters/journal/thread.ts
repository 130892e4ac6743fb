// A thread as one question at a time: an order goes in, its report comes out, also when the thread dies. The thread's file is
// found beside this one, so that it is there in a checkout, in a package and under any path.

import { Worker } from 'node:worker_threads';
import type { KeeperOrder, KeeperReport } from './keeper.js';
import {
  createOrderPage,
  type Order,
  type PackedReport,
  type Report,
  type ThreadTask,
  type WriterOptions,
} from './messages.js';

export interface Thread<Asked, Told> {
  /** Gives an order; one at a time. Resolves with its report, or with a failed one when the thread ends before. */
  ask(order: Asked): Promise<Told>;
  /** Ends the thread; resolves when it is gone. A thread that hangs in the kernel goes on until the kernel lets go. */
  end(): Promise<void>;
  /** False: it ended, and another thread may be started. */
  readonly isAlive: boolean;
}

export type WriterThread = Thread<Order, Report>;
export type KeeperThread = Thread<KeeperOrder, KeeperReport>;

/** The journal is opened by the first order. */
export function openWriterThread(options: WriterOptions): WriterThread {
  const { directory, groupId, segmentBytes, program, catalog, signKey, reserveBytes } = options;
  const page = createOrderPage();
  // Not the whole of what the caller has: functions cannot go to a thread.
  const narrow = { directory, groupId, segmentBytes, program, catalog, signKey, reserveBytes };
  return openThread(
    { role: 'write', options: narrow, page: page.memory },
    {
      send(worker, order: Order) {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        if (!page.lay(order)) worker.postMessage(order);
        page.ring();
      },
      unpack: (message: Report | PackedReport) => page.unpack(message),
      died: (message) => ({ kind: 'failed', code: 'writer-died', message }),
    },
  );
}

export function openKeeperThread(directory: string): KeeperThread {
  return openThread(
    { role: 'keep', directory },
    {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      send: (worker, order: KeeperOrder) => worker.postMessage(order),
      unpack: (report: KeeperReport) => report,
      died: (message) => ({ kind: 'failed', message, isDiskFull: false }),
    },
  );
}

/** How orders and reports travel. */
interface Ways<Asked, Sent, Told> {
  readonly send: (worker: Worker, order: Asked) => void;
  readonly unpack: (message: Sent) => Told;
  readonly died: (message: string) => Told;
}

function openThread<Asked, Sent, Told>(task: ThreadTask, ways: Ways<Asked, Sent, Told>): Thread<Asked, Told> {
  const { died } = ways;
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: task,
    // Whatever flags and variables the program was started with are not for this thread.
    env: {},
    execArgv: [],
    name: task.role === 'write' ? 'journal' : 'journal-keeper',
  });
  let answer: ((report: Told) => void) | undefined;
  let isAlive = true;
  let cause = 'it ended';

  const tell = (report: Told) => {
    const resolve = answer;
    answer = undefined;
    resolve?.(report);
  };
  worker.on('message', (message: Sent) => tell(ways.unpack(message)));
  worker.on('messageerror', () => void worker.terminate());
  worker.on('error', (error) => {
    cause = String(error);
  });
  worker.on('exit', () => {
    isAlive = false;
    tell(died(`the journal's thread is gone: ${cause}`));
  });

  return {
    ask(order) {
      return new Promise((resolve) => {
        if (!isAlive) {
          resolve(died(`the journal's thread is gone: ${cause}`));
          return;
        }
        answer = resolve;
        ways.send(worker, order);
      });
    },
    async end() {
      await worker.terminate();
    },
    get isAlive() {
      return isAlive;
    },
  };
}
