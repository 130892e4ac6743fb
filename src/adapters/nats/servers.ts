// A server of a cluster, and how it is named.

import { isIP } from 'node:net';

export interface NatsServer {
  readonly host: string;
  readonly port: number;
}

export function placeOf({ host, port }: NatsServer): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
