// Owns the bytes of one thing that arrives in pieces (a line, a status, a log line). Does not refuse anything: its callers
// test their limit before they append.
// The rule: pieces are copied, never kept. A list of one-byte slices costs a hundred times its bytes, and pins the
// chunks that they were cut from; doubling keeps the copying linear.

/** Collects pieces into one buffer. */
export interface Gather {
  readonly length: number;
  append(piece: Buffer): void;
  /** Everything appended so far, which is the caller's from now on; the gather is empty afterwards. */
  take(): Buffer;
}

const nothing = Buffer.alloc(0);

/** `bytesMax` is the caller's limit: no more memory than that is taken, unless more is appended. */
export function createGather(bytesMax: number): Gather {
  return new Store(bytesMax);
}

/**
 * A class, as every decoder that a session has: an object made with a getter gets a shape of its own, and V8 keeps that shape,
 * and what the getter can reach, until the next full collection (measured: the whole of every short session).
 */
class Store implements Gather {
  length = 0;
  readonly #bytesMax: number;
  #store: Buffer = nothing;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  append(piece: Buffer): void {
    const needed = this.length + piece.length;
    if (needed > this.#store.length) {
      const grown = Buffer.allocUnsafe(
        Math.max(needed, Math.min(this.#bytesMax, Math.max(16, this.#store.length * 2))),
      );
      this.#store.copy(grown, 0, 0, this.length);
      this.#store = grown;
    }
    piece.copy(this.#store, this.length);
    this.length = needed;
  }

  take(): Buffer {
    const taken = this.#store.subarray(0, this.length);
    this.#store = nothing;
    this.length = 0;
    return taken;
  }
}
