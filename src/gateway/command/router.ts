// From a user, or a command that names none, to the pools of the backends it goes to. It may ask Dovecot's auth service where a
// user lives. It does not dial, judge or record.
// The rules: what the auth service could not say is a failure, never another backend; a host that is none of the configured
// backends is never gone to; every name that the service gives a user is told, so that it is judged.

import type { MailboxNames } from '../../domain/commands/mailbox-names.js';
import type { UserNames } from '../../domain/identity/user-name.js';
import { type Route, reachable, reachableFor, routeUser } from '../../domain/policy/route.js';
import {
  routeServerCommand,
  type ServerCommand,
  type ServerCommandRules,
  type UnroutableCode,
} from '../../domain/policy/server-commands.js';
import type { Lookup } from '../lookup/lookup.js';
import type { Address } from '../outcome/ports.js';
import type { Pool } from '../pool/pool.js';

/** Where a command may go. */
export interface Destination {
  readonly pool: Pool;
  /** Prefixes of the backend's shared namespaces; undefined: not said. */
  readonly sharedNamespaces: readonly string[] | undefined;
  /** Which mailboxes a name may be there; undefined: its namespaces are not said. */
  readonly mailboxNames?: MailboxNames | undefined;
  readonly address: Address;
}

/** Where the commands of a user go. */
export type Routed =
  /** `aliases`: other names that the passdb gives the user, in normal form. */
  | { readonly kind: 'to'; readonly destination: Destination; readonly aliases: readonly string[] }
  | { readonly kind: 'nowhere'; readonly reason: string }
  /** The auth service could not be asked. */
  | { readonly kind: 'unasked'; readonly code: string };

/** Where a command goes that names no mailbox user. */
export type ServerRouted =
  | {
      readonly kind: 'to';
      readonly destinations: readonly Destination[];
      readonly aliases: readonly string[];
    }
  | {
      readonly kind: 'refused';
      readonly code: UnroutableCode | 'several-backends';
      readonly message: string;
    }
  | Exclude<Routed, { kind: 'to' }>;

/** Where such a command may go, before anybody is asked; `message`: why it goes nowhere. */
export type ServerForeseen =
  | { readonly kind: 'to'; readonly destinations: readonly Destination[] }
  | { readonly kind: 'nowhere'; readonly message: string };

/** Routes of one set of settings. No promise of it rejects. */
export interface Router {
  /** By the user in normal form; a promise only where somebody has to be asked. */
  ofUser(user: string): Routed | Promise<Routed>;
  ofServerCommand(command: ServerCommand): Promise<ServerRouted>;
  /** The same as far as nobody is asked: every backend that it may turn out to be; none where no route matches. */
  foreseeUser(user: string): readonly Destination[];
  foreseeServerCommand(command: ServerCommand): ServerForeseen;
  /** Every backend. */
  readonly all: readonly Destination[];
  /** Every backend that a user's route can lead to. */
  readonly everywhere: readonly Destination[];
  /** The configured backend at `HOST` or `HOST:PORT`, as a referral or a passdb writes it; undefined: there is none, or not only one. */
  atHost(host: string): Destination | undefined;
}

/** What a router is made from. */
export interface RouterOptions {
  readonly routes: readonly Route[];
  readonly serverCommands: ServerCommandRules;
  /** By name, in the order of the configuration. */
  readonly destinations: ReadonlyMap<string, Destination>;
  /** The auth service at a socket, whose answers hold so long. */
  readonly lookup: (socket: string, cacheTtlMs: number) => Pick<Lookup, 'pass'>;
  readonly userNames: UserNames;
}

const severalBackends = 'its users live on several backends; ask for those of one at a time';

/** A router over pools that somebody else owns. */
export function createRouter(options: RouterOptions): Router {
  const { routes, serverCommands, destinations, userNames } = options;
  const names = [...destinations.keys()];
  const all = [...destinations.values()];
  const everywhere = among(reachable(routes, names));

  return { ofUser, ofServerCommand, foreseeUser, foreseeServerCommand, all, everywhere, atHost };

  function ofUser(user: string): Routed | Promise<Routed> {
    const route = routeUser(routes, user);
    switch (route.kind) {
      case 'none':
        return { kind: 'nowhere', reason: 'no route matches this user' };
      case 'backend':
        return named(route.backend);
      case 'ask':
        return askPassdb(user, options.lookup(route.socket, route.cacheTtlMs));
      default:
        return route satisfies never;
    }
  }

  function named(name: string): Routed {
    const destination = destinations.get(name);
    if (destination === undefined) return { kind: 'nowhere', reason: `there is no backend ${name}` };
    return { kind: 'to', destination, aliases: [] };
  }

  function foreseeUser(user: string): readonly Destination[] {
    return among(reachableFor(routes, user, names));
  }

  function among(some: readonly string[]): readonly Destination[] {
    return some.flatMap((name) => destinations.get(name) ?? []);
  }

  function foreseeServerCommand(command: ServerCommand): ServerForeseen {
    const route = routeServerCommand(serverCommands, names, command);
    switch (route.kind) {
      case 'refused':
        return { kind: 'nowhere', message: route.message };
      case 'all':
        return { kind: 'to', destinations: all };
      case 'backend':
        return { kind: 'to', destinations: among([route.backend]) };
      case 'users': {
        const theirs = route.users.map(foreseeUser);
        if (theirs.some(({ length }) => length === 0))
          return { kind: 'nowhere', message: 'no route matches a user of it' };
        const homes = new Set(theirs.flatMap((each) => (each.length === 1 ? each : [])));
        if (homes.size > 1) return { kind: 'nowhere', message: severalBackends };
        return { kind: 'to', destinations: [...new Set(theirs.flat())] };
      }
      default:
        return route satisfies never;
    }
  }

  async function askPassdb(user: string, lookup: Pick<Lookup, 'pass'>): Promise<Routed> {
    const answer = await lookup.pass(user);
    if (answer.kind === 'failed') return { kind: 'unasked', code: answer.code };
    if (answer.kind === 'not-found') return { kind: 'nowhere', reason: 'the passdb does not know this user' };
    const { fields } = answer;
    const hosts = [fields.get('hostip'), fields.get('host')].flatMap((host) => (host ? [host] : []));
    // A host means nothing by itself: `proxy` (whatever its value) or `nologin` says that the user lives there.
    if (hosts.length === 0 || !(fields.has('proxy') || fields.has('nologin'))) {
      return { kind: 'nowhere', reason: 'the passdb names no host for this user' };
    }
    const port = fields.get('port');
    const found = hosts.map((host) => at(host, port)).find((each) => each !== undefined);
    if (found === undefined) {
      return { kind: 'nowhere', reason: 'the passdb names a host that is no backend here' };
    }
    const aliases = new Set<string>();
    for (const name of [answer.user, fields.get('destuser')]) {
      if (name === undefined || name === '') continue;
      const other = userNames.normalise(name);
      if (other.kind === 'refused') return { kind: 'unasked', code: 'alias-unnamable' };
      if (other.name !== user) aliases.add(other.name);
    }
    return { kind: 'to', destination: found, aliases: [...aliases] };
  }

  async function ofServerCommand(command: ServerCommand): Promise<ServerRouted> {
    const route = routeServerCommand(serverCommands, names, command);
    switch (route.kind) {
      case 'refused':
        return route;
      case 'all':
        return { kind: 'to', destinations: all, aliases: [] };
      case 'backend': {
        const found = named(route.backend);
        return found.kind === 'to' ? { kind: 'to', destinations: [found.destination], aliases: [] } : found;
      }
      case 'users':
        return ofUsers(route.users);
      default:
        return route satisfies never;
    }
  }

  /** The one backend of all these users. */
  async function ofUsers(users: readonly string[]): Promise<ServerRouted> {
    const found = new Set<Destination>();
    const aliases: string[] = [];
    for (const user of users) {
      const routed = await ofUser(user);
      if (routed.kind !== 'to') return routed;
      found.add(routed.destination);
      aliases.push(...routed.aliases);
    }
    if (found.size <= 1) return { kind: 'to', destinations: [...found], aliases };
    return { kind: 'refused', code: 'several-backends', message: severalBackends };
  }

  function atHost(text: string): Destination | undefined {
    // `[::1]:24245`, `192.0.2.1:24245`, `mail1`, and an IPv6 address without brackets.
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
    return at(bracketed ?? plain ?? text, port);
  }

  function at(host: string, port: string | undefined): Destination | undefined {
    const wanted = host.toLowerCase();
    const fitting = all.filter(
      ({ address }) =>
        address.kind === 'tcp' &&
        address.host.toLowerCase() === wanted &&
        (port === undefined || String(address.port) === port),
    );
    return fitting.length === 1 ? fitting[0] : undefined;
  }
}
