// What a peer of a listener meets before its first command: TLS or none, and how it says who it is. Types only.
// It does not know policies.

import type { TlsOffer } from '../../ports/transport.js';
import type { Logins } from '../login/logins.js';

/** A listener's door, as the configuration says it now. */
export interface ListenerDoor {
  /** The kernel says who comes: nobody is asked. */
  readonly isPreauthenticated: boolean;
  /** Whether somebody at that address may come at all: asked before a byte of his is read. */
  readonly mayConnect: (address: string | undefined) => boolean;
  /** `implicit`: from the first byte on; `starttls`: when the peer asks for it, and before it may say a password. */
  readonly tls: 'none' | 'starttls' | 'implicit';
  /** What is shown to peers that want TLS; undefined: there is nothing to be shown, so they are turned away. */
  readonly offer: () => TlsOffer | undefined;
  /** Passwords are taken in clear: on loopback only, where the configuration says so. */
  readonly plainWithoutTls: boolean;
  /** Undefined: nobody can log in. */
  readonly logins: Logins | undefined;
}

/** A door for peers of whom the kernel says who they are. */
export const kernelsDoor: ListenerDoor = {
  isPreauthenticated: true,
  mayConnect: () => true,
  tls: 'none',
  offer: () => undefined,
  plainWithoutTls: false,
  logins: undefined,
};
