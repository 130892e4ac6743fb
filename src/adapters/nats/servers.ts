// The servers of a cluster: how one is named, and which is tried first.

import { isIP } from 'node:net';

export interface NatsServer {
  readonly host: string;
  readonly port: number;
}

export function placeOf({ host, port }: NatsServer): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Which server a connection is tried with first: the one that took the last connection, and after a fault there the next one listed. */
export function createServerOrder() {
  let last: string | undefined;
  let isPassedOver = false;
  return {
    of(servers: readonly NatsServer[]): readonly NatsServer[] {
      const at = servers.findIndex((server) => placeOf(server) === last);
      if (at < 0) return servers;
      const from = isPassedOver ? at + 1 : at;
      return [...servers.slice(from), ...servers.slice(0, from)];
    },
    took(place: string): void {
      last = place;
      isPassedOver = false;
    },
    /** Something went wrong at the server that took the last connection. */
    passOver(): void {
      isPassedOver = true;
    },
  };
}
