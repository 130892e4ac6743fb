// Which program this is: name and version, and the texts that ship beside it in the package that it was installed with.

import { readFileSync } from 'node:fs';

/** dist/host/program.js in the package; build/src/host/program.js in a test build. */
const packageRoots = ['../../', '../../../'] as const;

/** A text of the package, by its path there; undefined: there is none. */
function packageText(path: string): string | undefined {
  for (const root of packageRoots) {
    try {
      return readFileSync(new URL(`${root}${path}`, import.meta.url), 'utf8');
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

/** The text of a shipped preset; undefined: there is none of that name. */
export function presetText(name: string): string | undefined {
  return /^[a-z0-9-]+$/.test(name) ? packageText(`config/presets/${name}.yaml`) : undefined;
}
