// Real time that a clock turned by hand has to wait for.

import type { Transform } from 'node:stream';
import { Gzip } from 'node:zlib';
import { settle } from './fake-clock.js';

/** What compresses or inflates now; nothing else says that this goes on. */
const squeezing = new Set<Transform>();
const streams: Pick<Transform, '_transform'> = Object.getPrototypeOf(Object.getPrototypeOf(Gzip.prototype));
const transform = streams._transform;
streams._transform = function (this: Transform, piece, encoding, done) {
  squeezing.add(this);
  // One that finds more than it may have ends without a word.
  this.once('close', () => squeezing.delete(this));
  transform.call(this, piece, encoding, (fault, data) => {
    squeezing.delete(this);
    done(fault, data);
  });
};

/** Resolves when this process reads and writes no file, compresses nothing, and what came of that has run. */
export async function idle(): Promise<void> {
  do await settle();
  while (
    squeezing.size > 0 ||
    process.getActiveResourcesInfo().some((name) => /^FSReq|CloseReq$/.test(name))
  );
}
