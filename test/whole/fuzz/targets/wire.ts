// The doveadm protocol, from clients and from backends.

import { WireFault } from '../../../../src/host/ports/faults.js';
import { seededRandom } from '../../../kit/plain/chunkings.js';
import { faultOr, type Target } from '../campaign/target.js';
import { answered, asked, corpora, type Subject, subjects, tokens } from './wire-subjects.js';

const isWireFault = (error: unknown): string | undefined =>
  error instanceof WireFault ? error.code : undefined;

/** By the name of the target: the subject, and what is read by it. */
const names: Readonly<Record<string, readonly [subject: string, what: string]>> = {
  'client-session': ['a whole session', 'a client: handshake, command lines and their input'],
  'client-handshake': ['accept', 'a client: the handshake'],
  'client-lines': ['lines', 'a client: lines of a session'],
  'client-command': ['command', 'a client: one command line'],
  'client-plain': ['plain', 'a client: name and password in base64'],
  'client-text': ['dot', 'a client: a text that ends with a dot'],
  escapes: ['escape', 'anybody: a field with escapes'],
  'backend-session': ['a whole upstream', 'a backend: handshake, channels, replies and log'],
  'backend-handshake': ['dial', 'a backend: the handshake'],
  'backend-version': ['version', 'a backend: its VERSION line'],
  'backend-reply': ['reply', 'a backend: replies'],
  'backend-status': ['status', 'a backend: one status line'],
  'backend-cells': ['cells', 'a backend: the cells of a reply'],
  'backend-unframed': ['framing none', 'a backend: the only channel of the oldest clients'],
  'backend-packets': ['framing packet', 'a backend: channels of old clients'],
  'backend-stream': ['framing stream', 'a backend: channels with escapes'],
  'backend-log': ['log', 'a backend: the log channel'],
};

/** They take what a splitter of lines gives them. */
const whole = new Set(['escape', 'version', 'plain', 'status', 'command']);
/** Steps of a handshake, and codes of statuses; a body says nothing new. */
const telling = new Set(['a whole session', 'accept', 'dial', 'a whole upstream', 'status', 'version']);

function targetOf(name: string, subject: Subject, of: string, what: string): Target {
  const known = corpora[of] ?? [...asked, ...answered];
  return {
    name,
    what,
    bytesMax: 2048,
    // The option byte of a seed is any one.
    seeds: () =>
      known.map((bytes, at) => Buffer.concat([Buffer.of(Math.floor(seededRandom(at)() * 256)), bytes])),
    tokens,
    hasOptions: true,
    isWhole: whole.has(of),
    run: (chunks, random, hold) => faultOr(isWireFault, () => subject(chunks, random, hold)),
    ...(telling.has(of) && { kind: (answer) => answer.replaceAll(/\d+/g, '0').slice(0, 80) }),
  };
}

export const wireTargets: readonly Target[] = Object.entries(names).map(([name, [of, what]]) => {
  const subject = subjects[of];
  if (subject === undefined) throw new Error(`no subject ${of}`);
  return targetOf(name, subject, of, what);
});
