// Names of the fleet that a configuration of one gate has, too.

/** The stream of the checkpoints, and the prefix of the names of the others. */
export const defaultStream = 'DOVEGATE_AUDIT';
/** The user who reads all of them. No host may have this name: its answers would go to the verifier's subjects. */
export const verifierName = 'verifier';
/** Of hosts and verifiers. */
const hostPattern = /^[A-Za-z0-9_-]{1,63}$/;

/** One token of a subject: no dot, no wildcard. */
export function isHostWord(text: string): boolean {
  return hostPattern.test(text);
}

/** The token for a machine's name: `mail1.example.com` is `mail1_example_com`. Two names may share a token. */
export function hostWordOf(name: string): string {
  const word = name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 63) || 'gate';
  return word === verifierName ? `gate_${word}` : word;
}
