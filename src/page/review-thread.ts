// Entry of the threads that review policies by the journal, at a lower priority than the threads that serve commands. Main-thread code never
// imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { systemClock } from '../adapters/host/clock.js';
import { lowerPriority } from '../adapters/host/process.js';
import { type ReviewTask, review } from './review-task.js';

if (parentPort !== null) begin(parentPort);

function begin(port: MessagePort): void {
  lowerPriority();
  port.on('message', (task: ReviewTask) => {
    // What it rejects with ends the thread, and the request with it.
    void review(task, systemClock).then((answer) => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      port.postMessage(answer);
    });
  });
}
