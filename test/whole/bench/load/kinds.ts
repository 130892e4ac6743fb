// What clients of the comparisons do: the kinds of load, and clients that say nothing.
import { connect, type Socket } from 'node:net';
import type { Bench, BenchDaemonOptions, Load, LoadOptions } from './bench-processes.js';
import { residentKiB } from './usage.js';

const idleClients = 10_000;
/** How long a daemon works before its idle clients come. */
const workingSeconds = 2;
const quota = '\talice@example.org\tquota get';
const replyBytes = 64 * 1024 * 1024;
const long = `\talice@example.org\tfetch\ttext\tuid\t${replyBytes}`;

/** What a kind of client does, and the figure that counts. */
export interface Kind {
  readonly name: string;
  readonly unit: string;
  readonly load: Pick<LoadOptions, 'clients' | 'line' | 'reconnects'>;
  readonly figure: (load: Load) => number;
}

const perSecond = ({ commands, seconds: took }: Load): number => commands / took;

export const kinds = {
  short: {
    name: '16 clients, each command on a new connection',
    unit: 'commands/s',
    load: { clients: 16, line: quota, reconnects: true },
    figure: perSecond,
  },
  kept: {
    name: '64 clients, connections kept open',
    unit: 'commands/s',
    load: { clients: 64, line: quota },
    figure: perSecond,
  },
  one: {
    name: 'one client, time of a command (p50)',
    unit: 'us',
    load: { clients: 1, line: quota },
    figure: ({ p50 }: Load) => p50,
  },
  streaming: {
    name: `one client, replies of ${replyBytes / 1024 ** 2} MiB`,
    unit: 'MB/s',
    load: { clients: 1, line: long },
    figure: ({ bytes, seconds: took }: Load) => bytes / took / 1e6,
  },
} as const satisfies Record<string, Kind>;

/** A client that is greeted and says nothing more. */
function openIdle(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write('VERSION\tdoveadm-server\t1\t0\n'));
    socket.once('data', () => resolve(socket)).once('error', reject);
  });
}

/** What the resident memory of a daemon that has worked grows by for each idle client, in KiB. */
export async function idleKiB(bench: Bench, options: BenchDaemonOptions): Promise<number> {
  const daemon = await bench.startDaemon(options);
  await bench.load({ ...kinds.kept.load, target: daemon.socket, seconds: workingSeconds });
  const before = residentKiB(daemon.pid);
  const clients: Socket[] = [];
  while (clients.length < idleClients)
    clients.push(...(await Promise.all(Array.from({ length: 250 }, () => openIdle(daemon.socket)))));
  const grown = residentKiB(daemon.pid) - before;
  for (const client of clients) client.destroy();
  await daemon.stop();
  return grown / idleClients;
}
