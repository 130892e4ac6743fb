// The name service of a machine without a directory, and the system's programs for tests of one.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accountFiles } from '../../../src/host/machine/account-files.js';
import { createNameService } from '../../../src/host/machine/name-service.js';
import type { UserUids } from '../../../src/rules/identity/person.js';
import { createFakeClock } from './fake-clock.js';
import { type Owner, openFolder } from './folder.js';

/** The files of this machine are all that it knows. */
export const withoutDirectory = createNameService(createFakeClock(), accountFiles, {
  hasGetent: false,
  ask: () => Promise.resolve({ kind: 'none' }),
  close: () => undefined,
});

export interface FakePrograms {
  /** Its value of `PATH`. */
  readonly path: string;
  /** Replaces the text of a program; `$1` and following are its arguments. */
  write(name: string, script: string): void;
}

/** Programs of a test that are found before those of the system. */
export function fakePrograms(owner: Owner): FakePrograms {
  const folder = join(openFolder(owner), 'bin');
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  return {
    path: `${folder}:${process.env['PATH'] ?? ''}`,
    write: (name, script) => writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 }),
  };
}

/** Changes the search path of this process for the time of the test. */
export function searchIn(owner: Owner, path: string): void {
  const before = process.env['PATH'];
  process.env['PATH'] = path;
  owner.after(() => {
    process.env['PATH'] = before;
  });
}

/** Users with these uids, and no others. */
export function knownUids(uids: Readonly<Record<string, number>>): UserUids {
  return {
    uidsOf: (name) => [uids[name] ?? []].flat(),
    uidOf: (name) => uids[name],
    isUnknown: () => false,
  };
}
