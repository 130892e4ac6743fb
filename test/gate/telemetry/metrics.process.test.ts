// The usual names of every client library, of the process as it is now; what the system does not say is absent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { measureProcess, type ProcessUsage } from '../../../src/gate/telemetry/metrics.js';
import { processUsage } from '../../../src/host/machine/process.js';

async function shown(registry: Registry): Promise<Map<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
}

const usage: ProcessUsage = {
  cpuSeconds: 1.5,
  residentBytes: 1e8,
  startedSeconds: 1_767_323_045,
  openDescriptors: 30,
  descriptorsMax: 1024,
};

test('the values of the last look, and no value where there is none', async () => {
  const registry = new Registry();
  const set = measureProcess(registry);
  set({ ...usage, cpuSeconds: 1 });
  set(usage);
  assert.deepEqual(
    [...(await shown(registry))],
    [
      ['process_cpu_seconds_total', 1.5],
      ['process_resident_memory_bytes', 1e8],
      ['process_start_time_seconds', 1_767_323_045],
      ['process_open_fds', 30],
      ['process_max_fds', 1024],
    ],
  );
  set({ ...usage, openDescriptors: undefined, descriptorsMax: undefined });
  const names = [...(await shown(registry)).keys()];
  assert.ok(!names.some((name) => name.endsWith('_fds')), names.join(' '));
});

test('of this very process the numbers are plausible', () => {
  const now = processUsage();
  assert.ok(now.cpuSeconds > 0 && now.cpuSeconds < 10_000, String(now.cpuSeconds));
  assert.ok(now.residentBytes > 10e6 && now.residentBytes < 10e9, String(now.residentBytes));
  const age = Date.now() / 1000 - now.startedSeconds;
  assert.ok(age > 0 && age < 3_600, String(age));
  assert.ok((now.openDescriptors ?? 0) > 2 && (now.openDescriptors ?? 0) < (now.descriptorsMax ?? 0));
});
