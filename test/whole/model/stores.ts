// Every change that the journal's code makes outside of its own memory, shown before it is made: stores of words of the ring, and calls
// that change files. A watcher may do other things meanwhile, as another thread would, or end the process there.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

export type Change =
  | { readonly kind: 'store'; readonly index: number; readonly words: BigUint64Array; readonly value: bigint }
  | { readonly kind: 'write'; readonly path: string; readonly bytes: Buffer }
  | { readonly kind: 'sync' | 'cut' | 'remove' | 'open' | 'other'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string };

/** Thrown by a watcher: the process ends before this change. */
export class Killed extends Error {}

const { store } = Atomics;
const calls = [
  'openSync',
  'closeSync',
  'writeSync',
  'writeFileSync',
  'renameSync',
  'linkSync',
  'unlinkSync',
  'rmSync',
  'fsyncSync',
  'fdatasyncSync',
  'ftruncateSync',
  'mkdirSync',
  'fchmodSync',
] as const;
type Call = (typeof calls)[number];

const kinds: Partial<Record<Call, 'sync' | 'cut' | 'remove' | 'open'>> = {
  fdatasyncSync: 'sync',
  ftruncateSync: 'cut',
  unlinkSync: 'remove',
  rmSync: 'remove',
  openSync: 'open',
};

/** One process that may be killed; its files stay, its descriptors are closed. */
export class Watched {
  /** Nothing changes any more. */
  isDead = false;
  #cause: unknown = new Killed();
  #isRunning = false;
  #isInside = false;
  readonly #watch: (change: Change) => void;
  readonly #open = new Map<number, string>();
  readonly #real = Object.fromEntries(calls.map((name) => [name, fs[name]]));

  constructor(watch: (change: Change) => void) {
    this.#watch = watch;
  }

  /** Runs code of this process. Throws what the watcher threw, whatever the code made of that. */
  run<T>(work: () => T): T {
    if (this.#isRunning) return this.#result(work);
    this.#isRunning = true;
    const outer = calls.map((name) => [name, fs[name]] as const);
    const outerStore = Atomics.store;
    for (const name of calls) Reflect.set(fs, name, (...given: unknown[]) => this.#call(name, given));
    Reflect.set(Atomics, 'store', (words: BigUint64Array, index: number, value: bigint) => {
      this.#show({ kind: 'store', index, words, value });
      return store(words, index, value);
    });
    syncBuiltinESMExports();
    try {
      return this.#result(work);
    } finally {
      this.#isRunning = false;
      for (const [name, call] of outer) Reflect.set(fs, name, call);
      Reflect.set(Atomics, 'store', outerStore);
      syncBuiltinESMExports();
    }
  }

  #result<T>(work: () => T): T {
    let result: T;
    try {
      result = work();
    } catch (error) {
      throw this.isDead ? this.#cause : error;
    }
    if (this.isDead) throw this.#cause;
    return result;
  }

  /** Ends it: closes what it left open. */
  end(): void {
    this.isDead = true;
    for (const descriptor of this.#open.keys()) fs.closeSync(descriptor);
    this.#open.clear();
  }

  #call(name: Call, given: unknown[]): unknown {
    const [first, second] = given;
    const real = this.#real[name];
    if (real === undefined) throw new Error(name);
    // Node's rmSync calls what unlinkSync was when it was used first.
    if (!this.#isRunning || this.#isInside) return Reflect.apply(real, fs, given);
    if (name === 'closeSync') {
      this.#open.delete(Number(first));
      return Reflect.apply(real, fs, given);
    }
    const path = typeof first === 'number' ? (this.#open.get(first) ?? '') : String(first);
    if (name === 'writeSync' || name === 'writeFileSync') {
      const from = name === 'writeSync' && typeof given[2] === 'number' ? given[2] : 0;
      const all = Buffer.isBuffer(second)
        ? second
        : Buffer.from(second instanceof Uint8Array ? second : String(second));
      const bytes = all.subarray(from, typeof given[3] === 'number' ? from + given[3] : undefined);
      this.#show({ kind: 'write', path, bytes });
    } else if (name === 'renameSync') this.#show({ kind: 'rename', path, to: String(second) });
    else this.#show({ kind: kinds[name] ?? 'other', path });
    this.#isInside = true;
    let result: unknown;
    try {
      result = Reflect.apply(real, fs, given);
    } finally {
      this.#isInside = false;
    }
    if (name === 'openSync' && typeof result === 'number') this.#open.set(result, path);
    return result;
  }

  #show(change: Change): void {
    if (this.isDead) throw new Killed();
    try {
      this.#watch(change);
    } catch (error) {
      this.isDead = true;
      this.#cause = error;
      throw error;
    }
  }
}

export function isSegment(path: string): boolean {
  return /^\d{8}\.jsonl$/.test(basename(path));
}
