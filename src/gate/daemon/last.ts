// Loads the configuration that was served last, for a start whose file has problems, as a reload keeps the old one. The copy is in `state`,
// where only the daemon's user and root write. It must have the hash that the journal names last: a copy that is from a backup, incomplete,
// or read differently by this release has another one. Only such a start loads this module.

import { bounds } from '../../host/bounds/bounds.js';
import { readIfThere } from '../../host/machine/files.js';
import { packaged } from '../../host/machine/packaged.js';
import { readFromDisk } from '../../host/machine/process.js';
import { messageOf } from '../../host/ports/faults.js';
import { readEndLine } from '../../journal/files/kept-end.js';
import { checkpointName, readIn } from '../../journal/files/segments.js';
import { keptName, readKept } from '../../rules/config/kept-files.js';
import { findSettings } from '../../rules/config/parse-settings.js';
import { loadConfiguration } from '../../rules/setup/configuration.js';
import type { LoadedConfiguration } from '../../rules/setup/inspect.js';

/** Returns undefined if there is no copy, and a string if it cannot be served: the reason. */
export function loadLast(
  file: string,
  refused: LoadedConfiguration,
): LoadedConfiguration | string | undefined {
  const { state } = findSettings(file, readFromDisk).settings ?? packaged;
  const path = `${state}/${keptName}`;
  try {
    const text = readIfThere(path, bounds.configurationFileBytes);
    if (text === undefined) return undefined;
    const kept = readKept(text);
    if (kept?.file !== file)
      return `${path} ${kept === undefined ? 'is damaged' : `is that of ${kept.file}`}`;
    const last = loadConfiguration(file, {}, { path, read: kept.read });
    const { settings } = last;
    if (settings === undefined) return `${path}: ${errorsOf(last).join('\n')}`;
    const { directory } = settings.audit;
    const { version } = readEndLine(readIn(directory, checkpointName)?.trimEnd()) ?? {};
    if (version !== settings.hash)
      return `${path} is read as configuration ${settings.hash}, and the journal in ${directory} ends with ${version ?? 'none'}: it is from a backup, of another release, or damaged`;
    return { ...last, kept: undefined, last: { problems: errorsOf(refused), readMs: kept.readMs } };
  } catch (fault) {
    return messageOf(fault);
  }
}

function errorsOf({ problems, found }: LoadedConfiguration): readonly string[] {
  return problems.filter((_, at) => found[at]?.severity === 'error');
}
