// One write instead of many small ones. The rule: what is long is not copied.

import type { Writable } from 'node:stream';

/** Parts that are smaller together are copied into one. */
const joinedBytesMax = 2 * 1024;

/** Writes the parts as one group; false: there is no room for more. */
export function writeGroup(socket: Writable, parts: readonly Buffer[]): boolean {
  const only = parts.length === 1 ? parts[0] : joinSmall(parts);
  if (only !== undefined) return socket.write(only);
  let hasRoom = true;
  socket.cork();
  for (const part of parts) hasRoom = socket.write(part);
  socket.uncork();
  return hasRoom && !socket.writableNeedDrain;
}

/**
 * The parts as one, or undefined: they are too long to be copied, or empty. A short reply is a handful of tiny parts, and a vectored
 * write of Node has its price for each.
 */
function joinSmall(parts: readonly Buffer[]): Buffer | undefined {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length === 0 || length > joinedBytesMax) return undefined;
  return Buffer.concat(parts, length);
}
