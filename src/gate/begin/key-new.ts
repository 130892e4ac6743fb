// `dovegate key new`: makes a key for a program that uses HTTP, and prints its lines for a configuration. The key is printed once, on
// stdout; the configuration gets only its hash.

import { randomBytes, systemClock } from '../../host/machine/clock.js';
import { CommandFault, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { parseNetwork } from '../../host/ports/peer.js';
import { formatTime, parseInstant } from '../../host/words/instants.js';
import { formatJson } from '../../host/words/text.js';
import { hashKey, keyBytes, makeKey } from '../../rules/keys/key.js';

export interface KeyNewOptions {
  readonly policy?: string;
  /** A day, a time, or `never`; default: a year from now. */
  readonly expires?: string;
  readonly from?: readonly string[];
  readonly json: boolean;
}

const dayMs = 86_400_000;
const daysDefault = 365;

/** Exit code 0. Throws a CommandFault for a name, a policy, a day or a network that no configuration would accept. */
export function keyNew(name: string, options: KeyNewOptions): number {
  const { policy = name, from = [], json } = options;
  checkName('name of a key', name);
  checkName('name of a policy', policy);
  for (const network of from) checkNetwork(network);
  const expires = expiryOf(options.expires);
  const key = makeKey(randomBytes(keyBytes));
  const hash = hashKey(key);
  if (json) {
    stdout(formatJson({ name, key, hash, policy, expires, from: from.length === 0 ? undefined : from }));
    return exitCodes.ok;
  }
  const terms = [
    `hash: "${hash}"`,
    `policy: ${policy}`,
    ...(expires === undefined ? [] : [`expires: ${expires}`]),
    ...(from.length === 0 ? [] : [`from: [${from.map((each) => JSON.stringify(each)).join(', ')}]`]),
  ];
  stdout(key);
  stdout(`${name}: { ${terms.join(', ')} }`);
  stderr('The first line is the key, for the program: it is not shown again.');
  stderr('The second line goes below listeners.NAME.keys of the configuration; then reload.');
  return exitCodes.ok;
}

function wrong(text: string): CommandFault {
  return new CommandFault(exitCodes.usage, text);
}

function checkName(what: string, name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return;
  const shape = '1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit';
  throw wrong(`a ${what} is ${shape}; ${JSON.stringify(name)} is not`);
}

function checkNetwork(text: string): void {
  const network = parseNetwork(text);
  if (network?.isFirst === true) return;
  const why =
    network === undefined
      ? 'is no address or network, as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32'
      : 'has bits set beyond its length; give the first address of the network';
  throw wrong(`--from ${JSON.stringify(text)} ${why}`);
}

/** The time as a configuration has it; undefined: never. */
function expiryOf(text: string | undefined): string | undefined {
  const nowMs = systemClock.wallMs();
  if (text === 'never') return undefined;
  if (text === undefined) return formatTime(nowMs + daysDefault * dayMs).slice(0, 10);
  const ms = parseInstant(text);
  if (ms === undefined)
    throw wrong(
      `--expires ${JSON.stringify(text)} is no day or time: 2027-06-30, 2027-06-30T18:00:00Z, or never`,
    );
  if (ms <= nowMs) throw wrong(`--expires ${text} is in the past`);
  return text;
}
