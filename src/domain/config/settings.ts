// The settings: what a configuration means once it was read. They are complete: `undefined` appears only where a field says so. Times are
// in milliseconds, sizes in bytes, paths absolute; a `host` is a name or an address without brackets.

import type { Series } from '../commands/catalog.js';
import { createUserNames } from '../identity/user-name.js';
import type { Key } from '../keys/key.js';
import {
  createMailboxNames,
  doubtedNames,
  type MailboxNames,
  type Namespace,
  usualSharedPrefixes,
} from '../names/mailbox-names.js';
import type { PageRole } from '../page/api.js';
import type { Fate } from '../policy/assess.js';
import type { Policy, Route, ServerCommandRules } from '../policy/policy.js';
import { createRoutingTable, type RoutingTable } from '../policy/route.js';
import type { Place } from './problem.js';
import type { RawAudit, RawBackend, RawConfiguration } from './schema.js';

export interface Settings {
  readonly listeners: readonly ListenerSettings[];
  readonly backends: readonly BackendSettings[];
  readonly routes: readonly RouteSettings[];
  readonly serverCommands: ServerCommandRules;
  readonly policies: ReadonlyMap<string, Policy>;
  /** In the order of the file; no part of the hash. */
  readonly tests: readonly PolicyTest[];
  readonly mailUsers: MailUserSettings;
  /** The directory of data besides records that must outlive the daemon. */
  readonly state: string;
  readonly audit: AuditSettings;
  /** Absent: nothing listens. */
  readonly admin?: AdminSettings;
  readonly limits: RawConfiguration['limits'];
  readonly log: RawConfiguration['log'];
  /** SHA-256 of the whole meaning; equal settings have equal hashes. */
  readonly hash: string;
}

export interface ListenerSettings {
  readonly name: string;
  readonly socket: ListenerSocket;
  /** The protocol of clients: Dovecot's doveadm protocol, or its HTTP API. */
  readonly protocol: ListenerProtocol;
  /** Clients of minor 0 get the reason of a refusal as a cell. */
  readonly refusalCell: boolean;
  /** The permitted peers; absent: everybody who can open the socket. */
  readonly peers?: PeersSettings;
  /** The first one applies that has no peers, or whose peers include the person; other people may not connect. Empty with accounts. */
  readonly policies: readonly PolicyChoice[];
  readonly sessions: number;
  /** Of one uid, or of one network address. */
  readonly sessionsPerPeer: number;
  /** Networks whose addresses may connect, as `192.0.2.0/24`; empty: every address. */
  readonly from: readonly string[];
  /** Of a TCP socket, and only there. */
  readonly tls: ListenerTls | undefined;
  /** The accounts for logins; empty on a UNIX socket, where the kernel identifies the peer. */
  readonly accounts: readonly AccountSettings[];
  /** Of a TCP socket whose protocol is http; none has the name of an account. */
  readonly keys: readonly KeySettings[];
  readonly place: Place;
}

export type ListenerProtocol = 'doveadm' | 'http';

/** A socket that the daemon makes, or one that systemd hands over, by its FileDescriptorName. */
export type ListenerSocket =
  | UnixSocket
  | { readonly kind: 'systemd'; readonly name: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** A socket that the daemon makes. */
export interface UnixSocket {
  readonly kind: 'unix';
  readonly path: string;
  readonly mode: number;
  /** Names or ids; the daemon's own when absent. */
  readonly owner?: string;
  readonly group?: string;
}

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

export type ListenerTls =
  | {
      readonly mode: 'starttls' | 'implicit';
      /** Files: the certificate with its chain, its key, and the authorities of clients' certificates. */
      readonly certificate: string;
      readonly key: string;
      readonly clientCa: string | undefined;
    }
  /** Loopback only: passwords travel in clear. */
  | { readonly mode: 'off' };

/** A client that connects by TCP, and how it proves its identity: by a password, by a certificate, or by either. */
export interface AccountSettings {
  readonly name: string;
  readonly policy: string;
  /** `scrypt$N$r$p$SALT$HASH`. */
  readonly passwordHash: string | undefined;
  /** A name in its certificate, in lower case. */
  readonly certificateName: string | undefined;
  /** SHA-256 over the SubjectPublicKeyInfo of its certificate, in lower-case hex; empty: any key. */
  readonly keyPins: readonly string[];
  readonly place: Place;
}

/** A program that connects by HTTP, and the hashes of its key. */
export interface KeySettings extends Key {
  readonly place: Place;
}

/** All logins at a listener: its accounts, then its keys, whose names differ. */
export function loginsOf({
  accounts,
  keys,
}: ListenerSettings): readonly { readonly name: string; readonly policy: string }[] {
  return [...accounts, ...keys];
}

/** Persons of this machine, as names or ids: these users, and the members of these groups. */
export interface PeersSettings {
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

export interface PolicyChoice {
  readonly peers?: PeersSettings;
  readonly policy: string;
}

export type BackendAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

type BackendKeys = 'username' | 'connections' | 'idleTimeoutMs' | 'maxLifetimeMs' | 'connectTimeoutMs';

export interface BackendSettings extends Pick<RawBackend, BackendKeys | 'greetingTimeoutMs' | 'drained'> {
  readonly name: string;
  readonly address: BackendAddress;
  readonly tls: 'starttls' | 'implicit' | 'off';
  /** The system's roots when absent. */
  readonly caFile?: string;
  readonly serverName: string;
  /** SHA-256 over the SubjectPublicKeyInfo, in lower-case hex. */
  readonly keyPins: readonly string[];
  /** Tried in order. Empty: no password is sent. */
  readonly passwordFiles: readonly string[];
  readonly series: 'auto' | Series;
  /** Undefined: not configured, so the usual prefixes count. */
  readonly sharedNamespaces: readonly string[] | undefined;
  /** All of them, the shared ones too; undefined: not configured. */
  readonly namespaces: readonly Namespace[] | undefined;
  readonly idle: number;
  readonly place: Place;
}

export interface RouteSettings extends Route {
  readonly place: Place;
}

export interface Person {
  /** User of this machine; undefined: an account, or a member of these groups. */
  readonly name?: string;
  readonly account?: string;
  readonly groups: readonly string[];
}

export interface PolicyTest {
  readonly place: Place;
  readonly listener: string;
  /** Undefined: any client that may connect to the listener. */
  readonly as?: Person;
  /** The user field; empty: none. */
  readonly user: string;
  readonly words: readonly string[];
  /** Undefined: that of the user's backend. */
  readonly series?: Series;
  /** Minor of the protocol that the client announces; undefined: that of a current client. */
  readonly client?: number;
  /** `deny` includes unparsable lines. */
  readonly expect: Fate;
}

/** How the names of mail users are read; see identity/user-name. */
export interface MailUserSettings {
  readonly defaultRealm?: string;
  readonly characters: string;
  /** Socket of Dovecot's auth service for looking users up; absent: aliases are not resolved. */
  readonly resolve?: string;
  /** `limits.users`: users that one command line may name where its rule has no `max_users`. */
  readonly perLineMax: number;
}

type AuditKeys = 'group' | 'memory' | 'sign_key' | 'hmac_key' | 'ship';

export interface AuditSettings extends Omit<RawAudit, AuditKeys> {
  /** Group of directory and files; absent: only the owner reads them. */
  readonly group?: string;
  /** The ring's file; absent: every effect is synced. */
  readonly memoryFile?: string;
  /** PEM, PKCS#8, Ed25519; absent: one that is made in `state` at the first start. */
  readonly signKeyFile?: string;
  /** Absent: a key is made beside the segments at the first start. */
  readonly hmacKeyFile?: string;
  /** Receivers of every record; their names differ. */
  readonly ship: readonly SinkSettings[];
}

export type SinkSettings = SyslogSinkSettings | NatsSinkSettings;

interface AnySinkSettings {
  /** `HOST:PORT` (of the first server), as in logs, metrics and the file of its position. */
  readonly name: string;
  /** The system's roots when absent. */
  readonly caFile?: string;
  /** Our certificate for the receiver; both or none. */
  readonly client?: { readonly certificateFile: string; readonly keyFile: string };
  readonly place: Place;
}

export interface SyslogSinkSettings extends AnySinkSettings {
  readonly kind: 'syslog';
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
  readonly keyPins: readonly string[];
}

export interface NatsSinkSettings extends AnySinkSettings {
  readonly kind: 'nats';
  /** At least one; tried in their order. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly stream: string;
  /** The word for this host in the subject; absent: made of the machine's name. */
  readonly hostWord?: string;
  /** Absent where there is `client`. */
  readonly credentialsFile?: string;
  /** How long a record is kept here after its acknowledgement; 0: not at all. */
  readonly settleMs: number;
}

export interface AdminSettings {
  /** The UNIX socket and its permission bits. */
  readonly unix?: string;
  readonly mode: number;
  readonly tcp?: { readonly host: string; readonly port: number };
  /** Of `tcp`; present where its address is beyond this machine, as is the token. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly tokenFile?: string;
  readonly page?: PageSettings;
  /** The UNIX socket where the page's process asks the daemon. */
  readonly door: string;
}

/** The page, and its people. There is at least one of `socket` and `tcp`. */
export interface PageSettings {
  /** The socket where the kernel identifies people; absent: no person has a `user`. */
  readonly socket?: UnixSocket;
  /** Where browsers connect. */
  readonly tcp?: { readonly host: string; readonly port: number };
  /** Of `tcp`; present where its address is beyond this machine. */
  readonly tls?: PageTls;
  /** At least one; no two have one user, or one certificate. */
  readonly people: readonly PagePerson[];
  /** Path of the status that `audit fleet watch` writes; absent: the page shows this gate only. */
  readonly fleetFile?: string;
  readonly place: Place;
}

/** Files: the certificate with its chain, its key, and the authorities of clients' certificates. */
export interface PageTls {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string | undefined;
}

/** A person with access, and at least one proof: a user of this host, a client certificate, a password. */
export interface PagePerson {
  /** As the configuration and the records name them. */
  readonly name: string;
  /** The kernel's name or number. */
  readonly user?: string;
  /** A name that their certificate carries. */
  readonly certificateName?: string;
  readonly passwordHash?: string;
  /** At least one. */
  readonly roles: readonly PageRole[];
  /** Patterns of the mail users whose records they may see; absent: all records. */
  readonly users?: readonly string[];
  readonly place: Place;
}

/** For assessing command lines without a daemon. `series`: replaces that of all backends. */
export function routingTableOf(
  { routes, serverCommands, backends, mailUsers }: Settings,
  series?: readonly Series[],
): RoutingTable {
  return createRoutingTable({
    routes,
    serverCommands,
    backends: backends.map((backend) => ({
      name: backend.name,
      series: series !== undefined || backend.series === 'auto' ? undefined : backend.series,
      sharedNamespaces: backend.sharedNamespaces,
      mailboxNames: mailboxNamesOf(backend),
    })),
    userNames: createUserNames(mailUsers),
    asksUserdb: mailUsers.resolve !== undefined,
    assumedSeries: series,
  });
}

/** Which mailboxes a name may be to a backend. */
export function mailboxNamesOf({ namespaces, sharedNamespaces }: BackendSettings): MailboxNames {
  if (namespaces === undefined && sharedNamespaces === undefined) return doubtedNames;
  return createMailboxNames(namespaces, sharedNamespaces ?? usualSharedPrefixes);
}
