// Logins by hand, by the thousand; with `guess`, in a thread of their own, so that who measures others is not kept waiting by them.
import net from 'node:net';
import tls from 'node:tls';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Who says what, from which address of this machine. */
export interface Guess {
  readonly port: number;
  readonly from: string;
  readonly user: string;
  readonly password: string;
  /** Inside TLS from the first byte on; whose certificate it is does not matter here. */
  readonly isTls?: boolean;
}

/** What came behind the greeting, and how long it took. */
export interface GuessAnswer {
  readonly answer: string;
  readonly ms: number;
}

const version = 'VERSION\tdoveadm-server\t1\t0\n';
const greeting = '-\n';

/** Connects, says a name and a password, waits for the answer or the end, and hangs up. */
export function logIn(said: Guess): Promise<GuessAnswer> {
  const { port, from, isTls = false, user, password } = said;
  const startMs = performance.now();
  return new Promise((resolve) => {
    const target = { host: '127.0.0.1', port, localAddress: from, noDelay: true };
    const socket = isTls ? tls.connect({ ...target, rejectUnauthorized: false }) : net.connect(target);
    let got = '';
    const end = (): void => {
      socket.destroy();
      resolve({ answer: got.slice(greeting.length), ms: performance.now() - startMs });
    };
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString('latin1');
      if (got.length >= greeting.length + '+\n'.length) end();
    });
    socket.on('error', end);
    socket.on('close', end);
    socket.write(`${version}PLAIN\t${Buffer.from(`\0${user}\0${password}`).toString('base64')}\n`);
  });
}

/** All of them at once; `begun` resolves when all have been sent off, `answers` when all are over. */
export function guess(guesses: readonly Guess[]): {
  readonly begun: Promise<void>;
  readonly answers: Promise<readonly GuessAnswer[]>;
} {
  const worker = new Worker(new URL(import.meta.url), { workerData: guesses });
  const begun = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  const answers = begun.then(
    () => new Promise<readonly GuessAnswer[]>((resolve) => void worker.once('message', resolve)),
  );
  return { begun, answers };
}

async function guessAll(guesses: readonly Guess[]): Promise<void> {
  const all = guesses.map(logIn);
  parentPort?.postMessage('begun', []);
  parentPort?.postMessage(await Promise.all(all), []);
}

function areGuesses(given: unknown): given is readonly Guess[] {
  return Array.isArray(given);
}

if (!isMainThread && areGuesses(workerData)) void guessAll(workerData);
