// The word for a host in the names of a fleet, as a gate and the verifier write it.

/** A regular expression. */
export const hostWordForm = '[A-Za-z0-9-][A-Za-z0-9_-]{0,62}';
const hostPattern = new RegExp(`^${hostWordForm}$`);

/** For hosts and verifiers: no dot, so no path; no `_` at the beginning, as `_verifiers` of a store has. */
export function isHostWord(text: string): boolean {
  return hostPattern.test(text);
}

/** The word for a machine's name: `mail1.example.com` is `mail1_example_com`. Two names may share one. */
export function hostWordOf(name: string): string {
  const word = name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 63);
  return isHostWord(word) ? word : `gate${word}`.slice(0, 63);
}
