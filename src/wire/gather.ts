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
  let store: Buffer = nothing;
  let length = 0;
  return {
    get length() {
      return length;
    },
    append(piece) {
      const needed = length + piece.length;
      if (needed > store.length) {
        const grown = Buffer.allocUnsafe(
          Math.max(needed, Math.min(bytesMax, Math.max(16, store.length * 2))),
        );
        store.copy(grown, 0, 0, length);
        store = grown;
      }
      piece.copy(store, length);
      length = needed;
    },
    take() {
      const taken = store.subarray(0, length);
      store = nothing;
      length = 0;
      return taken;
    },
  };
}
