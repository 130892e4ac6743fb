// A listener by TCP beside the sound configuration of test/rules/config; the tests of this folder change its keys.
import assert from 'node:assert/strict';
import { hashKey } from '../../../src/rules/keys/key.js';
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

const pin = Buffer.alloc(32, 'ab', 'hex');
const values = new Map([
  ['<hash>', hash],
  ['<cheap>', hash.replace('32768', '4096')],
  ['<key>', hashKey('first')],
  ['<KEY>', hashKey('first').toUpperCase()],
  ['<second>', hashKey('second')],
  ['<third>', hashKey('third')],
  ['<pin>', `sha256:${pin.toString('hex')}`],
  ['<PIN>', `sha256:${pin.toString('hex').toUpperCase()}`],
  ['<pin64>', `sha256:${pin.toString('base64')}`],
  ['<pin63>', `sha256:${pin.toString('base64').replace('=', '')}`],
  ['<otherpin>', `sha256:${'cd'.repeat(32)}`],
  ['<public>', `${'A'.repeat(43)}=`],
  // Of the language itself.
  ['<user>', '<user>'],
]);

/** A table with the values that are longer than a line may be. */
export const filled = (text: string): string =>
  text.replaceAll(/<\w+>/g, (value) => values.get(value) ?? assert.fail(value));
/** Hashes of passwords and digests, as the names of what they are made from. */
export const shortened = (text: string): string =>
  [...values].reduce((left, [name, value]) => left.replaceAll(value.replace(/^sha256[:$]/, ''), name), text);

/** A text, changed as a table says it: `10| line` is line 10 then, `9-10| line` stands for both, `| line` comes behind. */
export function changed(text: string, changes: string): string {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => [line]);
  let at = 0;
  for (const [, first = '', last = first, line = ''] of changes.matchAll(/^(\d*)(?:-(\d+))?\| ?(.*)/gm)) {
    if (first !== '') at = Number(first) - 1;
    for (let gone = at; gone < Number(last); gone += 1) lines[gone] = [];
    lines[at]?.push(line);
  }
  return `${lines.flat().join('\n')}\n`;
}
