// Which journal a subcommand of `audit` means: the directory of a configuration, or what was named.
// The rule: of a configuration only the settings are read, and of the files that they name at most the keys of the journal: an auditor may
// read the journal, and not the passwords of backends.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readFromDisk, standardConfig } from '../../adapters/host/program.js';
import { findTrail, type Trail } from '../../adapters/journal/trail.js';
import { printable } from '../../domain/audit/export.js';
import { ownSignKeyName } from '../../domain/audit/signature.js';
import type { AuditSection } from '../../domain/config/parse-settings.js';
import { exitCodes } from '../../ports/exit-codes.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';

/** As they were given on the command line; with neither, the journal of the standard configuration is meant. */
export interface Places {
  readonly config: string | undefined;
  readonly paths: readonly string[];
}

/** The directories and files to read, at least one. Throws a CommandFault. */
export async function pathsOf(screen: Screen, places: Places): Promise<readonly string[]> {
  return (await journalsOf(screen, places)).paths;
}

/** The same, each with all its files. Throws a CommandFault or a JournalFault where none is. */
export async function trailsOf(screen: Screen, places: Places): Promise<readonly Trail[]> {
  return (await pathsOf(screen, places)).map(trailAt);
}

/** As `pathsOf`, with the private key that should have signed; undefined: not known. Throws a CommandFault. */
export async function journalsOf(
  screen: Screen,
  places: Places,
): Promise<{ readonly paths: readonly string[]; readonly signKeyFile: string | undefined }> {
  const { config, paths } = places;
  if (config !== undefined && paths.length > 0) {
    throw new CommandFault(exitCodes.usage, 'give --config FILE or directories, not both');
  }
  if (paths.length > 0) return { paths, signKeyFile: undefined };
  const { directory, signKeyFile } = await auditSection(screen, config);
  return { paths: [directory], signKeyFile };
}

/**
 * `audit` of a configuration. Problems elsewhere are a warning on stderr: auditors need the journal also when the daemon could not start
 * with this file. Without `sign_key`, `signKeyFile` is the one in `state`. Throws a CommandFault with the problems because of which the
 * journal or its keys cannot be found.
 */
export async function auditSection(screen: Screen, config = standardConfig()): Promise<AuditSection> {
  // A journal that is named by its directory needs no reader of YAML, which takes longer to load than a search takes.
  const { findAudit, parseSettings } = await import('../../domain/config/parse-settings.js');
  const { formatProblem } = await import('../../domain/config/problem.js');
  const { settings, problems } = parseSettings(config, readFromDisk);
  const withSignKey = (audit: AuditSection, state: string | undefined): AuditSection =>
    state === undefined ? audit : { signKeyFile: join(state, ownSignKeyName), ...audit };
  if (settings !== undefined) return withSignKey(settings.audit, settings.state);
  const found = findAudit(config, readFromDisk);
  if (found.audit === undefined) {
    const lines = found.problems.map((problem) => formatProblem(problem, found.texts.get(problem.file)));
    throw new CommandFault(exitCodes.configuration, lines.join('\n'));
  }
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const count = errors === 1 ? 'is an error' : `are ${errors} errors`;
  const text = `warning: ${config}: there ${count} (dovegate check prints them); the journal is ${found.audit.directory}`;
  screen.complain(`dovegate: ${printable(text)}`);
  return withSignKey(found.audit, found.state);
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
