// A listener by TCP beside the sound configuration of test/domain/config; the tests of this folder change its keys.
import { sound } from './sound.js';

/** A hash of the cost that `hash-password` gives; of nobody knows what. */
export const hash = `scrypt$32768$8$1$${Buffer.alloc(16, 'salt').toString('base64')}$${Buffer.alloc(32, 'hash').toString('base64')}`;

const keys = {
  tcp: 'tcp: "0.0.0.0:24246"',
  tls: 'tls: { mode: starttls, certificate: tls.crt, key: tls.key, client_ca: ca.crt }',
  accounts: `accounts: { migrator: { password_hash: "${hash}", policy: support }, backup: { certificate_name: b.example.com, policy: support } }`,
};

/**
 * The sound configuration with a listener `jobs` in line 4, whose keys stand from line 5 on, one a line; `first` comes before all of
 * them and takes the place of the one that it names. An empty text for one of `without` leaves a key out.
 */
export function withJobs(first: string, without: readonly (keyof typeof keys)[] = []): string {
  const lines = [
    first,
    ...Object.entries(keys).flatMap(([key, text]) => {
      const isNamed = first.startsWith(`${key}:`) || without.some((each) => each === key);
      return isNamed ? [] : [text];
    }),
  ];
  const jobs = lines
    .filter((line) => line !== '')
    .map((line) => `    ${line}\n`)
    .join('');
  return sound.replace('backends:', `  jobs:\n${jobs}backends:`);
}
