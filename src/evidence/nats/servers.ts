// The servers of a cluster: their names, and which one is tried first.

import { isIP } from 'node:net';

export interface NatsServer {
  readonly host: string;
  readonly port: number;
}

export function placeOf({ host, port }: NatsServer): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The order of the servers: first the one that accepted the last connection; after a fault there, the next one listed. */
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
    /** Reports a fault of the server that accepted the last connection. */
    passOver(): void {
      isPassedOver = true;
    },
  };
}
