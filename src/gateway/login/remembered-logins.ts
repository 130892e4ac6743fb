// Logins that were judged a few minutes ago: who comes again from the same place with the same password is let in without
// another hash. It holds digests only, under a key that nobody knows. It does not know accounts.
// The rules: a changed hash is another login; and a guess that is answered at once must be worth no more than one that
// waits, so whoever was guessed at too often from that place is not remembered there for a while.

import { createKeyedDigest } from '../../domain/identity/keyed-digest.js';

/** What somebody says, and what it is judged by. */
export interface SaidLogin {
  readonly listener: string;
  /** A place on the network. */
  readonly network: string;
  readonly account: string;
  readonly password: Buffer;
  /** The text of the hash that holds now. */
  readonly hash: string;
}

/** One for all listeners; outlives a reload. */
export interface RememberedLogins {
  /** Whether this very login was right lately. A wrong one is counted, where there is a right one. */
  has(login: SaidLogin, nowMs: number): boolean;
  /** It was judged just now, and right. */
  remember(login: SaidLogin, nowMs: number): void;
  readonly size: number;
}

interface Remembered {
  digest: string;
  readonly untilMs: number;
  misses: number;
}

const holdsMs = 5 * 60_000;
/** Of one account from one place. A guess that is judged takes up to seconds; so many are what a day of those gives. */
const missesMax = 1024;
const loginsMax = 4096;

/** Nothing is remembered. */
export function createRememberedLogins(): RememberedLogins {
  const digest = createKeyedDigest();
  /** Oldest first, since each is held for as long. */
  const logins = new Map<string, Remembered>();

  const whoOf = ({ listener, network, account }: SaidLogin): string =>
    digest(['who', listener, network, account]);
  const proofOf = ({ hash, password }: SaidLogin): string => digest(['proof', hash, password]);

  function forget(nowMs: number): void {
    for (const [who, { untilMs }] of logins) {
      if (untilMs > nowMs && logins.size < loginsMax) return;
      logins.delete(who);
    }
  }

  return {
    has(login, nowMs) {
      // Both digests always, so that nobody sees by the time whether there is anything.
      const [who, proof] = [whoOf(login), proofOf(login)];
      const found = logins.get(who);
      if (found === undefined || found.untilMs <= nowMs || found.misses >= missesMax) return false;
      if (found.digest === proof) return true;
      found.misses += 1;
      return false;
    },
    remember(login, nowMs) {
      const [who, proof] = [whoOf(login), proofOf(login)];
      const found = logins.get(who);
      if (found !== undefined && found.untilMs > nowMs) {
        // What was missed stays: else each honest login would give a guesser as many again.
        found.digest = proof;
        return;
      }
      logins.delete(who);
      forget(nowMs);
      logins.set(who, { digest: proof, untilMs: nowMs + holdsMs, misses: 0 });
    },
    get size() {
      return logins.size;
    },
  };
}
