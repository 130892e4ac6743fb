// Entry of the writer's thread: takes orders from the main thread, one at a time, and posts their reports.
// Nothing but a module that the thread loads; main-thread code never imports it.

import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { Order, WriterOptions } from './messages.js';
import { createWriter } from './writer.js';

// Only thread.ts begins this thread, with exactly this.
const options: WriterOptions = workerData;
const writer = createWriter(options, randomBytes(16).toString('hex'));

parentPort?.on('message', (order: Order) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(writer.carryOut(order));
});
