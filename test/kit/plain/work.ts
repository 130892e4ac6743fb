// Owns the counting of work: how many bytes were searched, copied and joined while something ran. A count is the same on
// every machine, so "linear" can be tested without a clock.

/** Bytes that went through the searching and copying methods of Buffer while `run` ran. */
export function countWork(run: () => void): number {
  let work = 0;
  const { prototype } = Buffer;
  const { indexOf, copy, toString, equals, subarray } = prototype;
  const statics = { concat: Buffer.concat.bind(Buffer), allocUnsafe: Buffer.allocUnsafe.bind(Buffer) };

  /** Bytes that a search looked at. */
  const looked = (buffer: Buffer, offset: unknown, found: number): number => {
    const start = typeof offset === 'number' ? offset : 0;
    return (found < 0 ? buffer.length : found + 1) - start;
  };

  // Node's includes() goes through indexOf().
  const counting = {
    indexOf(this: Buffer, ...args: Parameters<Buffer['indexOf']>) {
      const found = Number(Reflect.apply(indexOf, this, args));
      work += looked(this, args[1], found);
      return found;
    },
    copy(this: Buffer, ...args: Parameters<Buffer['copy']>) {
      const copied = Number(Reflect.apply(copy, this, args));
      work += 1 + copied;
      return copied;
    },
    toString(this: Buffer, ...args: Parameters<Buffer['toString']>) {
      const [, start = 0, end = this.length] = args;
      work += end - start;
      return Reflect.apply(toString, this, args);
    },
    equals(this: Buffer, other: Buffer) {
      work += Math.min(this.length, other.length);
      return Reflect.apply(equals, this, [other]);
    },
    subarray(this: Buffer, ...args: Parameters<Buffer['subarray']>) {
      work += 1;
      return Reflect.apply(subarray, this, args);
    },
  };
  const countingStatic = {
    concat(...args: Parameters<typeof Buffer.concat>) {
      const joined = statics.concat(...args);
      work += joined.length;
      return joined;
    },
    allocUnsafe(size: number) {
      // What is allocated will be written, and has to be collected.
      work += size;
      return statics.allocUnsafe(size);
    },
  };

  Object.assign(prototype, counting);
  Object.assign(Buffer, countingStatic);
  try {
    run();
  } finally {
    Object.assign(prototype, { indexOf, copy, toString, equals, subarray });
    Object.assign(Buffer, statics);
  }
  return work;
}
