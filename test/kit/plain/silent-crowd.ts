// Connections that say nothing, or too little, by the hundred: in a thread of their own, so that they keep no honest client of the same
// test waiting. A connection that the server closes is made again at once, where that is wanted.
import net from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Owner } from './folder.js';
import { resetSocket } from './reset-socket.js';

export interface Crowd {
  readonly port: number;
  readonly connections: number;
  /** From which address of this machine; default 127.0.0.1. */
  readonly from?: string;
  /** Said by each connection, once; each character is a byte. */
  readonly says?: string;
  /** A closed connection is replaced at once. */
  readonly returns?: boolean;
}

export interface RunningCrowd {
  /** Closes all of them; how many connections were made in all. */
  end(): Promise<number>;
}

/** Resolves when all have connected. The crowd ends with its owner at the latest. */
export async function gather(owner: Owner, crowd: Crowd): Promise<RunningCrowd> {
  const worker = new Worker(new URL(import.meta.url), { workerData: crowd });
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  let made = 0;
  let ended: Promise<number> | undefined;
  const end = (): Promise<number> => {
    ended ??= (async () => {
      worker.postMessage('end', []);
      await exited;
      return made;
    })();
    return ended;
  };
  owner.after(async () => void (await end()));
  await new Promise<void>((resolve, reject) => {
    worker.once('error', reject);
    worker.on('message', (count: number) => {
      made = count;
      resolve();
    });
  });
  return { end };
}

function keepConnecting({ port, connections, from, says, returns }: Crowd): void {
  const open = new Set<net.Socket>();
  let made = 0;
  let isOver = false;
  const connect = (): void => {
    const socket = net.connect({ host: '127.0.0.1', port, localAddress: from ?? '127.0.0.1' });
    open.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
    socket.once('connect', () => {
      made += 1;
      if (says !== undefined) socket.write(says, 'latin1');
      if (made === connections) parentPort?.postMessage(made, []);
    });
    socket.once('close', () => {
      open.delete(socket);
      if (returns === true && !isOver) connect();
    });
  };
  for (let n = 0; n < connections; n += 1) connect();
  parentPort?.once('message', () => {
    isOver = true;
    parentPort?.postMessage(made, []);
    for (const socket of open) resetSocket(socket);
    parentPort?.close();
  });
}

function isCrowd(given: unknown): given is Crowd {
  return typeof given === 'object' && given !== null && 'connections' in given;
}

if (!isMainThread && isCrowd(workerData)) keepConnecting(workerData);
