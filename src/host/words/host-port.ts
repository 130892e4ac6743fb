// A host and a port, as people write them.

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/**
 * `HOST:PORT` or `[IPV6]:PORT`, the host without brackets and in lower case; undefined: neither. An address may have a zone,
 * `[fe80::1%eth0]:PORT`, whose name stays as it is written.
 */
export function parseHostAndPort(written: string): HostAndPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)(%[A-Za-z0-9._-]{1,15})?\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(
    written,
  );
  const host = match?.[1] ?? match?.[3];
  const port = Number(match?.[4] ?? 0);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { host: `${host.toLowerCase()}${match?.[2] ?? ''}`, port };
}

/** `[::1]:24245`, `mail1.example.com:24245`. */
export function formatHostPort({ host, port }: HostAndPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
