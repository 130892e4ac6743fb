// Runs a program to its end and gives all that it said; among them the real `doveadm`. Nothing is left running: what takes too long is
// killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

export interface ProgramOptions {
  /** What it reads; default: nothing, an end at once. */
  stdin?: string | Buffer;
  /** Added to our own environment; undefined takes a variable away. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Default 120 s; then it is killed and `exit` is 137. */
  timeoutMs?: number;
  /** Called for each piece of stdout, as soon as it is read. */
  onOutput?: (piece: Buffer) => void;
}

export interface ProgramResult {
  stdout: Buffer;
  /** stdout and stderr as text. */
  text: string;
  stderr: string;
  /** As a shell shows it: the code, or 128 and the signal's number. */
  exit: number;
}

/** Rejects only when the program cannot be started. */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    options.onOutput?.(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined); // it may end without reading all
  child.stdin.end(options.stdin);
  try {
    const exit = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
    const out = Buffer.concat(stdout);
    const err = Buffer.concat(stderr).toString();
    return { stdout: out, stderr: err, text: out.toString() + err, exit };
  } finally {
    clearTimeout(timer);
  }
}

/** What a program said that has to end with this exit code. */
export async function ends<Said extends Pick<ProgramResult, 'exit' | 'text'>>(
  exit: number,
  run: Promise<Said>,
): Promise<Said> {
  const done = await run;
  assert.equal(done.exit, exit, done.text);
  return done;
}

/** Whether a process runs; one that is dead and waits for its parent to notice does not. Linux. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
