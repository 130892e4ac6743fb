// Which program this is, and where it runs: its version and files, from the package that it was installed with; host, process and its limits.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { listFiles, readText } from './files.js';

/** The package's folder as seen from dist/adapters/host/program.js, and from build/src/adapters/host/program.js in a test build. */
const folders = [new URL('../../../', import.meta.url), new URL('../../../../', import.meta.url)];

/** A text of the package, by its path there; undefined: there is none. */
function packageText(path: string): string | undefined {
  for (const folder of folders) {
    try {
      return readFileSync(new URL(path, folder), 'utf8');
    } catch {
      // Not there: the next place.
    }
  }
  return undefined;
}

function readVersion(): string {
  const found: unknown = JSON.parse(packageText('package.json') ?? '{}');
  const hasVersion = typeof found === 'object' && found !== null && 'version' in found;
  return hasVersion && typeof found.version === 'string' ? found.version : '0.0.0';
}

/** The version of the package, such as `0.1.0`. */
export const programVersion: string = readVersion();

/** What this machine calls itself now. */
export function hostName(): string {
  return hostname();
}

/** Of this process. */
export const processId: number = process.pid;

/** The text of the shipped preset of that name (`support-desk`); undefined when there is none. */
function shippedPreset(name: string): string | undefined {
  return /^[a-z0-9-]+$/.test(name) ? packageText(`config/presets/${name}.yaml`) : undefined;
}

/** How a configuration is read: its files from the disk, presets from the package. */
export const readFromDisk = { readText, glob: listFiles, presetText: shippedPreset };

/** The configuration where no option names one: that of DOVEGATE_CONFIG, else the one of the standard place. */
export function standardConfig(): string {
  const named = process.env['DOVEGATE_CONFIG'];
  return named === undefined || named === '' ? '/etc/dovegate/dovegate.yaml' : named;
}

/** The same, for `--help`. */
export const standardConfigHelp = '$DOVEGATE_CONFIG, else /etc/dovegate/dovegate.yaml';

/** Descriptors that the process may have open at once; undefined: not known. */
export function descriptorsMax(): number | undefined {
  try {
    const text = readFileSync('/proc/self/limits', 'utf8');
    const found = /^Max open files\s+(\d+)/m.exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}
