// Which synchronous calls of `node:fs` are made: each of them stops everything else until the disk answers.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** The names of the calls that were made until `use` was over; files of the program itself are not among them. */
export async function syncCallsOf(use: () => Promise<unknown>): Promise<readonly string[]> {
  const made: string[] = [];
  const before = new Map<string, unknown>();
  for (const name of Object.keys(fs).filter((each) => each.endsWith('Sync'))) {
    const real: unknown = Reflect.get(fs, name);
    if (typeof real !== 'function') continue;
    before.set(name, real);
    const counted = (...args: unknown[]): unknown => {
      made.push(name);
      return Reflect.apply(real, fs, args);
    };
    Reflect.set(fs, name, Object.assign(counted, real));
  }
  syncBuiltinESMExports();
  try {
    await use();
  } finally {
    for (const [name, real] of before) Reflect.set(fs, name, real);
    syncBuiltinESMExports();
  }
  return made;
}
