// The settings: the meaning of a configuration. Most of them are values of the schema; only what follows from several keys is declared
// here. Times are in milliseconds, sizes in bytes, paths absolute; a `host` is a name or an address without brackets.

import type { Series } from '../../doveadm/commands/catalog.js';
import {
  createMailboxNames,
  doubtedNames,
  type MailboxNames,
  type Namespace,
  usualSharedPrefixes,
} from '../../doveadm/names/mailbox-names.js';
import { createUserNames } from '../../doveadm/names/user-name.js';
import { serverOfRelease } from '../../doveadm/protocol/releases.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { formatHostPort, type HostAndPort } from '../../host/words/host-port.js';
import type { Person as HumanPerson } from '../identity/person.js';
import type { PageRole } from '../identity/roles.js';
import type { Key } from '../keys/key.js';
import type { Policy, Route, ServerCommandRules } from '../policy/policy.js';
import { createRoutingTable, type RoutingTable } from '../policy/route.js';
import type { RawAdmin, RawPage, RawPerson } from './admin-schema.js';
import type { RawAccount, RawListener, RawPeers } from './listener-schema.js';
import type { CatalogSettings } from './parse-catalog.js';
import type { RawPolicyTest, RawStatementTest } from './policy-schema.js';
import type { Placed, Places } from './problem.js';
import type { RawAudit, RawBackend, RawConfiguration, RawMailUsers, RawNoticeReceiver } from './schema.js';
import type { SinkSettings } from './sinks.js';

export interface Settings extends Pick<RawConfiguration, 'state' | 'limits' | 'log'> {
  readonly listeners: readonly ListenerSettings[];
  readonly backends: readonly BackendSettings[];
  readonly routes: readonly RouteSettings[];
  readonly serverCommands: ServerCommandRules;
  readonly policies: ReadonlyMap<string, Policy>;
  /** By name; no two have an identity in common. */
  readonly persons: ReadonlyMap<string, HumanPerson>;
  /** In the order of the file; not part of the hash. */
  readonly tests: readonly (PolicyTest | StatementTest)[];
  readonly mailUsers: MailUserSettings;
  readonly audit: AuditSettings;
  /** Absent: no file adds commands. */
  readonly catalog?: CatalogSettings;
  /** Absent: nothing listens. */
  readonly admin?: AdminSettings;
  readonly notices?: readonly NoticeSettings[];
  /** Places of listeners, backends, receivers and people; not part of the hash. */
  readonly places: Places;
  /** SHA-256 of the whole meaning; equal settings have equal hashes. */
  readonly hash: string;
}

type SocketKey = 'unix' | 'tcp' | 'systemd' | 'mode' | 'owner' | 'group';

export interface ListenerSettings
  extends Omit<RawListener, SocketKey | 'policy' | 'policies' | 'tls' | 'accounts' | 'keys'> {
  readonly name: string;
  readonly socket: ListenerSocket;
  /** The first one applies that has no peers, or whose peers include the person; other people may not connect. Empty with accounts. */
  readonly policies: NonNullable<RawListener['policies']>;
  /** Only for TCP sockets. */
  readonly tls: ListenerTls | undefined;
  /** The accounts for logins; empty on a UNIX socket, where the kernel identifies the peer. */
  readonly accounts: readonly AccountSettings[];
  /** Only for TCP sockets with protocol http; no key has the name of an account. */
  readonly keys: readonly Key[];
}

/** A socket that the daemon creates, or one from systemd, by its FileDescriptorName. */
export type ListenerSocket =
  | UnixSocket
  | { readonly kind: 'systemd'; readonly name: string }
  | ({ readonly kind: 'tcp' } & HostAndPort);

export const isSocket = predicateOf<ListenerSocket>();

export interface UnixSocket {
  readonly kind: 'unix';
  readonly path: string;
  readonly mode: number;
  /** Names or ids; absent: those of the daemon. */
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
      return `tcp:${formatHostPort(socket)}`;
    default:
      return socket satisfies never;
  }
}

export type ListenerTls =
  | {
      readonly mode: 'starttls' | 'implicit';
      /** Paths of files: the certificate with its chain, its key, and the authorities of client certificates. */
      readonly certificate: string;
      readonly key: string;
      readonly clientCa: string | undefined;
    }
  /** Loopback only: passwords travel in clear. */
  | { readonly mode: 'off' };

/** A client that connects by TCP, and how it proves its identity: by a password, by a certificate, or by either. */
export type AccountSettings = RawAccount & { readonly name: string };

/** All logins at a listener: its accounts, then its keys, whose names differ. */
export function loginsOf({
  accounts,
  keys,
}: ListenerSettings): readonly { readonly name: string; readonly policy: string }[] {
  return [...accounts, ...keys];
}

/** Persons of this machine, as names or ids: these users, and the members of these groups. */
export type PeersSettings = RawPeers;

export interface BackendSettings
  extends Omit<RawBackend, 'allowPlaintext' | 'sharedNamespaces' | 'namespaces'> {
  readonly name: string;
  readonly tls: NonNullable<RawBackend['tls']>;
  readonly serverName: string;
  /** Undefined: not configured, so the usual prefixes count. */
  readonly sharedNamespaces: readonly string[] | undefined;
  /** All namespaces, including the shared ones; undefined: not configured. */
  readonly namespaces: readonly Namespace[] | undefined;
  readonly idle: number;
}

export interface RouteSettings extends Route, Placed {}

/** The client of a policy test. Without a name: an account, or a member of these groups. */
export type Person = NonNullable<RawPolicyTest['as']>;

/** Without `as`: any client that may connect to the listener. `deny` includes unparsable lines. */
export type PolicyTest = RawPolicyTest & Placed;

export type StatementTest = RawStatementTest & Placed;

export function isStatementTest(test: PolicyTest | StatementTest): test is StatementTest {
  return 'prove' in test;
}

export function policyTestsOf({ tests }: Pick<Settings, 'tests'>): readonly PolicyTest[] {
  return tests.flatMap((test) => (isStatementTest(test) ? [] : [test]));
}

/** How names of mail users are read; see doveadm/names/user-name. */
export interface MailUserSettings extends RawMailUsers {
  /** `limits.users`: users that one command line may name. */
  readonly perLineMax: number;
}

export interface AuditSettings extends Omit<RawAudit, 'ship'> {
  /** Receivers of every record; their names differ. */
  readonly ship: readonly SinkSettings[];
}

/** TLS and token are present where the address of `tcp` is beyond this machine. */
export interface AdminSettings extends Omit<RawAdmin, 'page'> {
  readonly page?: PageSettings;
}

/** There is at least one of `socket` and `tcp`, and TLS where `tcp` is beyond this machine. */
export interface PageSettings extends Omit<RawPage, 'unix' | 'mode' | 'group' | 'people'> {
  /** The socket where the kernel identifies people; absent: no person has a `user`. */
  readonly socket?: UnixSocket;
  /** At least one; no two have one user, one certificate, or one identity at the issuer. */
  readonly people: readonly PagePerson[];
}

/** A person with access, named as in records, with at least one proof: a user of this host, a certificate, a password, OpenID Connect. */
export interface PagePerson extends Omit<RawPerson, 'role' | 'roles'> {
  readonly name: string;
  /** At least one. */
  readonly roles: readonly PageRole[];
}

/** A receiver of notices; `dovegate ship` sends to it. */
export type NoticeSettings = WebhookSettings | MailSettings;
export const isNoticeSettings = predicateOf<NoticeSettings>();

interface AnyNoticeSettings extends Pick<RawNoticeReceiver, 'caFile' | 'events'> {
  readonly name: string;
}

/** TLS, or a URL of this machine. */
export interface WebhookSettings extends AnyNoticeSettings, Pick<RawNoticeReceiver, 'secretFile' | 'format'> {
  readonly kind: 'webhook';
  readonly url: string;
}

export interface MailSettings extends AnyNoticeSettings, HostAndPort {
  readonly kind: 'mail';
  readonly to: readonly string[];
  readonly from: string;
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
      series: series === undefined ? seriesIn(backend) : undefined,
      server:
        series !== undefined || backend.release === undefined ? undefined : serverOfRelease(backend.release),
      newer: backend.newer,
      sharedNamespaces: backend.sharedNamespaces,
      mailboxNames: mailboxNamesOf(backend),
    })),
    userNames: createUserNames(mailUsers),
    asksUserdb: mailUsers.resolve !== undefined,
    assumedSeries: series,
  });
}

/** The routing table for each series; undefined: for what each backend says. Each is made once. */
export function tablesOf(settings: Settings): (series: Series | undefined) => RoutingTable {
  const tables = new Map<Series | undefined, RoutingTable>();
  return (series) => {
    const table = tables.get(series) ?? routingTableOf(settings, series && [series]);
    tables.set(series, table);
    return table;
  };
}

/** Undefined: the backend announces its series. */
function seriesIn({ series, release }: BackendSettings): Series | undefined {
  if (series !== 'auto') return series;
  return release === undefined ? undefined : serverOfRelease(release).series;
}

/** The mailboxes that a name may mean at a backend. */
export function mailboxNamesOf({ namespaces, sharedNamespaces }: BackendSettings): MailboxNames {
  if (namespaces === undefined && sharedNamespaces === undefined) return doubtedNames;
  return createMailboxNames(namespaces, sharedNamespaces ?? usualSharedPrefixes);
}
