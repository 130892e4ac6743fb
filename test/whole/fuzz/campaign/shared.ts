// What the course's thread shows of itself to the one that watches it, in memory of both: whether it is in an input, and in which.

import type { Input } from './check.js';

export const inputBytesMax = 1 << 16;
const headBytes = 16;
/** Indexes of 32-bit words. */
const countWord = 0;
const busyWord = 1;
const lengthWord = 2;
const cutWord = 3;

export function makeShown(): SharedArrayBuffer {
  return new SharedArrayBuffer(headBytes + inputBytesMax);
}

export class Shown {
  readonly #words: Int32Array;
  readonly #bytes: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, headBytes / 4);
    this.#bytes = Buffer.from(memory, headBytes);
  }

  begin({ bytes, cutSeed }: Input): void {
    bytes.copy(this.#bytes);
    this.#words[lengthWord] = bytes.length;
    this.#words[cutWord] = cutSeed | 0;
    Atomics.add(this.#words, countWord, 1);
    Atomics.store(this.#words, busyWord, 1);
  }

  end(): void {
    Atomics.store(this.#words, busyWord, 0);
  }

  /** The number of the input that is being read; undefined: none. */
  get at(): number | undefined {
    return Atomics.load(this.#words, busyWord) === 1 ? Atomics.load(this.#words, countWord) : undefined;
  }

  input(): Input {
    const length = this.#words[lengthWord] ?? 0;
    return {
      bytes: Buffer.from(this.#bytes.subarray(0, length)),
      cutSeed: (this.#words[cutWord] ?? 0) >>> 0,
    };
  }
}
