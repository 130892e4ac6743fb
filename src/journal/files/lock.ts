// The lock of a journal, in its thread: it opens the file, and the main thread, which has the function for it, takes the kernel's lock.

import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { type Held, holdFile, isSameFile, lockName, openLock } from './segments.js';

export class DirectoryLock {
  readonly #directory: string;
  #held: Held | undefined;
  #candidate: Held | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** `taken`: the descriptor that is locked now. Returns the one to lock first; undefined: the lock is held, on the present file. */
  need(taken: number | undefined): number | undefined {
    if (taken !== undefined && taken === this.#candidate?.descriptor) {
      this.release();
      this.#held = this.#candidate;
      this.#candidate = undefined;
    }
    if (this.isInPlace) return undefined;
    const path = join(this.#directory, lockName);
    if (this.#candidate !== undefined && !isSameFile(path, this.#candidate)) {
      closeSync(this.#candidate.descriptor);
      this.#candidate = undefined;
    }
    this.#candidate ??= holdFile(openLock(this.#directory));
    return this.#candidate.descriptor;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Held, and its file was not removed or replaced. */
  get isInPlace(): boolean {
    return this.#held !== undefined && isSameFile(join(this.#directory, lockName), this.#held);
  }

  release(): void {
    if (this.#held !== undefined) closeSync(this.#held.descriptor);
    this.#held = undefined;
  }
}
