// The event stream of `/api/now`: a snapshot, then what differs. While the daemon does not answer, `away` with a sentence. The daemon is
// asked only while somebody watches, and once for all. A watcher is sent what differs from what it was sent before, so one that reads
// slowly skips states, and none is kept for it.

import type { MadeNow } from '../gate/door/door.js';
import type { Now } from '../gate/now/now.js';
import { pause, Wakes } from '../host/concurrency/waiting.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import type { Away } from './answers/api.js';

export type Sight = (made: MadeNow) => Now;

export interface NowStreamParts {
  readonly clock: Pick<Clock, 'setTimer'>;
  /** The daemon's states, up to the abort. Rejects while it does not answer. */
  readonly states: (signal: AbortSignal) => AsyncIterable<MadeNow>;
}

const retryMs = 500;

export class NowStream {
  readonly #parts: NowStreamParts;
  readonly #wakes = new Wakes();
  #watchers = 0;
  /** The last state, or why the daemon does not answer; undefined: it was not asked yet. */
  #known: MadeNow | Away | undefined;
  /** Aborts the request to the daemon; undefined while nobody watches. */
  #asking: AbortController | undefined;

  constructor(parts: NowStreamParts) {
    this.#parts = parts;
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** Up to the abort or until `isStill` says no. Counted until `onLeft`: after the abort, or the end of the pieces. */
  watch(
    sight: Sight,
    signal: AbortSignal,
    isStill: () => boolean,
    onLeft: () => void,
  ): AsyncIterable<string> {
    let hasLeft = false;
    const leave = (): void => {
      if (hasLeft) return;
      hasLeft = true;
      signal.removeEventListener('abort', leave);
      this.#watchers -= 1;
      if (this.#watchers === 0) this.#rest();
      onLeft();
    };
    this.#watchers += 1;
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    else this.#begin();
    return this.#pieces(sight, signal, isStill, leave);
  }

  async *#pieces(
    sight: Sight,
    signal: AbortSignal,
    isStill: () => boolean,
    leave: () => void,
  ): AsyncGenerator<string> {
    const sent = new Map<string, string>();
    let seen: MadeNow | Away | undefined;
    try {
      while (!signal.aborted && isStill()) {
        if (this.#known === undefined || this.#known === seen) {
          await this.#wakes.next(signal);
          continue;
        }
        seen = this.#known;
        yield 'now' in seen ? changeOf(sight(seen), sent) : eventOf('away', JSON.stringify(seen));
      }
    } finally {
      leave();
    }
  }

  #begin(): void {
    if (this.#asking !== undefined) return;
    this.#asking = new AbortController();
    void this.#follow(this.#asking.signal);
  }

  /** Call when nobody watches any more: forgets the state, which would be old for the next one. */
  #rest(): void {
    this.#asking?.abort(new Error('nobody watches'));
    this.#asking = undefined;
    this.#known = undefined;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const made of this.#parts.states(signal)) this.#tell(made);
      } catch (fault) {
        if (signal.aborted) return;
        this.#tell({ text: messageOf(fault) });
      }
      await pause(this.#parts.clock, retryMs, signal);
    }
  }

  #tell(known: MadeNow | Away): void {
    this.#known = known;
    this.#wakes.wake();
  }
}

/** An event with the parts that differ from what was sent; each part is complete. */
function changeOf(now: Now, sent: Map<string, string>): string {
  const name = sent.size === 0 ? 'snapshot' : 'change';
  const parts = Object.entries(now).map(([part, value]): [string, string] => [part, JSON.stringify(value)]);
  const changed = parts.filter(([part, text]) => part === 'at' || sent.get(part) !== text);
  for (const [part, text] of changed) sent.set(part, text);
  return eventOf(name, `{${changed.map(([part, text]) => `"${part}":${text}`).join(',')}}`);
}

/** JSON has no line end, so one line of `data` holds all of it. */
function eventOf(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`;
}
