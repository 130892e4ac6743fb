// Entry of the journal's threads: takes orders from the main thread, one at a time, and posts their reports.
// Nothing but a module that a thread loads; main-thread code never imports it.

import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { createKeeper } from './keeper.js';
import type { KeeperOrder, Order, ThreadTask } from './messages.js';
import { createWriter } from './writer.js';

// Only thread.ts begins a thread here, with exactly this.
const task: ThreadTask = workerData;

if (task.role === 'write') {
  const writer = createWriter(task.options, randomBytes(16).toString('hex'));
  parentPort?.on('message', (order: Order) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    parentPort?.postMessage(writer.carryOut(order));
  });
} else {
  const keeper = createKeeper(task.directory);
  parentPort?.on('message', (order: KeeperOrder) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    parentPort?.postMessage(keeper.carryOut(order));
  });
}
