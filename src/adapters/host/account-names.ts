// Names of uids for those who serve: nobody waits for a directory on the event loop, and what was found is remembered.
// It does not know who asks. The rule: a directory that does not answer costs a name, never a session.

import type { Clock } from '../../ports/clock.js';
import { askLater, localUserName, nameIn } from './accounts.js';

/** Names of uids. */
export interface AccountNames {
  /** The system's name; undefined: it has none, or the directory does not answer. Never rejects. */
  userName(uid: number): Promise<string | undefined>;
}

/** How a directory is asked: the lines about a uid, as /etc/passwd has them; empty where there is none or no answer. Never rejects. */
export type AskDirectory = (uid: number) => Promise<readonly string[]>;

const askSystem: AskDirectory = (uid) => askLater('passwd', String(uid));

/** How long an answer is remembered, and of how many uids. */
const rememberedMs = 60_000;
const rememberedMax = 1_000;

/** Remembers nothing yet. */
export function createAccountNames(clock: Clock, askDirectory: AskDirectory = askSystem): AccountNames {
  /** The answer may still be on its way: everybody who asks meanwhile waits for the same one. */
  const known = new Map<number, { readonly name: Promise<string | undefined>; readonly askedMs: number }>();
  return {
    userName(uid) {
      const nowMs = clock.now();
      const before = known.get(uid);
      if (before !== undefined && nowMs - before.askedMs < rememberedMs) return before.name;
      const local = localUserName(uid);
      const name =
        local === undefined ? askDirectory(uid).then((lines) => nameIn(lines, uid)) : Promise.resolve(local);
      known.delete(uid);
      if (known.size >= rememberedMax) forgetOldest();
      known.set(uid, { name, askedMs: nowMs });
      return name;
    },
  };

  function forgetOldest(): void {
    const [oldest] = known.keys();
    if (oldest !== undefined) known.delete(oldest);
  }
}
