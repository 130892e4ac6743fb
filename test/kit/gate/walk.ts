// How much of the daemon one command runs through: the calls of its functions, in modules as they are written (build/src), by V8's
// precise coverage (walk-probe.ts). Figures are counts, so they do not depend on how fast the machine is.
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { Owner } from '../plain/folder.js';
import { until } from '../plain/until.js';
import { unbundledProgram } from './daemon.js';
import { openGateway } from './gateway.js';

/** A thread, `gate/relay/relay:1234`, a function's name, its calls. */
export type Call = readonly [thread: 'main' | 'thread', place: string, name: string, calls: number];

/**
 * One accepted connection up to its go-ahead; a first `quota get` (a connection to the backend is ready, nothing is remembered); the same
 * line again.
 */
export interface Walks {
  readonly accept: readonly Call[];
  readonly first: readonly Call[];
  readonly repeated: readonly Call[];
}

const [probe, threadFlags] = ['walk-probe.js', '../plain/thread-flags.js'].map(
  (name) => `--import=${new URL(name, import.meta.url).href}`,
);
/** In the daemon's folder. */
const socket = 'walk.sock';
const quota = { user: 'alice@example.org', fields: ['quota get'] };
/** Of the same line, in one daemon. */
const repeats = 9;
/** What the journal's thread seals for one command: admission and completion. */
const recordsOfCommand = 2;

const sealedIn = (calls: readonly Call[]): number =>
  sumOf(calls.filter(([thread, , name]) => thread === 'thread' && name === 'seal'));

export const sumOf = (calls: readonly Call[]): number => calls.reduce((sum, [, , , count]) => sum + count, 0);

/** The one with the fewest calls: timers of the daemon fall into the others. */
export function leastOf(walks: readonly (readonly Call[])[]): readonly Call[] {
  return walks.toSorted((one, other) => sumOf(one) - sumOf(other))[0] ?? [];
}

/** Starts a daemon, and counts each of them. */
export async function measureWalks(owner: Owner): Promise<Walks> {
  const { daemon, backend, client } = await openGateway(owner, {
    // The default: connections are kept ready.
    mail1: { idle: '' },
    program: unbundledProgram,
    env: {
      NODE_OPTIONS: `${threadFlags} ${probe}`,
      DOVEGATE_THREAD_FLAGS: JSON.stringify([probe]),
      DOVEGATE_WALK_SOCKET: socket,
    },
  });
  const link = createConnection(daemon.path(socket));
  owner.after(() => void link.destroy());
  const answers = createInterface({ input: link })[Symbol.asyncIterator]();
  const takeCalls = async (): Promise<readonly Call[]> => {
    link.write('\n');
    const answer = await answers.next();
    if (answer.done === true) throw new Error(`the daemon does not report its calls:\n${daemon.output()}`);
    return JSON.parse(answer.value);
  };
  /** Until the journal's thread has sealed so many records; what it reports afterwards is in one more answer. */
  const during = async (records: number, run: () => Promise<void>): Promise<readonly Call[]> => {
    await pause(40);
    await takeCalls();
    await run();
    const calls: Call[] = [];
    await until(async () => {
      const isAll = sealedIn(calls) >= records;
      calls.push(...(await takeCalls()));
      return isAll;
    }, 'the records of a command');
    return calls;
  };
  await until(() => backend.live.length > 0, 'a connection is ready');
  let opened = await client();
  const accept = await during(0, async () => {
    opened = await client();
  });
  const ask = (): Promise<readonly Call[]> =>
    during(recordsOfCommand, async () => {
      opened.sendCommand(quota);
      const { status } = await opened.readReply();
      if (status !== '+') throw new Error(`quota get: ${status}`);
    });
  const first = await ask();
  const again: (readonly Call[])[] = [];
  while (again.length < repeats) again.push(await ask());
  await daemon.stop();
  return { accept, first, repeated: leastOf(again) };
}
