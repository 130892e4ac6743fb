// What is served: one immutable value made of one configuration, and the switch at which a reload replaces it whole.
// The rule: nothing holds half of one configuration and half of another: each decision takes all of it from one `now`.

import { connectionsMax } from '../adapters/admin/admin.js';
import type { NameNumbers } from '../adapters/host/accounts.js';
import { type BodyLimits, createBodyStore } from '../adapters/host/held-bytes.js';
import { descriptorsMax } from '../adapters/host/process.js';
import { createReadHttp } from '../adapters/http/requests.js';
import type { Log } from '../adapters/telemetry/log.js';
import { bounds } from '../bounds/bounds.js';
import type { ListenerSettings, Settings } from '../domain/config/settings.js';
import { type Account, type Login, parsePasswordHash } from '../domain/identity/credentials.js';
import { createGate, type Peer } from '../domain/identity/peer.js';
import type { Policy } from '../domain/policy/policy.js';
import { type LoginGuard, Logins } from '../gateway/login/logins.js';
import { kernelAccess, type ListenerAccess, type SessionContext } from '../gateway/session/greet-peer.js';
import type { ServedListener } from '../gateway/session/service.js';
import type { TlsOffer } from '../ports/transport.js';
import { createPolicyChooser } from '../setup/peers.js';
import { type ConfiguredContext, sessionLimitsOf } from './engine-parts.js';

/** A configuration in service. */
export type Served = ReturnType<typeof createServed>;

/**
 * What peers meet, by the names of the listeners. `guard` goes on over a reload; `offerOf` is what a listener shows now to peers that want
 * TLS. Throws for hashes that cannot be read; settings were checked.
 */
export function createDoors(
  listeners: readonly ListenerSettings[],
  guard: LoginGuard,
  offerOf: (listener: string) => TlsOffer | undefined,
): ReadonlyMap<string, ListenerAccess> {
  const doorOf = (listener: ListenerSettings): ListenerAccess => {
    const { name, protocol, refusalCell, socket, from, tls, accounts, keys } = listener;
    if (socket.kind !== 'tcp' && tls === undefined) return { ...kernelAccess, protocol, refusalCell };
    return {
      protocol,
      refusalCell,
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
  const { name, policy, certificateName, keyPins } = account;
  const passwordHash = written === undefined ? undefined : parsePasswordHash(written);
  if (typeof passwordHash === 'string') throw new Error(`account ${name}: the password hash ${passwordHash}`);
  return { name, policy, passwordHash, certificateName, keyPins };
}

/** `numbers` knows the names that the settings hold. */
export function createServed(
  settings: Settings,
  exchanges: ConfiguredContext,
  numbers: NameNumbers,
  doors: ReadonlyMap<string, ListenerAccess>,
) {
  const choosers = new Map(
    settings.listeners.map((listener) => [listener.name, createPolicyChooser(listener, numbers)]),
  );
  /** The kernel says nothing of a peer from the network, or of one that had to log in before a reload. */
  const byKernel = (peer: Peer, login: Login | undefined): string | undefined =>
    login !== undefined || peer.address !== undefined ? undefined : choosers.get(peer.listener)?.(peer);
  const byLogin = (
    peer: Peer,
    access: ListenerAccess | undefined,
    login: Login | undefined,
  ): string | undefined =>
    login === undefined ? undefined : access?.logins?.policyOf(login, access.offer()?.clientCa, peer.address);
  return {
    settings,
    exchanges,
    sessionLimits: sessionLimitsOf(settings),
    doors,
    /** What holds for a peer at its listener, as what it logged in where it must; undefined: nothing, it is not let in. */
    policyOf(peer: Peer, login: Login | undefined): Policy | undefined {
      const access = doors.get(peer.listener);
      if (access?.mayConnect(peer.address) === false) return undefined;
      const name = access?.isPreauthenticated === true ? byKernel(peer, login) : byLogin(peer, access, login);
      return name === undefined ? undefined : settings.policies.get(name);
    },
  };
}

/** What is served now, for everything that asks. */
export class Switch {
  #now: Served;
  readonly #context: SessionContext = {
    exchanges: () => this.#now.exchanges,
    access: (listener) => this.#now.doors.get(listener),
    policy: (peer, login) => this.#now.policyOf(peer, login),
    limits: () => this.#now.sessionLimits,
    readHttp: createReadHttp(),
    holdBody: createBodyStore((principal) =>
      bodyLimitsOf(this.#now.settings, this.#now.exchanges.buffered.isFullFor(principal)),
    ),
  };

  #listeners: ReadonlyMap<string, ServedListener>;

  constructor(first: Served) {
    this.#now = first;
    this.#listeners = this.#listenersOf(first);
  }

  get now(): Served {
    return this.#now;
  }

  /** Returns what was served until now, which the caller retires. */
  turnTo(next: Served): Served {
    const before = this.#now;
    this.#now = next;
    this.#listeners = this.#listenersOf(next);
    return before;
  }

  /** The listener of that name as it is now; undefined: there is none. */
  listener(name: string): ServedListener | undefined {
    return this.#listeners.get(name);
  }

  /** Made once: every connection asks for its listener. */
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
  // A body that `http_body` permits must fit, alone.
  const { httpBodyBytesMax, httpStoredBytesMax, httpStoredBytesPerPrincipalMax } = limits;
  const storedBytesPerPrincipalMax = Math.max(httpStoredBytesPerPrincipalMax, httpBodyBytesMax);
  return {
    folder: state,
    storedBytesMax: Math.max(httpStoredBytesMax, httpBodyBytesMax),
    storedBytesPerPrincipalMax,
    // As large as the reserve of the audit records, which may lie on the same disk.
    freeBytesMin: audit.reserveBytes,
    isMemoryFull,
  };
}

/**
 * Unauthenticated sessions count apart, up to the same limits as proven ones: a crowd of honest clients that all connect at once is
 * unauthenticated first. Small limits do not hold for them: of two places, a stranger would take both in a millisecond.
 */
const unauthenticatedMin = bounds.unauthenticatedSessions;
const unauthenticatedPerPeerMin = bounds.unauthenticatedPerPeer;

/** Standard streams, the event loops, the journal's files, listening sockets, the auth service, an audit of the directory. */
const ourOwn = 64;
/** A UNIX and a TCP socket. */
const adminSockets = 2;
/** A UNIX socket, its file, and the directory that it lies in. */
const perListener = 3;
/** While an upstream is replaced there are two; and a reload may bring more of them. */
const perUpstream = 2;

/**
 * How many sessions there are descriptors for, of all listeners together, unauthenticated ones included; fewer than the settings permit is told. Clients never
 * take what upstreams, the journal and operators need: without this the library below Node closes what it accepts too much,
 * in silence, and a dial or a segment fails next.
 */
export function sessionsWithin(settings: Settings, log: Log): number {
  const most = descriptorsMax();
  if (most === undefined) return Number.POSITIVE_INFINITY;
  const upstreams = settings.backends.reduce((sum, { connections }) => sum + connections, 0);
  const listeners = settings.listeners.length * perListener;
  const door = settings.admin?.page === undefined ? 0 : bounds.doorConnections;
  const admin = adminSockets * connectionsMax + door;
  const refused = bounds.refusedSessions + bounds.unpermittedSessions;
  const kept = ourOwn + refused + admin + listeners + upstreams * perUpstream;
  // The body of a request may lie in a file.
  const perSession = settings.listeners.some(({ protocol }) => protocol === 'http') ? 2 : 1;
  const left = Math.max(1, Math.floor((most - kept) / perSession));
  const wanted = settings.listeners.reduce((sum, { sessions }) => sum + sessions, 0);
  if (wanted > left) {
    const text = `the listeners may have ${wanted} sessions, and there are descriptors for ${left} (of ${most}); raise LimitNOFILE or lower sessions`;
    log.report({ event: 'few-descriptors', level: 'warn', text });
  }
  return left;
}
