// `dovegate check`: every problem of a configuration, all at once.

import { formatJson as formatJsonLine } from '../domain/audit/export.js';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import { loadConfiguration, summarise } from '../setup/configuration.js';
import { describeSettings } from './describe-settings.js';
import { stdout } from './output/output.js';

/** What to look at, and how to tell it. */
export interface CheckOptions {
  readonly config: string;
  /** The effective settings too. */
  readonly verbose: boolean;
  /** Each problem as a line of JSON with its code, and nothing else. */
  readonly json: boolean;
}

/** Exit code 0, or 78 where there is an error; warnings leave it at 0. */
export function check({ config, verbose, json }: CheckOptions): Promise<number> {
  const loaded = loadConfiguration(config, { isForDaemon: true });
  if (json) {
    for (const problem of loaded.found) stdout(formatJsonLine(problem));
  } else {
    for (const problem of loaded.problems) stdout(problem);
    if (verbose && loaded.settings !== undefined) stdout(describeSettings(loaded.settings));
    stdout(summarise(config, loaded));
  }
  return Promise.resolve(loaded.errors === 0 ? exitCodes.ok : exitCodes.configuration);
}
