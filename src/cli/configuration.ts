// Reads a configuration from the disk and prints what is wrong with it. It does not know what is done with settings.

import { parseSettings } from '../config/parse-settings.js';
import { formatProblem } from '../config/problem.js';
import type { Settings } from '../config/settings.js';
import { listFiles, readText, whyUnreadable } from '../host/files.js';
import { presetText } from '../host/program.js';
import { inspectFiles } from './inspect-files.js';

/** Settings, if there is no error; and every problem as text, warnings too. */
export interface LoadedConfiguration {
  readonly settings: Settings | undefined;
  readonly problems: readonly string[];
  readonly errors: number;
}

/**
 * Reads `file` and what it includes, and asks for every file that the settings name. Never throws: what fails is a
 * problem.
 */
export function loadConfiguration(file: string): LoadedConfiguration {
  const parsed = parseSettings(file, { readText, glob: listFiles, presetText });
  const problems = [...parsed.problems];
  if (parsed.settings !== undefined) problems.push(...inspectFiles(parsed.settings, whyUnreadable));
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  return {
    settings: errors === 0 ? parsed.settings : undefined,
    problems: problems.map((problem) => formatProblem(problem, parsed.texts.get(problem.file))),
    errors,
  };
}

/** The sentence below a list of problems. */
export function summarise(file: string, loaded: LoadedConfiguration): string {
  const warnings = loaded.problems.length - loaded.errors;
  const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
  if (loaded.problems.length === 0) return `${file}: no problems`;
  return `${file}: ${plural(loaded.errors, 'error')}, ${plural(warnings, 'warning')}`;
}
