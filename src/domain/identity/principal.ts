// Owns the name under which a peer is judged and recorded: `NAME@LISTENER`.
// It does not know how an account was verified; it is told the account's name only when it was.
// The rule: two different people never get the same principal on one listener.
import type { Peer } from './peer.js';

/** An authenticated name. `text` is `NAME@LISTENER`, unique for one person on one listener. */
export interface Principal {
  readonly name: string;
  readonly listener: string;
  readonly text: string;
}

const maxNameBytes = 256;

/**
 * The principal of a peer: the system's user name, else the uid, else the verified account, else `-`.
 *
 * A system user name that could be mistaken for something else (all digits would look like a uid; `-` is the
 * nameless one; blanks and control characters would break a line of a log) gives way to the uid.
 */
export function principalOf(peer: Peer, account?: string): Principal {
  return principal(nameOf(peer, account), peer.listener);
}

/** The principal with this name on this listener; for texts that were written by us before. */
export function principal(name: string, listener: string): Principal {
  return { name, listener, text: `${name}@${listener}` };
}

/** Reads `NAME@LISTENER`; the name may hold an `@`, a listener never does. Undefined when it is not of that form. */
export function parsePrincipal(text: string): Principal | undefined {
  const at = text.lastIndexOf('@');
  if (at <= 0 || at === text.length - 1) return undefined;
  return principal(text.slice(0, at), text.slice(at + 1));
}

function nameOf(peer: Peer, account: string | undefined): string {
  if (peer.user !== undefined && isUnmistakable(peer.user)) return peer.user;
  if (peer.uid !== undefined) return String(peer.uid);
  if (account !== undefined && account !== '') return account;
  return '-';
}

function isUnmistakable(name: string): boolean {
  return name !== '-' && !/^[0-9]*$/.test(name) && !/[\s\p{C}]/u.test(name) && name.length <= maxNameBytes;
}
