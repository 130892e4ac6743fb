// Runs a program of the system to its end, with limits on its time and its output. For subcommands; the daemon runs none.

import { spawn } from 'node:child_process';
import { predicateOf } from '../kinds/kinds.js';
import { systemClock } from './clock.js';

export type ProgramEnd =
  | { readonly kind: 'ended'; readonly exitCode: number; readonly stdout: string }
  | { readonly kind: 'absent' }
  /** As a sentence: it took too long, printed too much, or could not be started. */
  | { readonly kind: 'failed'; readonly why: string };

export const isProgramEnd = predicateOf<ProgramEnd>();

/** Never rejects. A program that takes too long is killed, with its children. */
export function runProgram(
  file: string,
  args: readonly string[],
  { timeoutMs, bytesMax }: { readonly timeoutMs: number; readonly bytesMax: number },
): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    // A group of its own, so that its children are killed with it.
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (ended: ProgramEnd): void => {
      timer.cancel();
      child.stdout.destroy();
      child.unref();
      resolve(ended);
    };
    const kill = (why: string): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
      end({ kind: 'failed', why });
    };
    const timer = systemClock.setTimer(timeoutMs, () => kill(`no end within ${timeoutMs / 1000} s`));
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > bytesMax) kill(`printed more than ${bytesMax} bytes`);
      else chunks.push(chunk);
    });
    child.once('error', (cause: NodeJS.ErrnoException) =>
      end(cause.code === 'ENOENT' ? { kind: 'absent' } : { kind: 'failed', why: cause.message }),
    );
    child.once('close', (code, signal) => {
      if (code === null) end({ kind: 'failed', why: `ended by ${signal ?? 'a signal'}` });
      else end({ kind: 'ended', exitCode: code, stdout: Buffer.concat(chunks).toString('utf8') });
    });
  });
}
