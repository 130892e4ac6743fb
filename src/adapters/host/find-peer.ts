// What is known of somebody who connects a socket: at the accept what decides, at once after it what is only written
// down. It does not know what is decided.

import type { Peer } from '../../domain/identity/peer.js';
import type { Clock } from '../../ports/clock.js';
import type { Native } from '../../ports/native.js';
import { createAccountNames } from './account-names.js';
import { clockTicks, createRecentProcesses, readPeerProcess } from './peer-process.js';

/** A peer, and how to learn the rest: to be called within the turn of the accept. */
export interface Arrival {
  /** With the kernel's numbers; nothing but the listener where the kernel does not say them. */
  readonly peer: Peer;
  /** With its name, program and unit too, as far as they are known. Never rejects. */
  readonly describe: () => Promise<Peer>;
}

/** Asks the kernel about who is at the other end of an accepted socket; of a TCP peer its address is all that is known. */
export type FindPeer = (listener: string, descriptor: number | undefined, address?: string) => Arrival;

/** Asks by foreign functions, and the system for names. */
export function createFindPeer(native: Native, clock: Clock): FindPeer {
  const names = createAccountNames(clock);
  const recent = createRecentProcesses(clock);
  return (listener, descriptor, address) => {
    if (address !== undefined) {
      const peer = { listener, address };
      return { peer, describe: () => Promise.resolve(peer) };
    }
    const credentials = descriptor === undefined ? undefined : native.peerCredentials(descriptor);
    if (descriptor === undefined || credentials === undefined) {
      const peer = { listener };
      return { peer, describe: () => Promise.resolve(peer) };
    }
    const groups = native.peerGroups(descriptor);
    const peer: Peer = { listener, ...credentials, ...(groups === undefined ? {} : { groups }) };
    return {
      peer,
      async describe() {
        // Before the first wait: a peer may be gone a moment later.
        const process = readPeerProcess(native, descriptor, credentials, clockTicks, recent);
        const user = await names.userName(credentials.uid);
        return { ...peer, ...process, ...(user === undefined ? {} : { user }) };
      },
    };
  };
}
