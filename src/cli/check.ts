// `dovegate check`: every problem of a configuration, all at once.

import { exitCodes } from '../terminal/exit-codes.js';
import { stdout } from '../terminal/output.js';
import { loadConfiguration, summarise } from './configuration.js';
import { describeSettings } from './describe-settings.js';

/** Exit code 0, or 78 where there is an error; warnings leave it at 0. */
export function check(options: { readonly config: string; readonly verbose: boolean }): Promise<number> {
  const loaded = loadConfiguration(options.config);
  for (const problem of loaded.problems) stdout(problem);
  if (options.verbose && loaded.settings !== undefined) stdout(describeSettings(loaded.settings));
  stdout(summarise(options.config, loaded));
  return Promise.resolve(loaded.errors === 0 ? exitCodes.ok : exitCodes.configuration);
}
