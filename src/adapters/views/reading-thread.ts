// Entry of the threads that answer requests about a journal, one after the other, at a lower priority than the threads that serve commands. Main-thread code
// never imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { messageOf } from '../../ports/faults.js';
import { systemClock } from '../host/clock.js';
import { lowerPriority } from '../host/process.js';
import type { LongEnd, ToldPart } from './long-looks.js';
import { type LongTask, readLong, type TellPart } from './read-long.js';
import { type ReadTask, readTrail } from './read-trail.js';

if (parentPort !== null) begin(parentPort);

type Message = ReadTask | LongTask | { readonly taken: number };

function begin(port: MessagePort): void {
  lowerPriority();
  const tell = createTell(port);
  port.on('message', (message: Message) => {
    if ('taken' in message) tell.taken();
    else if ('long' in message) void answerLong(port, message, tell.part);
    // What it rejects with ends the thread, and the request with it.
    else
      void readTrail(message, systemClock).then((answer) => {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        port.postMessage(answer);
      });
  });
}

/** Such a thread has one task. */
async function answerLong(port: MessagePort, task: LongTask, tell: TellPart): Promise<void> {
  let end: LongEnd = { ended: true };
  try {
    await readLong(task, systemClock, tell);
  } catch (fault) {
    end = { failed: messageOf(fault) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  port.postMessage(end);
}

function createTell(port: MessagePort): { part: TellPart; taken: () => void } {
  let at = 0;
  let taken = (): void => undefined;
  return {
    part(told) {
      at += 1;
      const message: ToldPart = { told, at };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      port.postMessage(message);
      if (told.part === 'progress') return Promise.resolve();
      return new Promise((resolve) => {
        taken = resolve;
      });
    },
    taken: () => taken(),
  };
}
