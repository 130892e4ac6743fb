// `npm run bench -- fleet-idle [HOSTS] [SECONDS]`: what `audit fleet watch` costs while nothing happens: HOSTS (default 1,000) in a folder,
// for SECONDS (default 60) each without any record, and with an object of each gate every five minutes. Prints the processor time.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { until } from '../../kit/plain/until.js';
import { say } from './load/report.js';
import { withFleet } from './load/simulated-fleet.js';
import { processSnapshot, residentKiB } from './load/usage.js';

const count = Number(process.argv[2] ?? 1_000);
const seconds = Number(process.argv[3] ?? 60);
const cycleMs = 300_000;

const usOf = (pid: number): number =>
  [...processSnapshot(pid).threads.values()].reduce((sum, usage) => sum + usage.us, 0);

// An idle gate stores a checkpoint in each cycle.
await withFleet(
  { gates: count, records: 10 * count, ageMs: cycleMs },
  async ({ config, folder, putMore }) => {
    const startMs = performance.now();
    const child = spawn(process.execPath, [builtProgram, 'audit', 'fleet', 'watch', '--config', config], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const pid = child.pid ?? 0;
    try {
      const isRead = (): boolean => {
        try {
          const { gates }: FleetStatus = JSON.parse(
            readFileSync(join(folder, 'state', 'status.json'), 'utf8'),
          );
          return gates.filter(({ seq }) => seq !== undefined).length === count;
        } catch {
          return false;
        }
      };
      await until(isRead, 'everything is read', 300_000);
      say('the first look', `${((performance.now() - startMs) / 1000).toFixed(1)} s with start`);
      await pause(15_000);
      const measure = async (what: string, isSending: boolean): Promise<void> => {
        const [us, fromMs] = [usOf(pid), performance.now()];
        const endMs = fromMs + seconds * 1000;
        for (let at = 0; performance.now() < endMs; at += 1) {
          if (isSending) await putMore();
          const dueMs = isSending ? Math.min(fromMs + ((at + 1) * cycleMs) / count, endMs) : endMs;
          await pause(Math.max(0, dueMs - performance.now()));
        }
        const minutes = (performance.now() - fromMs) / 60_000;
        say(what, `${((usOf(pid) - us) / 1e6 / minutes).toFixed(2)} s of processor a minute`);
      };
      await measure('nothing happens', false);
      await measure('an object each, every five minutes', true);
      say('memory', `${(residentKiB(pid) / 1024).toFixed(0)} MiB`);
    } finally {
      child.kill('SIGKILL');
    }
  },
);
