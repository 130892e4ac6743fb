// Owns how an address on the network is written. It does not know who listens or dials there.

/** `HOST:PORT` or `[IPV6]:PORT`, the host without brackets and in lower case; undefined: neither. */
export function parseHostAndPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? 0);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host: host.toLowerCase(), port };
}

/** Only addresses: a name such as localhost can be made to mean another machine. */
export function isLoopback(host: string): boolean {
  return host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Bytes of a UNIX socket's path without its NUL: what sockaddr_un holds on Linux. */
export const socketPathBytesMax = 107;
