// Reads a configuration from the disk in one go, with what this machine says of it: for commands, and for a daemon that serves nobody. It
// loads the parser; who serves clients reads beside (configuration-beside.ts).

import { systemClock } from '../adapters/host/clock.js';
import { readFromDisk } from '../adapters/host/process.js';
import { parseSettings, reportProblems } from '../domain/config/parse-settings.js';
import { inspect, type LoadedConfiguration, type LoadOptions, loadedOf } from './inspect.js';

/** Reads `file` and its includes. Never throws: failures are problems. */
export function loadConfiguration(file: string, options: LoadOptions = {}): LoadedConfiguration {
  const parsed = parseSettings(file, readFromDisk, { nowMs: systemClock.wallMs() });
  const inspected = [...inspect(parsed.settings, parsed.files, options)].flat();
  return loadedOf(parsed.settings, reportProblems(parsed, inspected));
}
