// stdout and stderr of a program that ends: it ends after all its output was written, or its exit code says that this failed. At
// `process.exit` Node drops what is not written yet: a pipe takes 64 KiB, and no more until its reader reads.

import { fstatSync, writeSync } from 'node:fs';
import { systemClock } from './clock.js';
import { onSignal } from './process.js';

interface Fault extends Error {
  readonly code?: string;
}

const stops = ['SIGINT', 'SIGTERM'] as const;

/**
 * Call it before anything is written. Resolves, once `end` is called, to the first fault of the two outputs; undefined: all is written, or
 * its reader closed the pipe, as `head` does. It waits for a reader until a signal ends the process, or for `limitMs`.
 */
export function watchOutputs(): { end(limitMs?: number): Promise<Fault | undefined> } {
  const streams = [process.stdout, process.stderr];
  let first: Fault | undefined;
  const fail = (fault: Fault): void => {
    if (fault.code !== 'EPIPE') first ??= fault;
  };
  for (const stream of streams) {
    // Without a listener it would be an uncaught error.
    stream.on('error', fail);
    if (isFile(stream.fd)) writeWhole(stream);
  }
  return {
    async end(limitMs) {
      // The code that listened has ended: a signal has its usual effect again.
      for (const signal of stops) process.removeAllListeners(signal);
      const written = streams.map(
        (stream) =>
          new Promise<void>((resolve) => {
            stream.write('', () => resolve());
          }),
      );
      const late = new Promise((resolve) => {
        if (limitMs !== undefined) systemClock.setTimer(limitMs, () => resolve(undefined));
      });
      await Promise.race([Promise.all(written), late]);
      return first;
    },
  };
}

/** Calls `run` at the first SIGINT or SIGTERM; the next one ends the process. Returns a function that removes the listener. */
export function onStop(run: () => void): () => void {
  const letGo = onSignal(stops, (signal) => {
    letGo();
    endUnread(signal);
    run();
  });
  return letGo;
}

/** Ends the process as this signal does if its output waits for a reader, which may never read. */
export function endUnread(signal: NodeJS.Signals = 'SIGTERM'): void {
  if (process.stdout.writableLength + process.stderr.writableLength === 0) return;
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}

/** Writes all of a piece. Node takes a write in part for complete, which is how the last write to a full disk ends. */
function writeWhole(stream: NodeJS.WriteStream & { readonly fd: number }): void {
  stream._write = (piece: Buffer, _encoding, done) => {
    try {
      for (let at = 0; at < piece.length; ) at += writeSync(stream.fd, piece, at);
    } catch (fault) {
      return done(fault instanceof Error ? fault : new Error(String(fault)));
    }
    return done();
  };
}
