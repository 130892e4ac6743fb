// Entry of the journal's threads: takes orders from the main thread, posts their reports, and writes the records of the ring to disk at
// each bell. Main-thread code never imports it.

import { randomBytes } from 'node:crypto';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { loadMemoryView, type MemoryView } from '../../host/machine/native.js';
import { type Numbered, send, serveOrders } from '../../host/threads/thread.js';
import {
  Bell,
  type Order,
  type OwnMessage,
  type RingShare,
  type ThreadTask,
  type WriterOptions,
} from './handover.js';
import { carryOutSlowly, type KeeperOrder } from './keeper.js';
import { RingReader } from './ring.js';
import { createWriter } from './writer.js';

// Only handover.ts starts a thread here, always with a task.
const task: ThreadTask = workerData;
if (parentPort !== null) await begin(parentPort);

async function begin(port: MessagePort): Promise<void> {
  if (task.role === 'write') {
    const { options, shared } = task;
    // Loaded before the first order: from then on the thread waits for the bell only.
    const view = options.memory.path === undefined ? undefined : await loadMemoryView();
    return write(port, options, new Bell(shared), view);
  }
  const { directory } = task;
  serveOrders(port, (order: KeeperOrder) => carryOutSlowly(directory, order));
}

/** Runs until the thread is ended. It sleeps on the bell and not in an event loop, which wakes later and at twice the cost. */
function write(port: MessagePort, options: WriterOptions, bell: Bell, view: MemoryView | undefined): never {
  const writer = createWriter(options, randomBytes(16).toString('hex'));
  const say = (own: OwnMessage): void => send(port, own);
  for (;;) {
    bell.wait();
    while (bell.takeOrder()) {
      const { number, body: order } = receive(port);
      if (order.do === 'attach') writer.attach(openRing(order.ring, view));
      send(port, { number, body: writer.carryOut(order) });
    }
    const flushed = writer.flush(bell.head, bell.nowMs);
    if (flushed === undefined) continue;
    if ('kind' in flushed) say(flushed);
    else {
      bell.lay(flushed);
      say('synced');
    }
  }
}

function openRing({ memory, generation }: RingShare, view: MemoryView | undefined): RingReader {
  if (memory instanceof SharedArrayBuffer) return new RingReader(memory, generation);
  if (view === undefined) throw new Error('the ring cannot be found in this thread');
  return new RingReader(view(memory.address, memory.bytes), generation);
}

function receive(port: MessagePort): Numbered<Order> {
  const order: { readonly message: Numbered<Order> } | undefined = receiveMessageOnPort(port);
  if (order === undefined) throw new Error('a bell without an order');
  return order.message;
}
