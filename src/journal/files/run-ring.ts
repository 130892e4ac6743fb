// The file of this run's ring, as the note beside the segments and the copy of the note in `state` name it.

import { messageOf } from '../../host/ports/faults.js';
import type { RingShare, WriterOptions } from './handover.js';
import { noRing } from './kept-end.js';
import type { RingIdentity } from './ring.js';
import { createRing, dropRing, forgetRing, formatNote, keepNote, type LeftRing } from './ring-file.js';

export class RunRing {
  /** The note for `state`; undefined: the one beside the segments counts. */
  note: string | undefined;
  /** What lay in the place of the file and was kept, in words for the log; undefined: nothing. */
  kept: string | undefined;
  readonly #directory: string;
  readonly #memory: WriterOptions['memory'];
  #file: { readonly path: string; readonly identity: RingIdentity } | undefined;
  /** The attached ring, in a thread that has not made its file. */
  #mapped: Pick<RingIdentity, 'bytes' | 'generation'> | undefined;

  constructor({ directory, memory }: Pick<WriterOptions, 'directory' | 'memory'>) {
    this.#directory = directory;
    this.#memory = memory;
  }

  /** Takes the ring that records come through. Returns false if it does not outlive the process. */
  attach({ memory, generation }: RingShare): boolean {
    if (memory instanceof SharedArrayBuffer) return false;
    this.#mapped = { bytes: memory.bytes, generation };
    return true;
  }

  /** Makes the file. Returns a text if there is none: why records have no memory that outlives the process. */
  make(left: LeftRing | undefined, journal: string): RingIdentity | string {
    const { path, bytes } = this.#memory;
    try {
      left?.putAside();
      this.note = noRing;
      if (path === undefined) {
        forgetRing(this.#directory);
        return 'audit.memory is off';
      }
      const identity = createRing(this.#directory, path, bytes, journal, (text) => {
        this.kept = text;
      });
      this.#file = { path, identity };
      this.note = formatNote(path, identity);
      return identity;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Removes the file, whose content is not needed any more: the next start misses nothing. Never throws. */
  leave(): void {
    try {
      if (this.#file === undefined) forgetRing(this.#directory);
      else dropRing(this.#directory, this.#file.path, this.#file.identity);
    } catch {
      // The next start finds it, with all of it on disk.
    }
  }

  /** Called when records come through process memory instead. */
  giveUp(): void {
    this.leave();
    this.#file = undefined;
    this.note = noRing;
  }

  /** Writes the note again, in a directory that may have been replaced. */
  keep(journal: string): void {
    const { path } = this.#memory;
    if (this.#mapped !== undefined && path !== undefined) {
      this.#file ??= { path, identity: { ...this.#mapped, journal } };
      keepNote(this.#directory, this.#file.path, this.#file.identity);
    }
    this.note = this.#file === undefined ? noRing : formatNote(this.#file.path, this.#file.identity);
  }
}
