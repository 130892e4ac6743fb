// A run of `dovegate audit` to its end, with what it cost.
import { spawn } from 'node:child_process';
import { builtProgram } from '../../../kit/gate/daemon.js';
import { memoryMiB, processSnapshot } from './usage.js';

export interface AuditRun {
  /** null: it was ended, because it took too long. */
  readonly exit: number | null;
  readonly output: string;
  readonly seconds: number;
  /** Seconds of processor. */
  readonly used: number;
  readonly peakMiB: number;
}

/** `look` is called ten times a second, with the seconds so far. */
export async function runAudit(
  words: readonly string[],
  look: (seconds: number) => void = () => undefined,
  timeout?: number,
): Promise<AuditRun> {
  const beganMs = performance.now();
  const passed = (): number => (performance.now() - beganMs) / 1000;
  const child = spawn(process.execPath, [builtProgram, 'audit', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout,
    killSignal: 'SIGKILL',
  });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => void pieces.push(piece));
  const pid = child.pid ?? 0;
  let [peakMiB, us] = [0, 0];
  const timer = setInterval(() => {
    // Its last moments have no memory any more.
    peakMiB = memoryMiB(pid).peak || peakMiB;
    us = [...processSnapshot(pid).threads.values()].reduce((sum, usage) => sum + usage.us, 0) || us;
    look(passed());
  }, 100);
  const exit = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearInterval(timer);
  return { exit, output: Buffer.concat(pieces).toString(), seconds: passed(), used: us / 1e6, peakMiB };
}
