// The sockets that systemd handed over, by name, for the listeners that want them. It does not know who serves there.
// The rule: they are systemd's. They are never closed, unlinked or changed; who takes one gets a descriptor of his own, so
// that a listener can be taken away and come back.

import type { PassedSocket } from '../adapters/host/systemd.js';
import { ListenFault } from '../adapters/net/listen.js';
import type { Native } from '../ports/native.js';

/** What a listener is made for. */
export type SocketFamily = 'unix' | 'tcp';

/** Said of a socket that is not of this family. */
export const wrongFamily: Readonly<Record<SocketFamily, string>> = {
  unix: 'is a TCP socket: its listener needs tls and accounts',
  tcp: 'is a UNIX socket (ListenStream= is a path): its listener has neither tls nor accounts',
};

/** What was handed over. */
export interface PassedSockets {
  /** A new descriptor of the listening socket of that name; its taker closes it. Throws a ListenFault. */
  take(name: string, family: SocketFamily): number;
  /** Names of those that nobody took, each once. */
  unused(): readonly string[];
}

/** All that was handed over at start. */
export function createPassedSockets(
  passed: readonly PassedSocket[],
  native: Pick<Native, 'socketKind' | 'duplicate'>,
): PassedSockets {
  const taken = new Set<string>();
  return {
    take(name, family) {
      const [found, ...more] = passed.filter((each) => each.name === name);
      if (found === undefined) {
        const names = passed.map((each) => each.name).join(', ');
        const there = passed.length === 0 ? 'none' : names;
        throw new ListenFault(
          `systemd handed over no socket named ${name} (handed over: ${there}); is its socket unit started?`,
        );
      }
      if (more.length > 0) {
        throw new ListenFault(
          `systemd handed over ${more.length + 1} sockets named ${name}; each needs a FileDescriptorName= of its own`,
        );
      }
      const kind = native.socketKind(found.descriptor);
      if (kind.kind === 'other') throw new ListenFault(`what systemd handed over as ${name} is ${kind.text}`);
      if (kind.family !== family)
        throw new ListenFault(`what systemd handed over as ${name} ${wrongFamily[family]}`);
      taken.add(name);
      return native.duplicate(found.descriptor);
    },
    unused: () => [...new Set(passed.map((each) => each.name))].filter((name) => !taken.has(name)),
  };
}
