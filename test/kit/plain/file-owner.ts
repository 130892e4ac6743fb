// What all tests of a file share: a daemon that they leave as it was.
import { after } from 'node:test';
import type { Owner } from './folder.js';

/** An owner whose things end after the last test of the file; called at the top of the file. */
export function fileOwner(): Owner {
  const ends: (() => void | Promise<void>)[] = [];
  after(async () => {
    for (const end of ends) await end();
  });
  return { after: (run) => void ends.push(run) };
}
