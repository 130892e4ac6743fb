// Which program this is: name and version, and the files that come with it, from the package that it was installed with.

import { readFileSync } from 'node:fs';

/** The package's folder as seen from dist/host/program.js, and from build/src/host/program.js in a test build. */
const packages = ['../../', '../../../'] as const;

function readVersion(): string {
  for (const folder of packages) {
    try {
      const found: unknown = JSON.parse(
        readFileSync(new URL(`${folder}package.json`, import.meta.url), 'utf8'),
      );
      if (typeof found === 'object' && found !== null && 'version' in found && 'name' in found) {
        if (found.name === 'dovegate' && typeof found.version === 'string') return found.version;
      }
    } catch {
      // Not there: the next place.
    }
  }
  return '0.0.0';
}

/** The version of the package, such as `0.1.0`. */
export const programVersion: string = readVersion();

/** The text of the shipped preset of that name (`support-desk`); undefined when there is none. */
export function shippedPreset(name: string): string | undefined {
  if (!/^[a-z0-9-]+$/.test(name)) return undefined;
  for (const folder of packages) {
    try {
      return readFileSync(new URL(`${folder}config/presets/${name}.yaml`, import.meta.url), 'utf8');
    } catch {
      // Not there: the next place.
    }
  }
  return undefined;
}
