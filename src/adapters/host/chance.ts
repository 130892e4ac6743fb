// Bytes that nobody can guess, for ids. It does not know what they name.
// Asked for by the handful, they come from a pool: a call of the generator costs more than the bytes.

const poolBytes = 4096;
let pool = new Uint8Array(0);
let at = 0;

/** `count` bytes (at most 4096) from the system's generator; each is given out once. */
export function randomBytes(count: number): Uint8Array {
  if (at + count > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(poolBytes));
    at = 0;
  }
  at += count;
  return pool.subarray(at - count, at);
}

/** A number from 0 to below 1, for times that must not fall together. */
export function randomFraction(): number {
  const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
  return (((a * 256 + b) * 256 + c) * 256 + d) / 2 ** 32;
}
