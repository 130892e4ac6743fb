// `dovegate audit fleet watch`, or another command of a verifier, as a process, and the events that it prints.
import { type ChildProcess, spawn } from 'node:child_process';
import { builtProgram } from '../../kit/gate/daemon.js';
import { endBefore } from '../../kit/plain/folder.js';
import type { Desk } from './fleet-lab.js';

/** One line of its log. */
export type Event = Readonly<Record<string, unknown>>;

export interface Watching {
  readonly events: Event[];
  /** All that it said to people. */
  errors(): string;
  readonly child: ChildProcess;
  /** Resolves to the exit code. */
  readonly ended: Promise<number | null>;
  /** Events so far of this name and kind. */
  of(event: string, kind?: string): Event[];
  /** How long it took to end. */
  stop(): Promise<{ readonly code: number | null; readonly ms: number }>;
}

export function startWatch(desk: Pick<Desk, 'config' | 'at'>, command = 'watch'): Watching {
  const child = spawn(process.execPath, [builtProgram, 'audit', 'fleet', command, '--config', desk.config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const events: Event[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    events.push(...lines.map((line): Event => JSON.parse(line)));
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return ended;
  };
  endBefore(desk.at(), () => end('SIGKILL'));
  return {
    events,
    errors: () => errors,
    child,
    ended,
    of: (event, kind) =>
      events.filter((one) => one['event'] === event && (kind === undefined || one['kind'] === kind)),
    async stop() {
      const startMs = performance.now();
      return { code: await end('SIGTERM'), ms: performance.now() - startMs };
    },
  };
}
