// The resources that the process uses, under the names of all client libraries of Prometheus. Only values that are free to read: the
// default metrics of the package observe every garbage collection and measure the event loop a second time.

import { Counter, Gauge, type Registry } from 'prom-client';

export interface ProcessUsage {
  /** User and system time since the start. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** When the process started, in Unix time. */
  readonly startedSeconds: number;
  readonly openDescriptors: number | undefined;
  readonly descriptorsMax: number | undefined;
}

/** Registers them in `registry`; returns the function that sets them. */
export function measureProcess(registry: Registry): (usage: ProcessUsage) => void {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers: [registry] });
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the process, user and system.',
    registers: [registry],
  });
  const resident = gauge('process_resident_memory_bytes', 'Memory of the process that is in RAM.');
  const started = gauge('process_start_time_seconds', 'When the process started, in Unix time.');
  const open = gauge('process_open_fds', 'Descriptors that are open.');
  const most = gauge('process_max_fds', 'Descriptors that may be open at once.');
  return (usage) => {
    cpu.reset();
    cpu.inc(usage.cpuSeconds);
    resident.set(usage.residentBytes);
    started.set(usage.startedSeconds);
    setOrRemove(open, usage.openDescriptors);
    setOrRemove(most, usage.descriptorsMax);
  };
}

/** A gauge without labels is 0 by itself, and "no limit" differs from a limit of 0. */
function setOrRemove(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}
