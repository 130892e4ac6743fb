// The programs of a run that are killed and started again: one process at a time, its output in one file.
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../kit/plain/until.js';

export interface Keeper {
  readonly name: string;
  /** 0: none runs. */
  readonly pid: number;
  /** Resolves when it is ready; a process that ends before is started again, as a service manager does. */
  start(): Promise<void>;
  /** SIGKILL, awaited. */
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Asks for what is left after a collection (collect.ts), and returns the answer that came since the last call. */
  weigh(): number | undefined;
  /** How often its log has had this event. */
  told(event: string): number;
  /** SIGTERM; resolves to the exit code; undefined: it had to be killed. */
  stop(): Promise<number | undefined>;
}

export interface KeeperOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly log: string;
  readonly isReady: () => Promise<boolean>;
}

const startMs = 120_000;
const collector = new URL('collect.js', import.meta.url).href;

/** What libfaketime leaves in memory of a process that was killed. */
function forgetClock(pid: number | undefined): void {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`])
    rmSync(`/dev/shm/${name}`, { force: true });
}

export function makeKeeper({ name, command, env, cwd, log, isReady }: KeeperOptions): Keeper {
  let child: ChildProcess | undefined;
  const events = new Map<string, number>();
  let isWeighed = false;
  let left: number | undefined;
  const sink = createWriteStream(log, { flags: 'a' });
  const ended = (one: ChildProcess): boolean => one.exitCode !== null || one.signalCode !== null;
  const closed = (one: ChildProcess): Promise<void> =>
    ended(one)
      ? Promise.resolve()
      : new Promise((resolve) => {
          one.once('exit', () => resolve());
        });
  const begin = (): ChildProcess => {
    const [file = '', ...args] = command;
    const one = spawn(file, args, {
      cwd,
      env: { ...process.env, NODE_OPTIONS: `--import=${collector}`, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    one.once('exit', () => forgetClock(one.pid));
    one.on('error', (error) => console.error(`${name}: ${error.message}`));
    one.stdout.pipe(sink, { end: false });
    createInterface({ input: one.stdout }).on('line', (line) => {
      const event = /"event":"([a-z-]+)"/.exec(line)?.[1] ?? '';
      events.set(event, (events.get(event) ?? 0) + 1);
      if (event === 'heap') left = Number(/"left":(\d+)/.exec(line)?.[1]);
    });
    one.stderr.pipe(sink, { end: false });
    return one;
  };
  process.once('exit', () => child?.kill('SIGKILL'));
  return {
    name,
    get pid() {
      return child === undefined || ended(child) ? 0 : (child.pid ?? 0);
    },
    async start() {
      isWeighed = false;
      left = undefined;
      child = begin();
      await until(
        async () => {
          if (child !== undefined && ended(child)) {
            await pause(500);
            child = begin();
          }
          return isReady().catch(() => false);
        },
        () => `${name} is ready; see ${log}`,
        startMs,
      );
      // Before its program runs, the signal would end it.
      isWeighed = true;
    },
    async kill() {
      if (child === undefined) return;
      child.kill('SIGKILL');
      await closed(child);
    },
    signal(signal) {
      child?.kill(signal);
    },
    weigh() {
      const answer = left;
      left = undefined;
      if (isWeighed && child !== undefined && !ended(child)) child.kill('SIGUSR2');
      return answer;
    },
    told: (event) => events.get(event) ?? 0,
    async stop() {
      const one = child;
      if (one === undefined || ended(one)) return undefined;
      one.kill('SIGCONT');
      one.kill('SIGTERM');
      const timer = setTimeout(() => one.kill('SIGKILL'), 90_000);
      await closed(one);
      clearTimeout(timer);
      return one.exitCode ?? undefined;
    },
  };
}

export interface Sample {
  readonly pid: number;
  /** Bytes: all that is resident; and of it what is no file's. */
  readonly rss: number;
  readonly anonymous: number;
  readonly fds: number;
  readonly threads: number;
  readonly cpu: number;
}

/** Undefined: it does not run. */
export function sampleOf(pid: number): Sample | undefined {
  if (pid === 0) return undefined;
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const of = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return {
      pid,
      rss: of('VmRSS') * 1024,
      anonymous: of('RssAnon') * 1024,
      threads: of('Threads'),
      fds: countFiles(`/proc/${pid}/fd`),
      cpu: (Number(stat[11]) + Number(stat[12])) * 10,
    };
  } catch {
    return undefined;
  }
}

/** Open descriptors of a process: of its folder `fd`. */
export function countFiles(folder: string): number {
  return readdirSync(folder).length;
}
