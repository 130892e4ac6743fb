// The running sessions, counted by listener and by peer, and which unauthenticated one gives way when there is no room.
// The rule: no question walks the sessions, because a full listener asks for each connection that it refuses.

import { createOrderedSet, type OrderedSet, type Placed } from '../../concurrency/ordered-set.js';
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

export interface Roster {
  readonly size: number;
  /** Sessions of a listener; those of one peer there. */
  sizeAt(listener: string, peer?: string): number;
  readonly sizes: ReadonlyMap<string, number>;
  add(listener: string, peer: string, session: RunningSession): void;
  /** After its standing has changed. */
  update(session: RunningSession): void;
  /** Again is no harm. */
  delete(listener: string, peer: string, session: RunningSession): void;
  /**
   * The session that gives way to a newcomer that counts as `peer`: of that peer at the listener, of the listener, or of all;
   * undefined: none.
   */
  whoGivesWay(
    scope: 'peer' | 'listener' | 'all',
    listener: string,
    peer: string,
    isProven: IsProven,
  ): Seat | undefined;
  [Symbol.iterator](): Iterator<RunningSession>;
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

export function createRoster(): Roster {
  const listeners = new Map<string, AtListener>();
  const everywhere = createUnauthenticated();
  /** Of unauthenticated sessions only. */
  const seats = new Map<RunningSession, Seat>();
  let size = 0;

  function leaveSeat(session: RunningSession): void {
    const seat = seats.get(session);
    if (seat === undefined) return;
    seats.delete(session);
    everywhere.delete(seat);
    listeners.get(seat.listener)?.unauthenticated.delete(seat);
  }

  function takeSeat(seat: Seat): void {
    const isSuspect = seat.session.standing === 'suspect';
    seats.set(seat.session, seat);
    everywhere.put(seat, isSuspect);
    listeners.get(seat.listener)?.unauthenticated.put(seat, isSuspect);
  }

  return {
    get size() {
      return size;
    },
    sizeAt(listener, peer) {
      const at = listeners.get(listener);
      return (peer === undefined ? at?.size : at?.byPeer.get(peer)?.size) ?? 0;
    },
    get sizes() {
      return new Map([...listeners].map(([listener, at]) => [listener, at.size]));
    },
    add(listener, peer, session) {
      const at = listeners.get(listener) ?? {
        size: 0,
        byPeer: new Map<string, OrderedSet<RunningSession>>(),
        unauthenticated: createUnauthenticated(),
      };
      listeners.set(listener, at);
      const sessions = at.byPeer.get(peer) ?? createOrderedSet<RunningSession>();
      at.byPeer.set(peer, sessions);
      sessions.add(session);
      at.size += 1;
      size += 1;
      if (session.standing !== 'known') takeSeat({ listener, peer, session });
    },
    update(session) {
      const seat = seats.get(session);
      if (seat === undefined) return;
      if (session.standing === 'known') leaveSeat(session);
      else takeSeat(seat);
    },
    delete(listener, peer, session) {
      const at = listeners.get(listener);
      const sessions = at?.byPeer.get(peer);
      if (at === undefined || sessions?.delete(session) !== true) return;
      leaveSeat(session);
      if (sessions.size === 0) at.byPeer.delete(peer);
      at.size -= 1;
      size -= 1;
      if (at.size === 0) listeners.delete(listener);
    },
    whoGivesWay(scope, listener, peer, isProven) {
      if (scope === 'all') return everywhere.whoGivesWay(peer, isProven);
      const unauthenticated = listeners.get(listener)?.unauthenticated;
      // A peer does not gain by another session of its own, except by one that is suspect.
      return scope === 'peer'
        ? unauthenticated?.suspectOf(peer)
        : unauthenticated?.whoGivesWay(peer, isProven);
    },
    *[Symbol.iterator]() {
      for (const { byPeer } of listeners.values()) for (const sessions of byPeer.values()) yield* sessions;
    },
  };
}

/**
 * Unauthenticated sessions, by network. The rule: a session from a network where logins failed (a suspect) gives way before a
 * newcomer is refused. A silent one gives way only if its network has more of them than the newcomer's would have, or if nobody
 * from its network logged in lately and somebody from the newcomer's did: otherwise as many addresses as there are
 * sessions would keep everybody out. The largest network gives way first, with its oldest session.
 */
interface Unauthenticated {
  put(seat: Seat, isSuspect: boolean): void;
  delete(seat: Seat): void;
  suspectOf(peer: string): Seat | undefined;
  whoGivesWay(newcomer: string, isProven: IsProven): Seat | undefined;
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

function createUnauthenticated(): Unauthenticated {
  const networks = new Map<string, Network>();
  const entries = new Map<Seat, Entry>();
  // Each network is in one of the two: silent sessions matter only while there is no suspect.
  const withSuspects: ByCount = [];
  const withoutSuspects: ByCount = [];

  function settle(network: Network): void {
    network.place?.set.delete(network);
    const count = countOf(network);
    if (count === 0) {
      networks.delete(network.name);
      return;
    }
    const byCount = network.suspects.size > 0 ? withSuspects : withoutSuspects;
    while (byCount.length <= count) byCount.push(createOrderedSet<Network>());
    byCount[count]?.add(network);
  }

  return {
    put(seat, isSuspect) {
      const network = networks.get(seat.peer) ?? {
        place: undefined,
        name: seat.peer,
        silent: createOrderedSet<Entry>(),
        suspects: createOrderedSet<Entry>(),
      };
      networks.set(seat.peer, network);
      const entry = entries.get(seat) ?? { place: undefined, seat, network };
      entries.set(seat, entry);
      entry.place?.set.delete(entry);
      (isSuspect ? network.suspects : network.silent).add(entry);
      settle(network);
    },
    delete(seat) {
      const entry = entries.get(seat);
      entries.delete(seat);
      entry?.place?.set.delete(entry);
      if (entry !== undefined) settle(entry.network);
    },
    suspectOf: (peer) => networks.get(peer)?.suspects.first?.seat,
    whoGivesWay(newcomer, isProven) {
      const suspect = largest(withSuspects)?.suspects.first;
      if (suspect !== undefined) return suspect.seat;
      if (isProven(newcomer)) {
        const unproven = largest(withoutSuspects, ({ name }) => !isProven(name));
        if (unproven !== undefined) return unproven.silent.first?.seat;
      }
      const found = largest(withoutSuspects);
      const itsOwn = networks.get(newcomer);
      const withIt = (itsOwn === undefined ? 0 : countOf(itsOwn)) + 1;
      return found !== undefined && countOf(found) > withIt ? found.silent.first?.seat : undefined;
    },
  };
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
