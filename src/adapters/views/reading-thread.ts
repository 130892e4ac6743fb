// Entry of the threads that answer requests about a journal, one after the other, at a lower priority than the threads that serve commands. Main-thread code
// never imports it.

import { setPriority } from 'node:os';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { systemClock } from '../host/clock.js';
import { type ReadTask, readTrail } from './read-trail.js';

/** The system's nice value. */
const niceValue = 10;

if (parentPort !== null) begin(parentPort);

function begin(port: MessagePort): void {
  try {
    // To Linux 0 is this thread alone.
    setPriority(0, niceValue);
  } catch {
    // A system that does not permit it reads all the same.
  }
  port.on('message', (task: ReadTask) => {
    // What it rejects with ends the thread, and the request with it.
    void readTrail(task, systemClock).then((answer) => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      port.postMessage(answer);
    });
  });
}
