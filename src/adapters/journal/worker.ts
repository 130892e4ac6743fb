// Entry of the journal's threads: takes orders from the main thread, one at a time, and posts their reports.
// Main-thread code never imports it.

import { randomBytes } from 'node:crypto';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type MessageOrder, type ThreadTask, type WriterOptions, WriterPage } from './handover.js';
import { carryOutSlowly, type KeeperOrder } from './keeper.js';
import { createWriter } from './writer.js';

// Only handover.ts starts a thread here, with exactly this.
const task: ThreadTask = workerData;
if (parentPort !== null) begin(parentPort);

function begin(port: MessagePort): void {
  if (task.role === 'write') return write(port, task.options, new WriterPage(task.page));
  const { directory } = task;
  port.on('message', (order: KeeperOrder) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(carryOutSlowly(directory, order));
  });
}

/** Until the thread is ended. It sleeps on the bell and not in an event loop, which wakes later and at twice the price. */
function write(port: MessagePort, options: WriterOptions, page: WriterPage): never {
  const writer = createWriter(options, randomBytes(16).toString('hex'));
  for (;;) {
    const order = page.wait() ?? received(port);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(page.pack(writer.carryOut(order)));
  }
}

/** The order that was sent before the bell. */
function received(port: MessagePort): MessageOrder {
  const order: { readonly message: MessageOrder } | undefined = receiveMessageOnPort(port);
  if (order === undefined) throw new Error('a bell without an order');
  return order.message;
}
