// Which journal a subcommand of `audit` means: the directory of a configuration, or what was named.
// The rule: of a configuration only the settings are judged, never the files that they name: an auditor may read the
// journal, and not the passwords of backends.

import { readFileSync, statSync } from 'node:fs';
import { parseSettings } from '../config/parse-settings.js';
import type { AuditSettings } from '../config/settings.js';
import { listFiles, readText } from '../host/files.js';
import { findTrail, type Trail } from '../segments/trail.js';
import { formatProblem } from '../source/problem.js';
import { CommandFault } from '../terminal/command-fault.js';
import { exitCodes } from '../terminal/exit-codes.js';

/** As they were given on the command line. */
export interface Places {
  readonly config: string | undefined;
  readonly paths: readonly string[];
}

/** The directories and files that are meant, at least one. Throws a CommandFault. */
export function pathsOf(places: Places): readonly string[] {
  const { config, paths } = places;
  if (config !== undefined && paths.length > 0) {
    throw new CommandFault(exitCodes.usage, 'give --config FILE or directories, not both');
  }
  if (config !== undefined) return [auditSettings(config).directory];
  if (paths.length === 0)
    throw new CommandFault(exitCodes.usage, 'say which journal: --config FILE, or a directory');
  return paths;
}

/** `audit` of a configuration. Throws a CommandFault that holds every problem. */
export function auditSettings(config: string): AuditSettings {
  const { settings, problems, texts } = parseSettings(config, { readText, glob: listFiles });
  if (settings !== undefined) return settings.audit;
  const errors = problems.filter(({ severity }) => severity === 'error');
  const lines = errors.map((problem) => formatProblem(problem, texts.get(problem.file)));
  throw new CommandFault(exitCodes.configuration, lines.join('\n'));
}

/** The trail of one place. Throws a CommandFault or a JournalFault where none is. */
export function trailAt(path: string): Trail {
  const trail = findTrail([path]);
  if (trail.files.length === 0 && trail.kept.length === 0) {
    throw new CommandFault(exitCodes.configuration, `${path} holds no journal`);
  }
  return trail;
}

/** Whether it is there, and a directory. Throws a CommandFault. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, error);
  }
}

/** No key file is longer, and no part of a log that somebody looked a checkpoint up in. */
const textBytesMax = 1 << 20;

/** A small file, whole. Throws a CommandFault. */
export function readSmallFile(path: string): string {
  try {
    if (statSync(path).size <= textBytesMax) return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, error);
  }
  throw new CommandFault(exitCodes.configuration, `${path} is longer than ${textBytesMax} bytes`);
}
