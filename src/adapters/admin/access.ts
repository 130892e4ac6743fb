// Who may see what over which socket. Pure. It does not know what the endpoints answer.
// The rules: who reached the UNIX socket may see everything, since its mode says who can; over TCP, which every program
// of this machine reaches, nothing but the harmless without the token; and a page in somebody's browser never gets in
// by a name that it made point here.

import type { Secret } from '../../domain/identity/credentials.js';

/** The way in: which kind of socket, and what it asks for. */
export type Door =
  | { readonly kind: 'unix' }
  | {
      readonly kind: 'tcp';
      /** The name or address that it was told to listen on. */
      readonly host: string;
      /** Undefined: the harmless endpoints only. */
      readonly token: Secret | undefined;
    };

/** What a request says of itself. */
export interface Credentials {
  /** The header Host; a client of HTTP/1.0 has none. */
  readonly host: string | undefined;
  readonly authorization: string | undefined;
  /** The header Origin: a page in a browser cannot leave it out where it wants something changed. */
  readonly origin?: string | undefined;
}

/** Why not. */
export type AccessRefusal =
  | 'wrong-host' // a name that is not ours
  | 'wrong-origin' // a page of somebody else
  | 'no-token-set' // this door has no token, so it never opens for this
  | 'token-needed'; // none was given, or a wrong one

/** Undefined: yes. `isHarmless`: health and metrics. */
export function refuseAccess(
  door: Door,
  credentials: Credentials,
  isHarmless: boolean,
): AccessRefusal | undefined {
  const { origin, host } = credentials;
  if (origin !== undefined && origin !== `http://${host ?? ''}`) return 'wrong-origin';
  if (door.kind === 'unix') return undefined;
  if (credentials.host !== undefined && !isOwnHost(credentials.host, door.host)) return 'wrong-host';
  if (isHarmless) return undefined;
  if (door.token === undefined) return 'no-token-set';
  const given = /^Bearer +(\S+) *$/i.exec(credentials.authorization ?? '')?.[1];
  // Compared by Secret in a time that says nothing about the token.
  return given !== undefined && door.token.equals(Buffer.from(given)) ? undefined : 'token-needed';
}

/**
 * A page whose name is made to point here sends that name; an address cannot be made to point anywhere. So every
 * address passes, and of names only `localhost` and our own.
 */
function isOwnHost(header: string, own: string): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[^:]+)(?::[0-9]{1,5})?$/i.exec(header)?.[1]?.toLowerCase();
  if (name === undefined) return false;
  const isAddress = name.startsWith('[') || /^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(name);
  return isAddress || name === 'localhost' || name === own.toLowerCase();
}
