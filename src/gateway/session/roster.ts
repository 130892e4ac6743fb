// The running sessions, counted by listener and by peer, and which unauthenticated one gives way when there is no room.
// The rule: no question walks the sessions, because a full listener asks for each connection that it refuses.

import { OrderedSet, type Placed } from '../../concurrency/ordered-set.js';
import type { Exchange } from '../command/exchange.js';

export interface RunningSession extends Placed<RunningSession> {
  readonly done: Promise<void>;
  /**
   * `unauthenticated`: it must log in and has not yet; `suspect`: the same, and logins from its network have failed. These give
   * way when there is no room.
   */
  readonly standing: 'known' | 'unauthenticated' | 'suspect';
  /** Whether its peer would still be let in. */
  isPermitted(): boolean;
  /** Closes it now, to make room. */
  giveWay(): void;
  /** Closes it now when no exchange runs, else after it. In a drain, a session that just began is served one command first. */
  drain(reason: 'draining' | 'revoked'): void;
  /** The drain time is over: its exchange is canceled, its client is told, and the session ends. */
  abort(): void;
  /** Closes it now, with unsent output. */
  cut(): void;
  /** The exchange that runs, if one does. */
  readonly running: Exchange | undefined;
}

/** Whether somebody from that network logged in lately. */
export type IsProven = (peer: string) => boolean;

/** An unauthenticated session and how it is counted. */
export interface Seat {
  readonly listener: string;
  readonly peer: string;
  readonly session: RunningSession;
}

interface AtListener {
  size: number;
  /** (A built-in Set that many sessions come to and leave copies its members from table to table, and all of that outlives every minor collection.) */
  readonly byPeer: Map<string, OrderedSet<RunningSession>>;
  readonly unauthenticated: Unauthenticated;
}

export class Roster {
  size = 0;
  readonly #listeners = new Map<string, AtListener>();
  readonly #everywhere = new Unauthenticated();
  /** Of unauthenticated sessions only. */
  readonly #seats = new Map<RunningSession, Seat>();

  /** Sessions of a listener; those of one peer there. */
  sizeAt(listener: string, peer?: string): number {
    const at = this.#listeners.get(listener);
    return (peer === undefined ? at?.size : at?.byPeer.get(peer)?.size) ?? 0;
  }

  get sizes(): ReadonlyMap<string, number> {
    return new Map([...this.#listeners].map(([listener, at]) => [listener, at.size]));
  }

  add(listener: string, peer: string, session: RunningSession): void {
    const at = this.#listeners.get(listener) ?? {
      size: 0,
      byPeer: new Map<string, OrderedSet<RunningSession>>(),
      unauthenticated: new Unauthenticated(),
    };
    this.#listeners.set(listener, at);
    const sessions = at.byPeer.get(peer) ?? new OrderedSet<RunningSession>();
    at.byPeer.set(peer, sessions);
    sessions.add(session);
    at.size += 1;
    this.size += 1;
    if (session.standing !== 'known') this.#takeSeat({ listener, peer, session });
  }

  /** After its standing has changed. */
  update(session: RunningSession): void {
    const seat = this.#seats.get(session);
    if (seat === undefined) return;
    if (session.standing === 'known') this.#leaveSeat(session);
    else this.#takeSeat(seat);
  }

  /** Again is no harm. */
  delete(listener: string, peer: string, session: RunningSession): void {
    const at = this.#listeners.get(listener);
    const sessions = at?.byPeer.get(peer);
    if (at === undefined || sessions?.delete(session) !== true) return;
    this.#leaveSeat(session);
    if (sessions.size === 0) at.byPeer.delete(peer);
    at.size -= 1;
    this.size -= 1;
    if (at.size === 0) this.#listeners.delete(listener);
  }

  /**
   * The session that gives way to a newcomer that counts as `peer`: of that peer at the listener, of the listener, or of all;
   * undefined: none.
   */
  whoGivesWay(
    scope: 'peer' | 'listener' | 'all',
    listener: string,
    peer: string,
    isProven: IsProven,
  ): Seat | undefined {
    if (scope === 'all') return this.#everywhere.whoGivesWay(peer, isProven);
    const unauthenticated = this.#listeners.get(listener)?.unauthenticated;
    // A peer does not gain by another session of its own, except by one that is suspect.
    return scope === 'peer' ? unauthenticated?.suspectOf(peer) : unauthenticated?.whoGivesWay(peer, isProven);
  }

  *[Symbol.iterator](): Iterator<RunningSession> {
    for (const { byPeer } of this.#listeners.values())
      for (const sessions of byPeer.values()) yield* sessions;
  }

  #leaveSeat(session: RunningSession): void {
    const seat = this.#seats.get(session);
    if (seat === undefined) return;
    this.#seats.delete(session);
    this.#everywhere.delete(seat);
    this.#listeners.get(seat.listener)?.unauthenticated.delete(seat);
  }

  #takeSeat(seat: Seat): void {
    const isSuspect = seat.session.standing === 'suspect';
    this.#seats.set(seat.session, seat);
    this.#everywhere.put(seat, isSuspect);
    this.#listeners.get(seat.listener)?.unauthenticated.put(seat, isSuspect);
  }
}

interface Entry extends Placed<Entry> {
  readonly seat: Seat;
  readonly network: Network;
}

interface Network extends Placed<Network> {
  readonly name: string;
  readonly silent: OrderedSet<Entry>;
  readonly suspects: OrderedSet<Entry>;
}

/** Networks by the number of their sessions. */
type ByCount = OrderedSet<Network>[];

/**
 * Unauthenticated sessions, by network. The rule: a session from a network where logins failed (a suspect) gives way before a
 * newcomer is refused. A silent one gives way only if its network has more of them than the newcomer's would have, or if nobody
 * from its network logged in lately and somebody from the newcomer's did: otherwise as many addresses as there are
 * sessions would keep everybody out. The largest network gives way first, with its oldest session.
 */
class Unauthenticated {
  readonly #networks = new Map<string, Network>();
  readonly #entries = new Map<Seat, Entry>();
  // Each network is in one of the two: silent sessions matter only while there is no suspect.
  readonly #withSuspects: ByCount = [];
  readonly #withoutSuspects: ByCount = [];

  put(seat: Seat, isSuspect: boolean): void {
    const network = this.#networks.get(seat.peer) ?? {
      place: undefined,
      name: seat.peer,
      silent: new OrderedSet<Entry>(),
      suspects: new OrderedSet<Entry>(),
    };
    this.#networks.set(seat.peer, network);
    const entry = this.#entries.get(seat) ?? { place: undefined, seat, network };
    this.#entries.set(seat, entry);
    entry.place?.set.delete(entry);
    (isSuspect ? network.suspects : network.silent).add(entry);
    this.#settle(network);
  }

  delete(seat: Seat): void {
    const entry = this.#entries.get(seat);
    this.#entries.delete(seat);
    entry?.place?.set.delete(entry);
    if (entry !== undefined) this.#settle(entry.network);
  }

  suspectOf(peer: string): Seat | undefined {
    return this.#networks.get(peer)?.suspects.first?.seat;
  }

  whoGivesWay(newcomer: string, isProven: IsProven): Seat | undefined {
    const suspect = largest(this.#withSuspects)?.suspects.first;
    if (suspect !== undefined) return suspect.seat;
    if (isProven(newcomer)) {
      const unproven = largest(this.#withoutSuspects, ({ name }) => !isProven(name));
      if (unproven !== undefined) return unproven.silent.first?.seat;
    }
    const found = largest(this.#withoutSuspects);
    const itsOwn = this.#networks.get(newcomer);
    const withIt = (itsOwn === undefined ? 0 : countOf(itsOwn)) + 1;
    return found !== undefined && countOf(found) > withIt ? found.silent.first?.seat : undefined;
  }

  #settle(network: Network): void {
    network.place?.set.delete(network);
    const count = countOf(network);
    if (count === 0) {
      this.#networks.delete(network.name);
      return;
    }
    const byCount = network.suspects.size > 0 ? this.#withSuspects : this.#withoutSuspects;
    while (byCount.length <= count) byCount.push(new OrderedSet<Network>());
    byCount[count]?.add(network);
  }
}

function countOf({ silent, suspects }: Network): number {
  return silent.size + suspects.size;
}

/** The network with the most sessions that `isIt`. It passes over networks where somebody logged in lately; those are few. */
function largest(byCount: ByCount, isIt: (network: Network) => boolean = () => true): Network | undefined {
  while (byCount.at(-1)?.size === 0) byCount.pop();
  for (const networks of byCount.toReversed()) {
    for (let each = networks.first; each !== undefined; each = networks.after(each))
      if (isIt(each)) return each;
  }
  return undefined;
}
