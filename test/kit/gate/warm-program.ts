// Subcommands of the built program without a process for each: to start one and to load the modules takes longer than most subcommands
// do. They run in one child process, whose modules stay loaded. What reads stdin or stays (`serve`, `--watch`) needs `runDovegate`, and
// so does a test of the process itself: its signals, its memory, a stdout that is closed.
import { type ChildProcess, fork } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProgramOptions, ProgramResult } from '../plain/program.js';
import type { WarmAnswer, WarmAsked } from '../plain/warm-program-child.js';
import { builtProgram } from './daemon.js';

type WarmOptions = Pick<ProgramOptions, 'cwd' | 'env'>;

export interface WarmResult extends ProgramResult {
  /** stdout and stderr in the order in which they were written, as `2>&1` gives them. */
  readonly inOrder: string;
}

const timeoutMs = 10 * 60_000;

let child: ChildProcess | undefined;
let last: Promise<unknown> = Promise.resolve();

/** As `runDovegate`; one after another. Rejects when the process ended, or did not answer within 10 minutes. */
export function runWarm(args: readonly string[], options: WarmOptions = {}): Promise<WarmResult> {
  return runAs('dovegate', args, options);
}

/** As {@link runWarm}, for the program under the name doveadm. */
export function runWarmDoveadm(args: readonly string[], options: WarmOptions = {}): Promise<WarmResult> {
  return runAs('doveadm', args, options);
}

function runAs(name: WarmAsked['name'], args: readonly string[], options: WarmOptions): Promise<WarmResult> {
  const result = last.then(() => ask(name, args, options));
  last = result.catch(() => undefined);
  return result;
}

async function ask(
  name: WarmAsked['name'],
  args: readonly string[],
  options: WarmOptions,
): Promise<WarmResult> {
  const env = Object.entries({ ...process.env, ...options.env }).flatMap(([variable, value]) =>
    value === undefined ? [] : [[variable, value] as const],
  );
  const asked: WarmAsked = { name, args, env: Object.fromEntries(env), cwd: options.cwd ?? process.cwd() };
  const answer = await answerOf(asked);
  const stdout = Buffer.from(answer.stdout, 'base64');
  const stderr = Buffer.from(answer.stderr, 'base64').toString();
  const inOrder = Buffer.from(answer.inOrder, 'base64').toString();
  return { stdout, stderr, text: stdout.toString() + stderr, inOrder, exit: answer.exit };
}

function answerOf(asked: WarmAsked): Promise<WarmAnswer> {
  child ??= start();
  const asks = child;
  asks.ref();
  asks.channel?.ref();
  return new Promise((resolve, reject) => {
    const end = (code: number | null, signal: string | null): void => {
      clearTimeout(timer);
      child = undefined;
      reject(new Error(`${asked.name} ${asked.args.join(' ')}: its process ended with ${code ?? signal}`));
    };
    const timer = setTimeout(() => asks.kill('SIGKILL'), timeoutMs);
    asks.once('exit', end);
    asks.once('message', (answer: WarmAnswer) => {
      clearTimeout(timer);
      asks.off('exit', end);
      // It ends with us.
      asks.unref();
      asks.channel?.unref();
      resolve(answer);
    });
    asks.send(asked);
  });
}

function start(): ChildProcess {
  const path = fileURLToPath(new URL('../plain/warm-program-child.js', import.meta.url));
  return fork(path, [dirname(builtProgram)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
}
