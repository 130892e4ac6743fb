// Reads a socket by asking: a line, or whatever is there. One owner at a time; detach() hands the unread bytes to the next one (TLS).
// It never throws for what the socket does: a socket that ended or failed reads as null from then on.
import type { Socket } from 'node:net';

export interface ByteReader {
  /** The next line without LF and without one CR before it; null at the end (a last line without LF is dropped). */
  readLine(): Promise<Buffer | null>;
  /** All bytes that are there, at least one; null at the end. */
  readSome(): Promise<Buffer | null>;
  /** Puts bytes back in front of what is unread. */
  putBack(bytes: Buffer): void;
  /** Stops reading; the unread bytes. The socket is paused and has no listener of this reader any more. */
  detach(): Buffer;
  /** While true nothing is taken from the socket, so that the other side runs into a full window. */
  setStopped(isStopped: boolean): void;
}

/** Above this many unread bytes the socket is paused until somebody asks. */
const unreadBytesMax = 1024 * 1024;

/** Takes the socket's `data` events; `onBytes` sees every chunk first. */
export function createByteReader(
  socket: Socket,
  onBytes: (chunk: Buffer) => void = () => undefined,
): ByteReader {
  let chunks: Buffer[] = [];
  let unreadBytes = 0;
  let isEnded = false;
  let isStopped = false;
  let wake: (() => void) | undefined;

  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  const onData = (chunk: Buffer): void => {
    onBytes(chunk);
    chunks.push(chunk);
    unreadBytes += chunk.length;
    if (unreadBytes > unreadBytesMax) socket.pause();
    notify();
  };
  const onEnd = (): void => {
    isEnded = true;
    notify();
  };
  socket.on('data', onData);
  socket.on('end', onEnd);
  socket.on('close', onEnd);

  const takeAll = (): Buffer => {
    const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    chunks = [];
    unreadBytes = 0;
    return all;
  };
  const putBack = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    chunks.unshift(bytes);
    unreadBytes += bytes.length;
  };
  /** Waits for bytes; false at the end. */
  const hasBytes = async (): Promise<boolean> => {
    for (;;) {
      if (chunks.length > 0) return true;
      if (isEnded) return false;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (!isStopped) socket.resume();
      });
    }
  };

  return {
    putBack,
    async readSome() {
      return (await hasBytes()) ? takeAll() : null;
    },
    async readLine() {
      // Parts of an unfinished line are kept apart: no byte of them is searched twice.
      const parts: Buffer[] = [];
      while (await hasBytes()) {
        const all = takeAll();
        const at = all.indexOf(0x0a);
        if (at === -1) {
          parts.push(all);
          continue;
        }
        putBack(all.subarray(at + 1));
        const line = Buffer.concat([...parts, all.subarray(0, at)]);
        return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
      }
      return null;
    },
    detach() {
      socket.pause();
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      return takeAll();
    },
    setStopped(stop) {
      isStopped = stop;
      if (stop) socket.pause();
      else socket.resume();
    },
  };
}
