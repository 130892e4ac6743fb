// `dovegate serve` with what it takes from a part above the gate. The bundle has this as one entry, so that both share their modules.

import { createSpent } from './evidence/review/spent.js';
import { type ServeOptions, serve } from './gate/daemon/serve.js';

/** Runs until a signal ends it; resolves to the exit code. */
export function serveGate(options: ServeOptions): Promise<number> {
  return serve(options, createSpent);
}
