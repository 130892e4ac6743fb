// An auth service in the hands of a test: what it was asked, and what it says; over transports in memory.

import type { LookupLimits } from '../../../src/gate/lookup/lookup.js';
import { at, createMemoryDialler, type DialledEnd } from '../../kit/gate/memory-backend.js';

export const authAddress = { kind: 'unix', path: '/run/dovecot/dovegate-userdb' } as const;
export const authGreeting = 'VERSION\t1\t3\nSPID\t25893\n';

/** Small and round. */
export const lookupLimitsForTests: LookupLimits = {
  lineBytesMax: 1_000,
  fieldsMax: 20,
  greetingTimeoutMs: 1_000,
  lingerMs: 5_000,
  lateMax: 8,
  questionTimeoutMs: 10_000,
  queueMax: 6,
  inFlightMax: 4,
  foundTtlMs: 3_000,
  notFoundTtlMs: 1_000,
  rememberedMax: 100,
  rememberedBytesMax: 1024 ** 2,
};

/** Greets every dial at once. */
export function scriptAuthService(greeting = authGreeting) {
  const dialler = createMemoryDialler();
  dialler.onAccept(({ peer }) => peer.send(greeting));
  /** The transport of that number, from 0; -1 is the newest. */
  const end = (index: number): DialledEnd => at(dialler.ends, index);
  /** All questions of it, in order; whoever asks otherwise than `service=doveadm`, or says no VERSION first, fails the test. */
  const heard = (index: number) => {
    const [version, ...lines] = end(index).peer.received().toString().split('\n');
    if (version !== 'VERSION\t1\t1') throw new Error(`began with ${JSON.stringify(version)}`);
    return lines.slice(0, -1).map((line) => {
      const [command = '', id = '', user = '', ...rest] = line.split('\t');
      if (rest.join() !== 'service=doveadm') throw new Error(`asked ${JSON.stringify(line)}`);
      return { command, id, user };
    });
  };
  return {
    dialler,
    end,
    heard,
    /** Answers the question about that user: `NOTFOUND`, or a line of which ID and USER are replaced. */
    reply(index: number, user: string, line: string): void {
      const question = heard(index).findLast((each) => each.user === user);
      if (question === undefined) throw new Error(`nobody asked for ${user}`);
      const text = line === 'NOTFOUND' ? 'NOTFOUND\tID' : line;
      end(index).peer.send(`${text.replace('ID', question.id).replaceAll('USER=', 'user=')}\n`);
    },
  };
}
