// Where a request comes from, by its headers Host and Origin. Pure. A page of another origin gets nothing and changes nothing, also after
// DNS rebinding (its name was made to resolve to this address).

export interface SourcePlace {
  readonly hasTls: boolean;
  /** Whether a name, in lower case and without a port, is one of ours. Undefined: the Host may be anything. */
  readonly isOwnName?: (name: string) => boolean;
}

/** `wrong-host`: a name that is not ours; `wrong-origin`: a page of somebody else. */
export type ForeignSource = 'wrong-host' | 'wrong-origin';

/** Undefined: it may come. A client of HTTP/1.0 sends no Host; only a browser sends an Origin. */
export function foreignSource(
  { hasTls, isOwnName }: SourcePlace,
  host: string | undefined,
  origin: string | undefined,
): ForeignSource | undefined {
  if (host !== undefined && isOwnName !== undefined && !isOwnHost(host, isOwnName)) return 'wrong-host';
  const own = `${hasTls ? 'https' : 'http'}://${host?.toLowerCase() ?? ''}`;
  return origin === undefined || origin === own ? undefined : 'wrong-origin';
}

/** After DNS rebinding a browser sends the foreign name as Host. So every address passes, and of names `localhost` and our own. */
function isOwnHost(header: string, isOwnName: (name: string) => boolean): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?$/i.exec(header)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  const isAddress = name.startsWith('[') || /^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(name);
  return isAddress || name === 'localhost' || isOwnName(name);
}
