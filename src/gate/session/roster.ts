// The running sessions, and which unauthenticated one is closed when there is no room. Two tables: sessions that have proved who they are
// count by listener and by peer; unauthenticated ones count apart, by network, so that connections that prove nothing never take the place
// of a proven one. No query walks all sessions, because a full listener makes one for each connection that it refuses.

import { OrderedSet, type Placed } from '../../host/concurrency/ordered-set.js';
import type { Exchange } from '../command/exchange.js';

export interface RunningSession extends Placed<RunningSession> {
  readonly done: Promise<void>;
  /** `unauthenticated`: it must log in; `checking`: its password or key is being checked. Both are closed when there is no room. */
  readonly standing: 'known' | 'unauthenticated' | 'checking';
  isPermitted(): boolean;
  giveWay(): void;
  /** Closes it now when no exchange runs, else after it. In a drain, a session that just began is served one command first. */
  drain(reason: 'draining' | 'revoked'): void;
  /** The drain time is over: its exchange is canceled, its client is notified, and the session ends. */
  abort(): void;
  /** Closes it now and drops unsent output. */
  cut(): void;
  readonly running: Exchange | undefined;
}

export type IsProven = (peer: string) => boolean;

export interface Seat {
  readonly listener: string;
  readonly peer: string;
  readonly session: RunningSession;
}

interface AtListener {
  size: number;
  /** By peer. No built-in Set: with many changes it copies its members, and these tables outlive every minor collection. */
  readonly byPeer: Map<string, OrderedSet<RunningSession>>;
  readonly unauthenticated: Unauthenticated;
}

export class Roster {
  /** All sessions: each has a descriptor. */
  size = 0;
  readonly #listeners = new Map<string, AtListener>();
  readonly #everywhere = new Unauthenticated();
  readonly #seats = new Map<RunningSession, Seat>();

  /** Known sessions of a listener; those of one peer there. */
  sizeAt(listener: string, peer?: string): number {
    const at = this.#listeners.get(listener);
    return (peer === undefined ? at?.size : at?.byPeer.get(peer)?.size) ?? 0;
  }

  /** Unauthenticated sessions of a listener; those of one peer there. */
  unauthenticatedAt(listener: string, peer?: string): number {
    const unauthenticated = this.#listeners.get(listener)?.unauthenticated;
    return (peer === undefined ? unauthenticated?.size : unauthenticated?.sizeOf(peer)) ?? 0;
  }

  get sizes(): ReadonlyMap<string, { readonly known: number; readonly unauthenticated: number }> {
    return new Map(
      [...this.#listeners].map(([listener, at]) => [
        listener,
        { known: at.size, unauthenticated: at.unauthenticated.size },
      ]),
    );
  }

  add(listener: string, peer: string, session: RunningSession): void {
    const at = this.#listeners.get(listener) ?? {
      size: 0,
      byPeer: new Map<string, OrderedSet<RunningSession>>(),
      unauthenticated: new Unauthenticated(),
    };
    this.#listeners.set(listener, at);
    this.size += 1;
    if (session.standing === 'known') addKnown(at, peer, session);
    else this.#takeSeat({ listener, peer, session });
  }

  update(session: RunningSession): void {
    const seat = this.#seats.get(session);
    if (seat === undefined) return;
    if (session.standing !== 'known') return this.#takeSeat(seat);
    this.#leaveSeat(session);
    const at = this.#listeners.get(seat.listener);
    if (at !== undefined) addKnown(at, seat.peer, session);
  }

  /** Idempotent. */
  delete(listener: string, peer: string, session: RunningSession): void {
    const at = this.#listeners.get(listener);
    if (at === undefined) return;
    const known = at.byPeer.get(peer);
    if (known?.delete(session) === true) {
      at.size -= 1;
      if (known.size === 0) at.byPeer.delete(peer);
    } else if (!this.#leaveSeat(session)) return;
    this.size -= 1;
    if (at.size === 0 && at.unauthenticated.size === 0) this.#listeners.delete(listener);
  }

  /** The unauthenticated session to close for a newcomer: one of `peer` at the listener, one of the listener, or any; undefined: none. */
  whoGivesWay(
    scope: 'peer' | 'listener' | 'all',
    listener: string,
    peer: string,
    isProven: IsProven,
  ): Seat | undefined {
    if (scope === 'all') return this.#everywhere.whoGivesWay(peer, isProven);
    const unauthenticated = this.#listeners.get(listener)?.unauthenticated;
    return scope === 'peer' ? unauthenticated?.oldestOf(peer) : unauthenticated?.whoGivesWay(peer, isProven);
  }

  *[Symbol.iterator](): Iterator<RunningSession> {
    for (const { byPeer } of this.#listeners.values())
      for (const sessions of byPeer.values()) yield* sessions;
    yield* this.#seats.keys();
  }

  /** Returns false if the session had no seat. */
  #leaveSeat(session: RunningSession): boolean {
    const seat = this.#seats.get(session);
    if (seat === undefined) return false;
    this.#seats.delete(session);
    this.#everywhere.delete(seat);
    this.#listeners.get(seat.listener)?.unauthenticated.delete(seat);
    return true;
  }

  #takeSeat(seat: Seat): void {
    this.#seats.set(seat.session, seat);
    this.#everywhere.put(seat);
    this.#listeners.get(seat.listener)?.unauthenticated.put(seat);
  }
}

function addKnown(at: AtListener, peer: string, session: RunningSession): void {
  const sessions = at.byPeer.get(peer) ?? new OrderedSet<RunningSession>();
  at.byPeer.set(peer, sessions);
  sessions.add(session);
  at.size += 1;
}

interface Entry extends Placed<Entry> {
  readonly seat: Seat;
  readonly network: Network;
}

interface Network extends Placed<Network> {
  readonly name: string;
  readonly silent: OrderedSet<Entry>;
  readonly checking: OrderedSet<Entry>;
}

type ByCount = OrderedSet<Network>[];

/**
 * Sessions of one network whose password or key is being checked, and that are not closed for a newcomer from there: a hash takes as long
 * as hundreds of connections. Beyond this number such a session is closed first; otherwise one guess on each connection would keep all
 * places.
 */
const checkingMax = 16;

/**
 * Unauthenticated sessions, by network. A newcomer always gets a place, because a session that proves nothing must not keep
 * another one out. At the limit of its network it gets the place of the oldest session there. At a limit of all networks, if somebody from
 * the newcomer's network logged in lately, a session of a network that proved nothing goes first, then the oldest of the network with most
 * sessions. Sessions that are being checked, up to 16 of a network, go only where there is no other one.
 */
class Unauthenticated {
  readonly #networks = new Map<string, Network>();
  readonly #entries = new Map<Seat, Entry>();
  readonly #byCount: ByCount = [];

  get size(): number {
    return this.#entries.size;
  }

  sizeOf(network: string): number {
    const found = this.#networks.get(network);
    return found === undefined ? 0 : countOf(found);
  }

  /** Call again after its standing has changed. */
  put(seat: Seat): void {
    const network = this.#networks.get(seat.peer) ?? {
      place: undefined,
      name: seat.peer,
      silent: new OrderedSet<Entry>(),
      checking: new OrderedSet<Entry>(),
    };
    this.#networks.set(seat.peer, network);
    const entry = this.#entries.get(seat) ?? { place: undefined, seat, network };
    this.#entries.set(seat, entry);
    entry.place?.set.delete(entry);
    (seat.session.standing === 'checking' ? network.checking : network.silent).add(entry);
    this.#settle(network);
  }

  delete(seat: Seat): void {
    const entry = this.#entries.get(seat);
    this.#entries.delete(seat);
    entry?.place?.set.delete(entry);
    if (entry !== undefined) this.#settle(entry.network);
  }

  oldestOf(network: string): Seat | undefined {
    return oldestIn(this.#networks.get(network));
  }

  whoGivesWay(newcomer: string, isProven: IsProven): Seat | undefined {
    const unproven = largest(this.#byCount, (each) => hasSpare(each) && !isProven(each.name));
    if (unproven !== undefined && isProven(newcomer)) return oldestIn(unproven);
    const found = largest(this.#byCount, hasSpare);
    const withIt = this.sizeOf(newcomer) + 1;
    if (found !== undefined && countOf(found) > withIt) return oldestIn(found);
    // All networks have equally many sessions: take the oldest of the newcomer's network, or else of a network that has proved nothing.
    return this.oldestOf(newcomer) ?? oldestIn(unproven ?? largest(this.#byCount, () => true));
  }

  #settle(network: Network): void {
    network.place?.set.delete(network);
    const count = countOf(network);
    if (count === 0) {
      this.#networks.delete(network.name);
      return;
    }
    while (this.#byCount.length <= count) this.#byCount.push(new OrderedSet<Network>());
    this.#byCount[count]?.add(network);
  }
}

function countOf({ silent, checking }: Network): number {
  return silent.size + checking.size;
}

/** Whether one of its sessions may be closed although it is not the last resort. */
function hasSpare({ silent, checking }: Network): boolean {
  return silent.size > 0 || checking.size > checkingMax;
}

function oldestIn(network: Network | undefined): Seat | undefined {
  if (network === undefined) return undefined;
  const { silent, checking } = network;
  const first = checking.size <= checkingMax ? silent.first : undefined;
  return (first ?? checking.first ?? silent.first)?.seat;
}

/** The network with the most sessions for which `isIt` holds. Few are passed over: proven ones, and those that are being checked. */
function largest(byCount: ByCount, isIt: (network: Network) => boolean): Network | undefined {
  while (byCount.at(-1)?.size === 0) byCount.pop();
  for (const networks of byCount.toReversed()) {
    for (let each = networks.first; each !== undefined; each = networks.after(each))
      if (isIt(each)) return each;
  }
  return undefined;
}
