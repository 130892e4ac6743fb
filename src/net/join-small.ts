// One write instead of many small ones. The rule: what is long is not copied.

/** Parts that are smaller together are copied into one. */
const joinedBytesMax = 2 * 1024;

/**
 * The parts as one, or undefined: they are too long to be copied, or empty. A short reply is a handful of tiny parts, and a vectored
 * write of Node has its price for each.
 */
export function joinSmall(parts: readonly Buffer[]): Buffer | undefined {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length === 0 || length > joinedBytesMax) return undefined;
  return Buffer.concat(parts, length);
}
