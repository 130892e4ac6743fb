// Owns the settings of the sockets for teams: where one is, who may come there, how a stranger proves who he is.
// It does not know YAML or files, nor how a socket is made.
import type { Place } from './problem.js';

/** A socket for one team. */
export interface ListenerSettings {
  readonly name: string;
  readonly socket: ListenerSocket;
  /** Who is let in at all; everybody who can open the socket when absent. */
  readonly peers?: PeersSettings;
  /**
   * The first one holds that has no peers, or whose peers the person is among; nobody else is let in. Empty where there
   * are accounts: each has a policy of its own.
   */
  readonly policies: readonly PolicyChoice[];
  readonly sessions: number;
  /** Of one uid, or of one address. */
  readonly sessionsPerPeer: number;
  /** Networks whose addresses may connect, as `192.0.2.0/24`; empty: every address. */
  readonly from: readonly string[];
  /** Of a TCP socket, and only there. */
  readonly tls: ListenerTls | undefined;
  /** Who may log in; empty on a UNIX socket, where the kernel says who comes. */
  readonly accounts: readonly AccountSettings[];
  readonly place: Place;
}

/**
 * Where a team's socket comes from: one that the daemon makes at a path, or one that systemd made and hands over, by its
 * FileDescriptorName; that one's mode and owner are systemd's.
 */
export type ListenerSocket =
  | {
      readonly kind: 'unix';
      readonly path: string;
      /** Permission bits, as 0o660. */
      readonly mode: number;
      /** Names or ids; the daemon's own when absent. */
      readonly owner?: string;
      readonly group?: string;
    }
  | { readonly kind: 'systemd'; readonly name: string }
  /** `host` is a name or an address without brackets. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** A socket for people: `unix:/run/dovegate/support.sock`, `systemd:support`, `tcp:[::]:24246`. */
export function formatListenerSocket(socket: ListenerSocket): string {
  switch (socket.kind) {
    case 'unix':
      return `unix:${socket.path}`;
    case 'systemd':
      return `systemd:${socket.name}`;
    case 'tcp':
      return `tcp:${socket.host.includes(':') ? `[${socket.host}]` : socket.host}:${socket.port}`;
    default:
      return socket satisfies never;
  }
}

/** TLS of a listener. */
export type ListenerTls =
  | {
      readonly mode: 'starttls' | 'implicit';
      /** Paths: the certificate with its chain, its key, and the authorities of clients' certificates. */
      readonly certificate: string;
      readonly key: string;
      readonly clientCa: string | undefined;
    }
  /** Loopback only: passwords come in clear. */
  | { readonly mode: 'off' };

/** Somebody who comes by TCP, and how that is proved: by a password, by a certificate, or by either. */
export interface AccountSettings {
  readonly name: string;
  /** The name of its policy. */
  readonly policy: string;
  /** `scrypt$N$r$p$SALT$HASH`. */
  readonly passwordHash: string | undefined;
  /** A name in its certificate, in lower case. */
  readonly certificateName: string | undefined;
  /** SHA-256 over the SubjectPublicKeyInfo of its certificate, 64 lower-case hex digits each; empty: any key. */
  readonly keyPins: readonly string[];
  readonly place: Place;
}

/** Persons of this machine: names, or ids as text. Whoever is one of the users or in one of the groups is meant. */
export interface PeersSettings {
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/** A policy, and whose it is. */
export interface PolicyChoice {
  readonly peers?: PeersSettings;
  /** Its name. */
  readonly policy: string;
}

/** What a listener has when it says nothing. */
export const listenerDefaults = { mode: 0o660, sessions: 1000, sessionsPerPeer: 500 } as const;

/** How TLS begins on a listener that does not say it. */
export const tlsModeDefault = 'starttls';
