// Owns the choice of one backend out of several for a user: rendezvous hashing. Each backend has a score for each user, and the
// highest wins; so a backend that is added takes its share from all, one that is removed gives its users to all others, and
// nobody else moves. Pure. The rule: the score never changes with a release, since users would move to other backends.

/** The one of `backends`, which are not empty, that this user belongs to. Their order does not matter. */
export function chooseByRendezvous(user: string, backends: readonly string[]): string {
  let best: string | undefined;
  let bestScore = -1;
  for (const backend of backends) {
    const score = scoreOf(`${backend}\0${user}`);
    // Equal scores are for the smaller name: the order of the list must not count.
    if (score > bestScore || (score === bestScore && best !== undefined && backend < best)) {
      best = backend;
      bestScore = score;
    }
  }
  if (best === undefined) throw new Error('a choice of no backend');
  return best;
}

/** FNV-1a over the UTF-8 bytes, then the finaliser of MurmurHash3, since FNV alone leaves near names near: 0 to 2^32 - 1. */
function scoreOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
