// Owns the ways in which tests cut bytes into chunks: a transport may cut anywhere, so nothing may depend on where.

/** Numbers from 0 up to, not including, 1; the same ones for the same seed. */
export type Random = () => number;

/** One way to cut. Every chunk is memory of its own, so that a decoder cannot lean on what stands next to a slice. */
export interface Chunking {
  name: string;
  chunks: Buffer[];
}

/** Above this, not every cut is tried. */
export const everyCutBytesMax = 8192;
const seededCuts = 500;

/** A seeded generator (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** One of the list, which is not empty. */
export function pick<T>(random: Random, list: readonly T[]): T {
  const one = list[Math.floor(random() * list.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
}

/** A whole number from `least` to `most`, both included. */
export function randomInteger(random: Random, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

/**
 * Whole, byte by byte, at the given boundaries all at once, and in two at every single cut; above everyCutBytesMax in
 * two at the boundaries and at 500 seeded cuts.
 */
export function* chunkings(bytes: Buffer, boundaries: readonly number[] = [], seed = 1): Generator<Chunking> {
  yield { name: 'whole', chunks: [Buffer.from(bytes)] };
  yield { name: 'byte by byte', chunks: cutEvery(bytes, 1) };
  const inner = [...new Set(boundaries)]
    .filter((at) => at > 0 && at < bytes.length)
    .toSorted((a, b) => a - b);
  if (inner.length > 0) yield { name: 'at the boundaries', chunks: cutAt(bytes, inner) };
  for (const at of cutsOf(bytes.length, inner, seed)) {
    yield { name: `cut at ${at}`, chunks: cutAt(bytes, [at]) };
  }
}

/** Cuts at rising offsets. */
export function cutAt(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let from = 0;
  for (const at of [...offsets, bytes.length]) {
    chunks.push(Buffer.from(bytes.subarray(from, at)));
    from = at;
  }
  return chunks;
}

export function cutEvery(bytes: Buffer, count: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let from = 0; from < bytes.length; from += count) {
    chunks.push(Buffer.from(bytes.subarray(from, from + count)));
  }
  return chunks;
}

/** Cuts at random: sometimes bytes, sometimes long chunks. */
export function cutAtRandom(bytes: Buffer, random: Random): Buffer[] {
  const chunks: Buffer[] = [];
  let from = 0;
  while (from < bytes.length) {
    const count =
      random() < 0.5 ? randomInteger(random, 1, 3) : randomInteger(random, 1, bytes.length - from);
    chunks.push(Buffer.from(bytes.subarray(from, from + count)));
    from += count;
  }
  return chunks;
}

function cutsOf(length: number, boundaries: readonly number[], seed: number): Iterable<number> {
  if (length <= everyCutBytesMax) return Array.from({ length: Math.max(0, length - 1) }, (_, at) => at + 1);
  const random = seededRandom(seed);
  const cuts = new Set(boundaries);
  while (cuts.size < boundaries.length + seededCuts) cuts.add(randomInteger(random, 1, length - 1));
  return cuts;
}
