// One human who is as many uids as the range of subordinate uids in /etc/subuid allows, by the system's own newuidmap: what rootless
// containers do. The host's files stay as they are: whoever starts in here sees others in their place.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, type Owner } from './folder.js';
import { launcherWith, rangeUids } from './standing.js';

export interface ManyUids {
  /** Starts a program where /etc/passwd and /etc/subuid know the human. */
  readonly launcher: readonly string[];
  /** The first uid of the range. */
  readonly first: number;
  /** Connects with the human's own uid, or with `uids` others, each with a command line of its own, `atOnce` of them at a time. */
  connect(options: ConnectOptions): Promise<Seen>;
}

export interface ConnectOptions {
  readonly path: string;
  readonly uids: number;
  /** `|` for TAB, `#` for the number of the connection. */
  readonly line: string;
  /** Connections with the answer `+` stay open until all have asked. */
  readonly stays?: boolean;
  readonly atOnce?: number;
  /** Connections in all; default one for each uid. */
  readonly connects?: number;
}

/** How many of each: the status of an answer, or `closed`. */
export type Seen = Readonly<Record<string, number>>;

export const manyUidsOwner = { uid: 39_000, name: 'mallory', group: 39_100 } as const;
const first = 3_900_000;

/** For Node alone. Its real uid is the namespace's root, so that it may become any mapped uid for the time of a connect. */
const speaker = `
const net = require('node:net');
const { path, uids, line, stays = false, atOnce = 1, connects = uids } = JSON.parse(process.argv[1]);
const seen = {};
const count = (what) => { seen[what] = (seen[what] ?? 0) + 1; };
let next = 0;
let running = 0;
function begin() {
  while (running < atOnce && next < connects) one(next++);
  if (running === 0 && next >= connects) process.stdout.write(JSON.stringify(seen), () => process.exit());
}
function one(number) {
  running += 1;
  process.seteuid(0);
  // One uid alone is the human's own.
  process.seteuid(uids === 1 ? 0 : 1 + ((number * 7919) % uids));
  const socket = net.connect(path);
  process.seteuid(0);
  let text = '';
  let isDone = false;
  const done = (what) => {
    if (isDone) return;
    isDone = true;
    count(what);
    running -= 1;
    setImmediate(begin);
  };
  socket.on('error', () => undefined);
  socket.on('close', () => done('closed'));
  socket.on('connect', () => socket.write('VERSION\\tdoveadm-server\\t1\\t0\\n'));
  let isGreeted = false;
  socket.on('data', (chunk) => {
    text += chunk;
    if (!isGreeted) {
      if (!text.includes('+\\n')) return;
      isGreeted = true;
      text = '';
      socket.write(line.replaceAll('#', String(number)).replaceAll('|', '\\t') + '\\n');
      return;
    }
    const status = /(?:^|\\n)([+-][A-Z]*)\\n$/.exec(text)?.[1];
    if (status === undefined) return;
    done(status);
    if (!stays || status !== '+') socket.destroy();
  });
}
begin();
`;

/** Needs root, for what the host's files are replaced with; and the package uidmap. */
export function openManyUids(owner: Owner): ManyUids {
  const folder = makeFolder();
  chmodSync(folder, 0o711);
  const { uid, name, group } = manyUidsOwner;
  const launcher = launcherWith(owner, [{ name, uid, range: first }]);
  const inside = `
unshare --user sh -c 'read go <&3; exec "$@" 3<&-' sh "$@" 3< "$FIFO" &
pid=$!
exec 4> "$FIFO"
while [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
newuidmap $pid 0 ${uid} 1 1 ${first} ${rangeUids - 1}
echo go >&4
wait $pid`;
  const running = new Set<ChildProcess>();
  owner.after(() => {
    for (const child of running) child.kill('SIGKILL');
  });
  let started = 0;
  return {
    launcher,
    first,
    connect(options) {
      started += 1;
      const fifo = join(folder, `go-${started}`);
      const become = ['setpriv', '--reuid', `${uid}`, '--regid', `${uid}`, '--groups', `${group}`];
      const args = [
        ...launcher.slice(1),
        'sh',
        '-ec',
        `mkfifo -m 0666 "$FIFO"; exec "$@"`,
        'sh',
        ...become,
        'sh',
        '-ec',
        inside,
        'sh',
        process.execPath,
        '-e',
        speaker,
        JSON.stringify(options),
      ];
      const child = spawn('unshare', args, {
        cwd: '/',
        env: { PATH: process.env['PATH'], FIFO: fifo },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      running.add(child);
      return new Promise((resolve, reject) => {
        let said = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
        child.once('error', reject);
        child.once('close', (code) => {
          running.delete(child);
          if (code === 0) resolve(JSON.parse(said));
          else reject(new Error(`the many uids ended with ${code}: ${said}`));
        });
      });
    },
  };
}
