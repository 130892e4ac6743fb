// The configuration in service: one immutable value, and the switch that a reload replaces as a whole. Each decision takes everything from
// one `now`, so none mixes two configurations.

import assert from 'node:assert';
import { bounds } from '../../host/bounds/bounds.js';
import { createReadHttp } from '../../host/http/requests.js';
import type { NameNumbers } from '../../host/machine/accounts.js';
import { type BodyLimits, createBodyStore } from '../../host/machine/held-bytes.js';
import { descriptorsMax } from '../../host/machine/process.js';
import { createGate, type Peer } from '../../host/ports/peer.js';
import type { TlsOffer } from '../../host/ports/transport.js';
import { isSocket, type ListenerSettings, type Settings } from '../../rules/config/settings.js';
import { type Account, type Login, parsePasswordHash } from '../../rules/identity/credentials.js';
import { originOf } from '../../rules/identity/origin.js';
import type { Persons } from '../../rules/identity/person.js';
import type { Policy } from '../../rules/policy/policy.js';
import { createPolicyChooser, uidsNamedBy } from '../../rules/setup/peers.js';
import { type LoginGuard, Logins } from '../login/logins.js';
import {
  kernelAccess,
  type ListenerAccess,
  type ServedListener,
  type SessionContext,
} from '../session/greet-peer.js';
import type { Log } from '../telemetry/log.js';
import type { ConfiguredContext } from './engine-parts.js';

export type Served = ReturnType<typeof createServed>;

/**
 * The doors for peers, by listener name. `guard` survives a reload; `offerOf` returns the present TLS offer of a listener. Throws for
 * hashes that cannot be read; settings were checked.
 */
export function createDoors(
  listeners: readonly ListenerSettings[],
  guard: LoginGuard,
  offerOf: (listener: string) => TlsOffer | undefined,
): ReadonlyMap<string, ListenerAccess> {
  const doorOf = (listener: ListenerSettings): ListenerAccess => {
    const { name, protocol, refusalCell, socket, from, tls, accounts, keys } = listener;
    const path = isSocket(socket, 'unix') && protocol === 'doveadm' ? socket.path : undefined;
    const shown = { protocol, refusalCell, socket: path };
    if (!isSocket(socket, 'tcp') && tls === undefined) return { ...kernelAccess, ...shown };
    return {
      ...shown,
      isPreauthenticated: false,
      mayConnect: createGate(from),
      tls: tls === undefined || tls.mode === 'off' ? 'none' : tls.mode,
      offer: () => offerOf(name),
      plainWithoutTls: tls?.mode === 'off',
      logins: new Logins(name, accounts.map(accountOf), guard, keys),
    };
  };
  return new Map(listeners.map((listener) => [listener.name, doorOf(listener)]));
}

function accountOf({ passwordHash: written, ...account }: ListenerSettings['accounts'][number]): Account {
  const { name, policy, certificateName } = account;
  const passwordHash = written === undefined ? undefined : parsePasswordHash(written);
  if (typeof passwordHash === 'string') throw new Error(`account ${name}: the password hash ${passwordHash}`);
  return { name, policy, passwordHash, certificateName };
}

/** `numbers` resolves the names in the settings. */
export function createServed(
  settings: Settings,
  exchanges: ConfiguredContext,
  numbers: NameNumbers,
  doors: ReadonlyMap<string, ListenerAccess>,
  persons: Persons,
) {
  const choosers = new Map(
    settings.listeners.map((listener) => [listener.name, createPolicyChooser(listener, numbers)]),
  );
  /** The kernel knows nothing about a network peer, nor about a peer that had to log in before a reload. */
  const byKernel = (peer: Peer, login: Login | undefined): string | undefined =>
    login !== undefined || peer.address !== undefined ? undefined : choosers.get(peer.listener)?.(peer);
  const byLogin = (
    peer: Peer,
    access: ListenerAccess | undefined,
    login: Login | undefined,
  ): string | undefined =>
    login === undefined ? undefined : access?.logins?.policyOf(login, access.offer()?.clientCa, peer.address);
  const named = new Set(settings.listeners.flatMap((listener) => [...uidsNamedBy(listener, numbers)]));
  const facts = { persons, isNamed: (uid: number) => named.has(uid) };
  return {
    settings,
    exchanges,
    persons,
    originOf: (peer: Peer, login: Login | undefined): string => originOf(peer, login, facts),
    doors,
    /** The policy for a peer at its listener, by its login if one is required; undefined: the peer is refused. */
    policyOf(peer: Peer, login: Login | undefined): Policy | undefined {
      const access = doors.get(peer.listener);
      if (access?.mayConnect(peer.address) === false) return undefined;
      const name = access?.isPreauthenticated === true ? byKernel(peer, login) : byLogin(peer, access, login);
      return name === undefined ? undefined : settings.policies.get(name);
    },
  };
}

/** Nothing is in service before the first `turnTo`. */
export class Switch {
  #served: Served | undefined;
  readonly #context: SessionContext = {
    exchanges: () => this.now.exchanges,
    access: (listener) => this.now.doors.get(listener),
    policy: (peer, login) => this.now.policyOf(peer, login),
    origin: (peer, login) => this.now.originOf(peer, login),
    limits: () => this.now.settings.limits,
    readHttp: createReadHttp(),
    holdBody: createBodyStore((origin) =>
      bodyLimitsOf(this.now.settings, this.now.exchanges.buffered.isFullFor(origin)),
    ),
  };

  #listeners: ReadonlyMap<string, ServedListener> = new Map();

  get now(): Served {
    assert(this.#served !== undefined, 'no configuration is in service yet');
    return this.#served;
  }

  /** The caller retires the previous configuration. */
  turnTo(next: Served): void {
    this.#served = next;
    this.#listeners = this.#listenersOf(next);
  }

  listener(name: string): ServedListener | undefined {
    return this.#listeners.get(name);
  }

  /** Made once: every connection needs its listener. */
  #listenersOf({ settings }: Served): ReadonlyMap<string, ServedListener> {
    return new Map(
      settings.listeners.map(({ name, sessions: sessionsMax, sessionsPerPeer: sessionsPerPeerMax }) => [
        name,
        {
          name,
          sessionsMax,
          sessionsPerPeerMax,
          unauthenticatedMax: Math.max(sessionsMax, unauthenticatedMin),
          unauthenticatedPerPeerMax: Math.max(sessionsPerPeerMax, unauthenticatedPerPeerMin),
          context: this.#context,
        },
      ]),
    );
  }
}

function bodyLimitsOf({ state, audit, limits }: Settings, isMemoryFull: boolean): BodyLimits {
  return {
    folder: state,
    // One body of the permitted size must fit.
    storedBytesMax: Math.max(bounds.httpStoredBytes, limits.httpBodyBytesMax),
    storedBytesPerPrincipalMax: Math.max(bounds.httpStoredPerPrincipal, limits.httpBodyBytesMax),
    // As large as the reserve of the audit records, which may be on the same disk.
    freeBytesMin: audit.reserveBytes,
    isMemoryFull,
  };
}

/**
 * Unauthenticated sessions are counted apart, up to the same limits as authenticated ones: when many honest clients connect at once, all
 * are unauthenticated first. The minimum is for small limits: of two places, a stranger would take both in a millisecond.
 */
const unauthenticatedMin = bounds.unauthenticatedSessions;
const unauthenticatedPerPeerMin = bounds.unauthenticatedPerPeer;

const ourOwn = 64;
/** A UNIX and a TCP socket. */
const adminSockets = 2;
/** A UNIX socket, its file, and its directory. */
const perListener = 3;
/** During a replacement there are two upstreams, and a reload may add more. */
const perUpstream = 2;

/**
 * The number of sessions that the descriptors allow, for all listeners together, with unauthenticated ones; less than the settings permit
 * is reported. Clients never take the descriptors of upstreams, the journal and operators: without this limit libuv silently closes
 * accepted connections, and the next dial or segment fails.
 */
export function sessionsWithin(settings: Settings, log: Log): number {
  const most = descriptorsMax();
  if (most === undefined) return Number.POSITIVE_INFINITY;
  const upstreams = settings.backends.reduce(
    (sum, { connections }) => sum + connections + bounds.overduePerBackend,
    0,
  );
  const listeners = settings.listeners.length * perListener;
  const door = settings.admin?.page === undefined ? 0 : bounds.doorConnections;
  const admin = adminSockets * bounds.adminConnections + door;
  const refused = bounds.refusedSessions + bounds.unpermittedSessions;
  const kept = ourOwn + refused + admin + listeners + upstreams * perUpstream;
  // The body of a request may be in a file.
  const perSession = settings.listeners.some(({ protocol }) => protocol === 'http') ? 2 : 1;
  const left = Math.max(1, Math.floor((most - kept) / perSession));
  const wanted = settings.listeners.reduce((sum, { sessions }) => sum + sessions, 0);
  if (wanted > left) {
    const text = `the listeners may have ${wanted} sessions, and there are descriptors for ${left} (of ${most}); raise LimitNOFILE or lower sessions`;
    log.report({ event: 'few-descriptors', level: 'warn', text });
  }
  return left;
}
