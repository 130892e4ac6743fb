// Entry of the threads that look at the journal for people, one task after the other. Main-thread code never imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { type IncidentsTask, readIncidents } from '../evidence/reading/read-incidents.js';
import { type LongPart, type LongTask, readLong } from '../evidence/reading/read-long.js';
import { type ReadTask, readTrail } from '../evidence/reading/read-trail.js';
import { systemClock } from '../host/machine/clock.js';
import type { ReviewTask } from './review-task.js';

export type SearchTask = Omit<ReadTask, 'limits'>;

export type Told<Part> = { readonly part: Part } | { readonly isOver: true };

/** Rows, bytes and time of one request, after which a search gives a cursor. */
const limits = { rowsMax: 10_000, bytesMax: 4 * 1024 ** 2, timeMs: 2_000 } as const;

/** A histogram has no cursor, so it gets more time. */
const histogramLimits = { ...limits, timeMs: 5_000 };

if (parentPort !== null) begin(parentPort);

function begin(port: MessagePort): void {
  let untaken: Promise<void> | undefined;
  let taken = (): void => undefined;
  port.on('message', (task: SearchTask | IncidentsTask | LongTask | ReviewTask | 'taken') => {
    if (task === 'taken') taken();
    // A rejection ends the thread, and the look with it.
    else void answer(task);
  });

  async function answer(task: SearchTask | IncidentsTask | LongTask | ReviewTask): Promise<void> {
    if ('long' in task) await readLong(task, systemClock, tell);
    else if ('incidentsSinceMs' in task) post({ part: await readIncidents(task, systemClock) });
    else if ('kind' in task) {
      // Loaded on demand: it takes three times as long to load as all that a search needs.
      const { review } = await import('./review-task.js');
      post({ part: await review(task, systemClock) });
    } else {
      const ownLimits = task.asked.look === 'histogram' ? histogramLimits : limits;
      post({ part: await readTrail({ ...task, limits: ownLimits }, systemClock) });
    }
    post({ isOver: true });
  }

  /** Resolves when the part was taken. Progress is dropped while another part waits. */
  async function tell(part: LongPart): Promise<void> {
    if (part.part === 'progress' && untaken !== undefined) return;
    await untaken;
    untaken = new Promise((resolve) => {
      taken = () => {
        untaken = undefined;
        resolve();
      };
    });
    post({ part });
    await untaken;
  }

  function post(told: Told<unknown>): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(told);
  }
}
