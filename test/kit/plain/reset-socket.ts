// Ends a TCP connection by a reset. While a socket's own end is under way libuv refuses to (EINVAL), and Node 20 never closes its
// descriptor then: the thread or process that has it does not end.
import type { Socket } from 'node:net';

export function resetSocket(socket: Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  // A UNIX socket knows no reset.
  if (socket.remoteAddress !== undefined && !isEnding) socket.resetAndDestroy();
  else socket.destroy();
}
