// Which request may do what: access to the endpoints by socket, token and origin, and the actions of operators by path.
// The rules: over the UNIX socket everything is permitted, since its mode says who can connect; over TCP, which every program of this machine
// reaches, only health and metrics without the token; where other machines can connect, nothing without it; a web page never gets in by a name that resolves to this address. An action is a
// POST, and says who asked for it.

import type { Secret } from '../../domain/identity/credentials.js';

/** The way in: which kind of socket, and what it asks for. */
export type Door =
  | { readonly kind: 'unix' }
  | {
      readonly kind: 'tcp';
      /** The name or address that it was told to listen on. */
      readonly host: string;
      /** Other machines can connect: then all needs the token. */
      readonly isRemote: boolean;
      readonly hasTls: boolean;
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
  const scheme = door.kind === 'tcp' && door.hasTls ? 'https' : 'http';
  if (origin !== undefined && origin !== `${scheme}://${host ?? ''}`) return 'wrong-origin';
  if (door.kind === 'unix') return undefined;
  // From elsewhere it has names that are not known here, and a page that makes one of its names point here has no token.
  if (!door.isRemote) {
    if (host !== undefined && !isOwnHost(host, door.host)) return 'wrong-host';
    if (isHarmless) return undefined;
  }
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

/** Something that an operator wants done. */
export type OperatorAction =
  | { readonly kind: 'kill'; readonly id: string }
  | { readonly kind: 'drain' | 'enable'; readonly backend: string }
  | { readonly kind: 'reload' };

/** Who asks: by the word of the kernel on a UNIX socket, by its address where only the token was shown. */
export interface Operator {
  /** The user's name, else the uid; for the record's key `by`. */
  readonly by: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly pid?: number | undefined;
  readonly user?: string | undefined;
  readonly address?: string | undefined;
}

/** For a client that took this socket for the admin socket. */
export const pageSocketText =
  "this is the page's socket: it answers the `dovegate audit` commands and `dovegate page open`; status, doctor, backend, kill and reload need the admin socket (admin.unix): run them as root, or by sudo";

/** `unrecorded`: the record could not be written, so nothing was done. `undone`: recorded, and then it failed. */
export type ActionFailure = 'unrecorded' | 'undone';

/** What came of it, as a sentence. `unknown`: there is no such thing. */
export interface ActionResult {
  readonly kind: 'done' | 'unknown' | 'failed' | ActionFailure;
  readonly text: string;
}

/** Carries an action out. Rejects only where its record could not be written; nothing was done then. */
export type Act = (action: OperatorAction, operator: Operator) => Promise<ActionResult>;

/** The paths, for people. */
export const actionPaths: readonly string[] = [
  '/kill/ID',
  '/backend/NAME/drain',
  '/backend/NAME/enable',
  '/reload',
];

/** The action of a path; undefined: it is none. */
export function actionAt(path: string): OperatorAction | undefined {
  if (path === '/reload') return { kind: 'reload' };
  const [, first, name, verb, ...more] = path.split('/').map(decoded);
  if (name === undefined || name === '' || more.length > 0) return undefined;
  if (first === 'kill' && verb === undefined) return { kind: 'kill', id: name };
  if (first !== 'backend' || (verb !== 'drain' && verb !== 'enable')) return undefined;
  return { kind: verb, backend: name };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
