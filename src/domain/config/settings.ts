// The settings: what a configuration means once it was read. They are complete: `undefined` appears only where a field says so.
import type { Series } from '../commands/catalog.js';
import type { Namespace } from '../commands/mailbox-names.js';
import type { Fate } from '../policy/assess.js';
import type { Route } from '../policy/route.js';
import type { Policy } from '../policy/rule.js';
import type { ServerCommandRules } from '../policy/server-commands.js';
import type { Place } from './problem.js';
import type { RawAudit, RawBackend, RawConfiguration } from './schema.js';

/** Everything that the daemon is told. */
export interface Settings {
  readonly listeners: readonly ListenerSettings[];
  readonly backends: readonly BackendSettings[];
  /** First match wins. */
  readonly routes: readonly RouteSettings[];
  /** Where commands go that name no mailbox user. */
  readonly serverCommands: ServerCommandRules;
  readonly policies: ReadonlyMap<string, Policy>;
  /** In the order of the file; no part of the hash. */
  readonly tests: readonly PolicyTest[];
  readonly mailUsers: MailUserSettings;
  /** Directory of what must outlive the daemon besides records. */
  readonly state: string;
  readonly audit: AuditSettings;
  /** Absent: nothing listens. */
  readonly admin?: AdminSettings;
  readonly limits: LimitSettings;
  readonly log: RawConfiguration['log'];
  /** SHA-256 of the whole meaning, 64 hex digits; equal settings have equal hashes. */
  readonly hash: string;
}

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

export interface PolicyChoice {
  readonly peers?: PeersSettings;
  /** Its name. */
  readonly policy: string;
}

/** Where a backend listens. `host` is a name or an address without brackets. */
export type BackendAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** A Dovecot. Times in milliseconds. */
export interface BackendSettings
  extends Pick<
    RawBackend,
    | 'username'
    | 'connections'
    | 'idleTimeoutMs'
    | 'maxLifetimeMs'
    | 'connectTimeoutMs'
    | 'greetingTimeoutMs'
    | 'drained'
  > {
  readonly name: string;
  readonly address: BackendAddress;
  readonly tls: 'starttls' | 'implicit' | 'off';
  /** The system's roots when absent. */
  readonly caFile?: string;
  /** What the certificate must be for: a name, or an IP address. */
  readonly serverName: string;
  /** SHA-256 over the SubjectPublicKeyInfo, 64 lower-case hex digits each. */
  readonly keyPins: readonly string[];
  /** Tried in order. Empty: no password is sent. */
  readonly passwordFiles: readonly string[];
  readonly series: 'auto' | Series;
  /** Undefined: not said, the usual prefixes count. */
  readonly sharedNamespaces: readonly string[] | undefined;
  /** All of them, the shared ones too; undefined: not said. */
  readonly namespaces: readonly Namespace[] | undefined;
  readonly idle: number;
  readonly place: Place;
}

/** Which users live on which backend. */
export interface RouteSettings extends Route {
  readonly place: Place;
}

/** Somebody as policy tests name them. */
export interface Person {
  /** Name of the user; it stands in the principal. Undefined: an account, or somebody in these groups. */
  readonly name?: string;
  /** Name of the account, where the listener has some. */
  readonly account?: string;
  readonly groups: readonly string[];
}

/** A command line, and what must be said of it. */
export interface PolicyTest {
  readonly place: Place;
  readonly listener: string;
  /** Who asks; undefined: somebody whom the listener lets in. */
  readonly as?: Person;
  /** The user field; empty: none. */
  readonly user: string;
  readonly words: readonly string[];
  /** Undefined: whatever the backend of that user is. */
  readonly series?: Series;
  /** Minor of the protocol that the client announces; undefined: that of a client of today. */
  readonly client?: number;
  /** `deny` holds for all that is not carried out; the other words are exact. */
  readonly expect: Fate;
}

/** How the names of mail users are read; see identity/user-name. */
export interface MailUserSettings {
  readonly defaultRealm?: string;
  readonly characters: string;
  /** Socket of Dovecot's auth service that is asked who a user is; absent: nobody is asked, and an alias is not known. */
  readonly resolve?: string;
  /** Users that one command line may name, unless its rule says `max_users`: `limits.users`. */
  readonly perLineMax: number;
}

/** Where records go, and which ones are waited for. */
export interface AuditSettings
  extends Omit<RawAudit, 'directory' | 'group' | 'sign_key' | 'hmac_key' | 'ship'> {
  readonly directory: string;
  /** Group of directory and files; absent: nobody but the owner reads them. */
  readonly group?: string;
  /** PEM, PKCS#8, Ed25519; absent: one that is made in `state` at the first start. */
  readonly signKeyFile?: string;
  /** Absent: a key is made beside the segments at the first start. */
  readonly hmacKeyFile?: string;
  /** Who gets every record; empty: nobody. Names differ. */
  readonly ship: readonly SinkSettings[];
}

/** A syslog receiver with TLS. */
export interface SinkSettings {
  /** `HOST:PORT`, as in logs, metrics and the file of its position. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** The system's roots when absent. */
  readonly caFile?: string;
  /** What the certificate must be for: a name, or an IP address. */
  readonly serverName: string;
  /** SHA-256 over the SubjectPublicKeyInfo, 64 lower-case hex digits each. */
  readonly keyPins: readonly string[];
  /** What is shown to the receiver; both or none. */
  readonly client?: { readonly certificateFile: string; readonly keyFile: string };
  readonly place: Place;
}

/** Where operators and probes ask the daemon. */
export interface AdminSettings {
  /** Path of the UNIX socket, and its permission bits. */
  readonly unix?: string;
  readonly mode: number;
  /** A loopback address; `host` without brackets. */
  readonly tcp?: { readonly host: string; readonly port: number };
  readonly tokenFile?: string;
}

/** Bounds on what clients and backends can make the daemon hold, and how long it waits. */
export type LimitSettings = RawConfiguration['limits'];

/** The directory of `state`. */
export const stateDefault = '/var/lib/dovegate';

/** The file in `state` with the key that signs the journal, where `sign_key` is absent. */
export const ownSignKeyName = 'audit-sign.key';

/** The directory of `audit`. */
export const auditDirectoryDefault = '/var/lib/dovegate/audit';

/** One text for one meaning: places left out, policies by their version, keys in the order of the settings type. */
export function meaningOf(settings: Omit<Settings, 'hash'>): string {
  const { routes, serverCommands, policies, audit, tests: _, ...rest } = settings;
  const plain = {
    ...rest,
    routes: routes.map(({ users, target }) => ({ users: users.texts, target })),
    serverCommands: { default: serverCommands.default, byCommand: [...serverCommands.byCommand] },
    policies: [...policies].map(([name, policy]) => [name, policy.version]),
    audit: { ...audit, strict: [...audit.strict].toSorted() },
  };
  return JSON.stringify(plain, (key, value: unknown) => (key === 'place' ? undefined : value));
}
