// Which request may do what: access to the endpoints by socket, token and origin, and the actions of operators by path. Over the UNIX
// socket everything is permitted, since its mode says who can connect. Over TCP, which every program of this machine reaches, only health
// and metrics need no token; where other machines can connect, everything does. No web page gets in by a name that resolves to this
// address. An action is a POST, and says who asked for it.

import { type ForeignSource, foreignSource } from '../../host/http/source.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import type { Peer } from '../../host/ports/peer.js';
import type { Secret } from '../../rules/identity/credentials.js';
import type { Human } from '../../rules/identity/human.js';
import type { DoorAction } from '../door/action.js';
import type { ActionResult } from '../door/door.js';

/** The socket of a request, and what it demands. */
export type Door =
  | { readonly kind: 'unix' }
  | {
      readonly kind: 'tcp';
      /** The configured name or address. */
      readonly host: string;
      /** Other machines can connect: every path needs the token then. */
      readonly isRemote: boolean;
      readonly hasTls: boolean;
      readonly token: Secret | undefined;
    };

export interface Credentials {
  /** The header Host; a client of HTTP/1.0 has none. */
  readonly host: string | undefined;
  readonly authorization: string | undefined;
  /** The header Origin: a page in a browser cannot leave it out where it wants something changed. */
  readonly origin?: string | undefined;
}

export type AccessRefusal =
  | ForeignSource
  | 'no-token-set' // no token is configured, so this is never permitted here
  | 'token-needed'; // none was given, or a wrong one

/** Undefined: access is permitted. `isHarmless`: health and metrics. */
export function refuseAccess(
  door: Door,
  { host, origin, authorization }: Credentials,
  isHarmless: boolean,
): AccessRefusal | undefined {
  if (door.kind === 'unix') return foreignSource({ hasTls: false }, host, origin);
  const { hasTls, isRemote, token } = door;
  // Other machines may use names that are unknown here; a page whose own name resolves to this address still has no token.
  const names = isRemote ? {} : { isOwnName: (name: string) => name === door.host.toLowerCase() };
  const foreign = foreignSource({ hasTls, ...names }, host, origin);
  if (foreign !== undefined) return foreign;
  if (!isRemote && isHarmless) return undefined;
  if (token === undefined) return 'no-token-set';
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  // Secret compares in a time that does not depend on the token.
  return given !== undefined && token.equals(Buffer.from(given)) ? undefined : 'token-needed';
}

/** What an operator may do at the admin socket or on the page. */
export type OperatorAction =
  | DoorAction
  | { readonly kind: 'revoke'; readonly id: string }
  /** Of the uids that this user of `persons` had, only the newest counts from now on. */
  | { readonly kind: 'confirm'; readonly user: string }
  | { readonly kind: 'reload' };

export const isOperatorAction = predicateOf<OperatorAction>();

/** Who asks. On a UNIX socket the kernel says who it is; over TCP, where a token lets clients in, only the address is known. */
export interface Operator extends Pick<Peer, 'uid' | 'gid' | 'pid' | 'user' | 'loginUid' | 'address'> {
  /** The user's name, else the uid; for the record's key `by`. */
  readonly by: string;
  /** For the record of a person of the page: where they are. The peer is the page's process then. */
  readonly from?: readonly string[];
  /** `noHuman` for a token, a signal, and root without a login. */
  readonly human: Human;
}

/** Carries an action out. Rejects only where its record could not be written; nothing was done then. */
export type Act = (action: OperatorAction, operator: Operator) => Promise<ActionResult>;

/** `forMs`: milliseconds; `-`: a hold without an end. */
function lockOf({ isHold = false, kills = false }) {
  return (target: string, forMs = '', reason = ''): OperatorAction => ({
    kind: 'lock',
    target,
    isHold,
    forMs: isHold && forMs === '-' ? undefined : /^[0-9]{1,12}$/.test(forMs) ? Number(forMs) : 0,
    reason,
    kills,
  });
}

export const actionRoutes: readonly (readonly [
  route: string,
  of: (word: string, more?: string, last?: string) => OperatorAction,
])[] = [
  ['POST /kill/:id', (id) => ({ kind: 'kill', id })],
  ['POST /access/:id/revoke', (id) => ({ kind: 'revoke', id })],
  ['POST /backend/:name/drain', (backend) => ({ kind: 'drain', backend })],
  ['POST /backend/:name/drain/:reason', (backend, reason) => ({ kind: 'drain', backend, reason })],
  ['POST /backend/:name/enable', (backend) => ({ kind: 'enable', backend })],
  ['POST /user/:name/confirm', (user) => ({ kind: 'confirm', user })],
  ['POST /lock/:target/:for/:reason', lockOf({})],
  ['POST /lock/:target/:for/:reason/kill', lockOf({ kills: true })],
  ['POST /hold/:target/:for/:reason', lockOf({ isHold: true })],
  ['POST /hold/:target/:for/:reason/kill', lockOf({ isHold: true, kills: true })],
  ['POST /unlock/:target/:reason', (target, reason = '') => ({ kind: 'unlock', target, reason })],
  ['POST /reload', () => ({ kind: 'reload' })],
];
