// What is served: one immutable value made of one configuration, and the switch at which a reload replaces it whole. It
// does not know sockets. The rule: nobody holds half of one configuration and half of another: whoever decides something
// takes all of it from one `now`.

import { connectionsMax } from '../adapters/admin/admin.js';
import type { NameNumbers } from '../adapters/host/accounts.js';
import { descriptorsMax } from '../adapters/host/program.js';
import type { Log } from '../adapters/telemetry/log.js';
import type { ListenerSettings, Settings } from '../domain/config/settings.js';
import { type Account, type Login, parsePasswordHash } from '../domain/identity/credentials.js';
import { createGate, type Peer } from '../domain/identity/peer.js';
import type { Policy } from '../domain/policy/policy.js';
import { type LoginGuard, Logins } from '../gateway/login/logins.js';
import {
  kernelAccess,
  type ListenerAccess,
  type SessionContext,
  type SessionLimits,
} from '../gateway/session/greet-peer.js';

import { refusedMax, type ServedListener } from '../gateway/session/service.js';
import type { TlsOffer } from '../ports/transport.js';
import { createPolicyChooser } from '../setup/peers.js';
import { type ConfiguredContext, sessionLimitsOf } from './engine-parts.js';

/** A configuration in service. */
export interface Served {
  readonly settings: Settings;
  readonly exchanges: ConfiguredContext;
  readonly sessionLimits: SessionLimits;
  /** By the names of the listeners. */
  readonly doors: ReadonlyMap<string, ListenerAccess>;
  /** What holds for a peer at its listener, as what it logged in where it must; undefined: nothing, it is not let in. */
  readonly policyOf: (peer: Peer, login: Login | undefined) => Policy | undefined;
}

/** Where everybody looks what holds now. */
export interface Switch {
  readonly now: Served;
  /** From the next look on. Returns what was served until now, which the caller retires. */
  turnTo(next: Served): Served;
  /** The listener of that name as it is now; undefined: there is none. */
  listener(name: string): ServedListener | undefined;
}

/** What a listener shows to peers that want TLS, now; undefined: nothing. */
export type OfferOf = (listener: string) => TlsOffer | undefined;

/** By the names of the listeners. `guard` goes on over a reload. Throws for hashes that cannot be read; settings were checked. */
export function createDoors(
  listeners: readonly ListenerSettings[],
  guard: LoginGuard,
  offerOf: OfferOf,
): ReadonlyMap<string, ListenerAccess> {
  return new Map(listeners.map((listener) => [listener.name, doorOf(listener, guard, offerOf)]));
}

function doorOf(listener: ListenerSettings, guard: LoginGuard, offerOf: OfferOf): ListenerAccess {
  const { name, socket, from, tls, accounts } = listener;
  if (socket.kind !== 'tcp' && tls === undefined && accounts.length === 0) return kernelAccess;
  return {
    isPreauthenticated: false,
    mayConnect: createGate(from),
    tls: tls === undefined || tls.mode === 'off' ? 'none' : tls.mode,
    offer: () => offerOf(name),
    plainWithoutTls: tls?.mode === 'off',
    logins: new Logins(name, accounts.map(accountOf), guard),
  };
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
): Served {
  const choosers = new Map(
    settings.listeners.map((listener) => [listener.name, createPolicyChooser(listener, numbers)]),
  );
  /** Who comes from the network, or had to log in before a reload, is nobody of whom the kernel says anything. */
  const byKernel = (peer: Peer, login: Login | undefined): string | undefined =>
    login !== undefined || peer.address !== undefined ? undefined : choosers.get(peer.listener)?.(peer);
  const byLogin = (access: ListenerAccess | undefined, login: Login | undefined): string | undefined =>
    login === undefined ? undefined : access?.logins?.policyOf(login, access.offer()?.clientCa);
  return {
    settings,
    exchanges,
    sessionLimits: sessionLimitsOf(settings),
    doors,
    policyOf(peer, login) {
      const access = doors.get(peer.listener);
      if (access?.mayConnect(peer.address) === false) return undefined;
      const name = access?.isPreauthenticated === true ? byKernel(peer, login) : byLogin(access, login);
      return name === undefined ? undefined : settings.policies.get(name);
    },
  };
}

/** A switch that stands at `first`. */
export function createSwitch(first: Served): Switch {
  let now = first;
  const context: SessionContext = {
    exchanges: () => now.exchanges,
    access: (listener) => now.doors.get(listener),
    policy: (peer, login) => now.policyOf(peer, login),
    limits: () => now.sessionLimits,
  };
  return {
    get now() {
      return now;
    },
    turnTo(next) {
      const before = now;
      now = next;
      return before;
    },
    listener(name) {
      const found = now.settings.listeners.find((each) => each.name === name);
      if (found === undefined) return undefined;
      return { name, sessionsMax: found.sessions, sessionsPerPeerMax: found.sessionsPerPeer, context };
    },
  };
}

/** Standard streams, the event loops, the journal's files, listening sockets, the auth service, an audit of the directory. */
const ourOwn = 64;
/** Clients over a limit of sessions that are told so. */
const refusedSessions = refusedMax;
/** Of two admin sockets. */
const adminConnections = 2 * connectionsMax;
/** A UNIX socket, its file, and the directory that it lies in. */
const perListener = 3;
/** While an upstream is replaced there are two; and a reload may bring more of them. */
const perUpstream = 2;

/**
 * How many sessions there are descriptors for, of all listeners together; fewer than the settings permit is told. Clients never
 * take what upstreams, the journal and operators need: without this the library below Node closes what it accepts too much,
 * in silence, and a dial or a segment fails next.
 */
export function sessionsWithin(settings: Settings, log: Log): number {
  const most = descriptorsMax();
  if (most === undefined) return Number.POSITIVE_INFINITY;
  const upstreams = settings.backends.reduce((sum, { connections }) => sum + connections, 0);
  const listeners = settings.listeners.length * perListener;
  const kept = ourOwn + refusedSessions + adminConnections + listeners + upstreams * perUpstream;
  const left = Math.max(1, most - kept);
  const wanted = settings.listeners.reduce((sum, { sessions }) => sum + sessions, 0);
  if (wanted > left) {
    const text = `the listeners may have ${wanted} sessions, and there are descriptors for ${left} (of ${most}); raise LimitNOFILE or lower sessions`;
    log.report({ event: 'few-descriptors', level: 'warn', text });
  }
  return left;
}
