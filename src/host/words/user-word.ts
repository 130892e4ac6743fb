// Users and groups of this host as the configuration and /etc/subuid write them: by name, or by number.

/** Ids have 32 bits, and the last one means "no change" to chown: a socket would silently stay root's. */
export const idMax = 2 ** 32 - 2;

/** The number that such a word is; `id` is undefined where the kernel has no such id. Undefined: the word is a name. */
export function numberIn(word: string): { readonly id: number | undefined } | undefined {
  if (!/^\d+$/.test(word)) return undefined;
  return { id: Number(word) <= idMax ? Number(word) : undefined };
}

/** Why such a word is invalid; undefined: it is valid. Two spellings of one user would count as two users. */
export function whyNoUser(word: string): string | undefined {
  const number = numberIn(word);
  if (number === undefined || String(number.id) === word) return undefined;
  return number.id === undefined ? `no system has the number ${word}` : `write it as ${number.id}`;
}

/** A user as an identity: `uid:1001`, or `user:carol` while its uid is not known. */
export function identityOfUser(user: string): string {
  return `${numberIn(user) === undefined ? 'user' : 'uid'}:${user}`;
}
