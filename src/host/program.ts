// Which program this is: name and version, from the package that it was installed with.

import { readFileSync } from 'node:fs';

function readVersion(): string {
  // dist/host/program.js in the package; build/src/host/program.js in a test build.
  for (const place of ['../../package.json', '../../../package.json']) {
    try {
      const found: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'));
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
