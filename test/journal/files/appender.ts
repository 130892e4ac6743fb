// A program to be killed: opens the journal of its first argument and lets many clients run exchanges as fast as the disk
// allows. It prints `open` when the start record is on disk, then the id of each exchange at the instant at which its
// command would go to a backend: with a plain write, so that what the kernel took survives the kill.

import { writeSync } from 'node:fs';
import { admission, completion, openWatched } from './opening.js';

const directory = process.argv[2] ?? '';
const name = process.argv[3] ?? 'x';
const clients = Number(process.argv[4] ?? 16);

const bell = new Int32Array(new SharedArrayBuffer(4));

/** A pipe whose reader is late takes no more for a moment, and says so instead of waiting. */
function print(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN')) throw cause;
      Atomics.wait(bell, 0, 0, 1);
    }
  }
}

const { journal } = await openWatched(directory, { segmentBytes: 65_536 });
print('open\n');
await Promise.all(
  Array.from({ length: clients }, async (_, client) => {
    for (let count = 0; ; count += 1) {
      const id = `${name}-${client}-${count}`;
      await journal.appendDurable(admission(id));
      print(`${id}\n`);
      journal.append(completion(id));
    }
  }),
);
