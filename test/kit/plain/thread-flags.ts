// Loaded into a program before its own code (`node --import`): each thread gets the flags of DOVEGATE_THREAD_FLAGS (JSON), because the
// program gives its threads no flags and no variables.
import { syncBuiltinESMExports } from 'node:module';
import workers, { Worker, type WorkerOptions } from 'node:worker_threads';
import * as z from 'zod';

const flags = z.array(z.string()).parse(JSON.parse(process.env['DOVEGATE_THREAD_FLAGS'] ?? '[]'));
workers.Worker = class extends Worker {
  constructor(file: string | URL, options: WorkerOptions = {}) {
    super(file, { ...options, execArgv: [...(options.execArgv ?? []), ...flags] });
  }
};
syncBuiltinESMExports();
