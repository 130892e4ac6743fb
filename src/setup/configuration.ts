// Reads a configuration from the disk and prints what is wrong with it. It does not know what is done with settings.

import { gidsOf, ourselves } from '../adapters/host/accounts.js';
import { systemClock } from '../adapters/host/clock.js';
import { ownerOf, readIfThere, whyUnreadable } from '../adapters/host/files.js';
import { readFromDisk } from '../adapters/host/program.js';
import { credentialsFolder } from '../adapters/host/systemd.js';
import { trustedByUs, type Unsafe, whyUnsafe } from '../adapters/host/trusted-path.js';
import { plain } from '../cli/output/output.js';
import { parseSettings } from '../domain/config/parse-settings.js';
import { formatProblem, type Problem } from '../domain/config/problem.js';
import type { Settings } from '../domain/config/settings.js';
import { inspectCertificates } from './inspect-certificates.js';
import { inspectFiles } from './inspect-files.js';
import { inspectModes } from './inspect-modes.js';
import { inspectSignKey } from './inspect-sign-key.js';
import { inspectAccounts } from './peers.js';

/** Settings, if there is no error; and every problem as text, warnings too. */
export interface LoadedConfiguration {
  readonly settings: Settings | undefined;
  readonly problems: readonly string[];
  /** The same as values. */
  readonly found: readonly Problem[];
  readonly errors: number;
}

/** What is looked at besides the configuration itself. */
export interface LoadOptions {
  /** Whether to ask the system for the numbers of accounts, which may take seconds; default as `asksForFiles`. */
  readonly asksForAccounts?: boolean;
  /** Whether to ask for the files that the settings name, as passwords; default true. Who only judges needs none of them. */
  readonly asksForFiles?: boolean;
  /**
   * Whether the daemon may be another user than this process: the owner of its audit directory then counts as the daemon too, and may own
   * the files. Default false.
   */
  readonly isForDaemon?: boolean;
}

/** Reads `file` and what it includes. Never throws: what fails is a problem. */
export function loadConfiguration(file: string, options: LoadOptions = {}): LoadedConfiguration {
  const parsed = parseSettings(file, readFromDisk, { nowMs: systemClock.wallMs() });
  const problems = [...parsed.problems];
  // Who looks at files knows settings only, which are without the places of single values.
  const placed = (problem: Problem): Problem => ({ ...problem, ...parsed.valueAt(problem.path) });
  if (options.asksForFiles !== false) {
    const trusted = trustedByUs(options.isForDaemon === true ? ownersOf(parsed.settings) : []);
    const why = (path: string, isSecret: boolean): Unsafe | undefined => whyUnsafe(path, isSecret, trusted);
    problems.push(...inspectModes(parsed.files, parsed.settings, why).map(placed));
  }
  if (parsed.settings !== undefined && options.asksForFiles !== false)
    problems.push(
      ...[
        ...inspectSignKey(parsed.settings, readIfThere),
        ...inspectFiles(parsed.settings, whyUnreadable, credentialsFolder()),
        ...inspectCertificates(parsed.settings.listeners, systemClock.wallMs(), credentialsFolder()),
        ...(options.asksForAccounts === false ? [] : inspectAccounts(parsed.settings, ourselves())),
      ].map(placed),
    );
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  return {
    settings: errors === 0 ? parsed.settings : undefined,
    problems: problems.map((problem) => formatProblem(shown(problem), parsed.texts.get(problem.file))),
    found: problems,
    errors,
  };
}

/** Values of the configuration stand in its messages and paths. */
function shown(problem: Problem): Problem {
  const { file, path, message } = problem;
  return { ...problem, file: plain(file), path: plain(path), message: plain(message) };
}

/** The user that the journal belongs to, with its groups: whoever ran the daemon before. */
function ownersOf(settings: Settings | undefined): readonly { uid: number; gids: readonly number[] }[] {
  const uid = settings && ownerOf(settings.audit.directory);
  return uid === undefined ? [] : [{ uid, gids: gidsOf(uid) }];
}

/** The sentence below a list of problems. */
export function summarise(file: string, loaded: LoadedConfiguration): string {
  const warnings = loaded.problems.length - loaded.errors;
  const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
  if (loaded.problems.length === 0) return `${file}: no problems`;
  return `${file}: ${plural(loaded.errors, 'error')}, ${plural(warnings, 'warning')}`;
}
