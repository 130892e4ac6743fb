// Reads a configuration from the disk in one go, with the findings about this machine: for commands, and for a daemon that serves nobody
// yet. It loads the parser; a process that serves clients uses configuration-beside.ts.

import { systemClock } from '../../host/machine/clock.js';
import { readFromDisk } from '../../host/machine/process.js';
import { keeping } from '../config/kept-files.js';
import { parseSettings, reportProblems } from '../config/parse-settings.js';
import type { ReadFiles } from '../config/read-files.js';
import {
  inspect,
  type LoadedConfiguration,
  type LoadOptions,
  loadedOf,
  withJournalGroup,
} from './inspect.js';

/** Reads `file` and its includes, or the copy of them at `path`. Never throws: failures are problems. */
export function loadConfiguration(
  file: string,
  options: LoadOptions = {},
  copy?: { readonly path: string; readonly read: ReadFiles },
): LoadedConfiguration {
  const nowMs = systemClock.wallMs();
  const kept = keeping(copy?.read ?? readFromDisk);
  const parsed = parseSettings(file, kept.read, { nowMs, checkBeside: options.checkBeside });
  const settings = parsed.settings && withJournalGroup(parsed.settings);
  const files = copy === undefined ? parsed.files : new Map([[copy.path, undefined]]);
  const inspected = [...inspect(settings, files, options)].flat();
  return loadedOf(settings, reportProblems(parsed, inspected), kept.text(file, nowMs));
}
