// The stream of `admin.door`'s `settings`: the settings that are served, and again after each reload; a line every second shows that it
// lives.

import { Wakes } from '../concurrency/waiting.js';
import type { Clock } from '../ports/machine.js';

const beatMs = 1_000;

export class DoorSettings {
  readonly #clock: Pick<Clock, 'setTimer'>;
  readonly #textOf: (generation: number) => Iterable<string>;
  readonly #reviewed = new Wakes();
  #generation: number;

  /** `textOf` makes the text of the settings that are served now. */
  constructor(clock: Pick<Clock, 'setTimer' | 'wallMs'>, textOf: (generation: number) => Iterable<string>) {
    this.#clock = clock;
    this.#textOf = textOf;
    // Above that of every daemon before this one: what the page had from them is stale.
    this.#generation = clock.wallMs();
  }

  /** Which settings are served: a call that names others is stale. */
  get generation(): number {
    return this.#generation;
  }

  /** After a reload. */
  review(): void {
    this.#generation += 1;
    this.#reviewed.wake();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<string> {
    for (let sent = 0; !signal.aborted; ) {
      if (sent === this.#generation) {
        yield '{"beat":1}\n';
        await this.#reviewed.next(signal, { clock: this.#clock, ms: beatMs });
        continue;
      }
      sent = this.#generation;
      yield* this.#textOf(sent);
    }
  }
}
