// What the system lets this process have. It does not know what it is needed for.

import { readFileSync } from 'node:fs';

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
