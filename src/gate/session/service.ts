// All sessions of the daemon: takes accepted transports, admits peers that their listener permits, enforces the limits on their number, and
// ends them at a drain or when a reload revokes their right. A refused connection costs a few log lines, and one record for the rest of
// that second.

import { bounds } from '../../host/bounds/bounds.js';
import type { Clock } from '../../host/ports/machine.js';
import { networkOf, type Peer } from '../../host/ports/peer.js';
import type { Transport } from '../../host/ports/transport.js';
import type { LockEntry } from '../../journal/records/lock-book.js';
import type { Persons } from '../../rules/identity/person.js';
import { principalOf } from '../../rules/identity/principal.js';
import type { OverdueCommands, RunningExchange } from '../command/overdue.js';
import { type FloodSource, networkKey } from '../outcome/journal.js';
import type { ServedListener } from './greet-peer.js';
import { createLineTurns } from './line-turns.js';
import { type RefusalLimits, refusePeer } from './refused-peer.js';
import { Roster, type RunningSession } from './roster.js';
import { Session, type SessionHost } from './session.js';

/**
 * How many clients at once may read why they get no session, by reason; one uid gets at most half of these places. Further clients are
 * closed without an answer. Each reason has places of its own: clients that may not connect take none from those that may.
 * `gate/daemon/served` keeps descriptors free for them.
 */
const explainedMax: Readonly<Record<Refusal['reason'], number>> = {
  'sessions-limit': bounds.refusedSessions,
  'peer-refused': bounds.unpermittedSessions,
};
const refusedInputBytesMax = 16 * 1024 ** 2;

export type Service = ReturnType<typeof createService>;

/** A service without sessions. `sessionsMax`: of all listeners together, since each costs a descriptor. */
export function createService({
  sessionsMax,
  clock,
  overdue,
}: {
  readonly sessionsMax: number;
  readonly clock: Clock;
  readonly overdue: OverdueCommands;
}) {
  const lineTurns = createLineTurns(clock);
  const roster = new Roster();
  /** Clients that are reading why they have no session, each with its origin. */
  const explained: Readonly<Record<Refusal['reason'], Map<Transport, string>>> = {
    'sessions-limit': new Map(),
    'peer-refused': new Map(),
  };
  /** Peers waiting for their turn, by listener and address; each has a descriptor. */
  const arriving = new Counts();
  let isDraining = false;
  let emptied: (() => void) | undefined;

  /** Running commands, overdue ones last. */
  function describeAll(): readonly RunningExchange[] {
    const running = [...roster].flatMap((session) => session.running?.describe() ?? []);
    const ids = new Set(running.map(({ id }) => id));
    // A command that is overdue at one of its backends may run at another.
    return [...running, ...overdue.describe().filter(({ id }) => !ids.has(id))];
  }

  function runningOf(id: string): RunningSession['running'] {
    for (const { running } of roster) if (running?.id === id) return running;
    return undefined;
  }

  /** Why this peer gets no session now; undefined: it gets one. Unauthenticated sessions are closed if that makes room. */
  function refusal(listener: ServedListener, peer: Peer): Refusal | undefined {
    const { context, name } = listener;
    if (context.access(name)?.mayConnect(peer.address) === false) {
      return {
        reason: 'peer-refused',
        text: (who) => `${nameOf(who)} is not among the networks of this listener`,
      };
    }
    if (context.access(name)?.isPreauthenticated !== false && context.policy(peer) === undefined) {
      const text = (who: Peer): string =>
        who.uid === undefined
          ? 'the kernel does not say who connected, and this listener needs to know'
          : `${nameOf(who)} is not among the peers of listener ${name}`;
      const todo = 'ask the operators to add you to them, or use another listener';
      return { reason: 'peer-refused', text, ...(peer.uid !== undefined && { todo }) };
    }
    const key = context.origin(peer);
    const tooMany = noPlaceFor(listener, key);
    if (tooMany !== undefined) return { reason: 'sessions-limit', text: tooMany };
    const isProven = (place: string): boolean => context.access(name)?.logins?.isProven(place) ?? false;
    const makesRoom = (scope: 'peer' | 'listener' | 'all'): boolean => {
      const seat = roster.whoGivesWay(scope, name, key, isProven);
      if (seat === undefined) return false;
      roster.delete(seat.listener, seat.peer, seat.session);
      seat.session.giveWay();
      return true;
    };
    if (context.access(name)?.isPreauthenticated === false) {
      const most = listener.unauthenticatedMax;
      if (roster.unauthenticatedAt(name, key) >= listener.unauthenticatedPerPeerMax) makesRoom('peer');
      if (roster.unauthenticatedAt(name) >= most && !makesRoom('listener'))
        return { reason: 'sessions-limit', text: () => `more than ${most} clients are logging in at once` };
    }
    if (roster.size < sessionsMax || makesRoom('all')) return undefined;
    return {
      reason: 'sessions-limit',
      text: () => `all ${sessionsMax} sessions that there are descriptors for are in use`,
    };
  }

  function noPlaceFor(listener: ServedListener, key: string): Refusal['text'] | undefined {
    const { name, sessionsMax: most, sessionsPerPeerMax } = listener;
    if (roster.sizeAt(name, key) >= sessionsPerPeerMax)
      return (who) => `more than ${sessionsPerPeerMax} sessions of ${who.user ?? nameOf(who)} at once`;
    return roster.sizeAt(name) >= most ? () => `more than ${most} sessions at once` : undefined;
  }

  /**
   * Whether this client gets the reason: the kernel identifies it, and there is a place. A TCP client is a stranger up to its login, which
   * costs TLS and a hash: it gets none. Neither does an HTTP client, which would wait for another greeting.
   */
  function canExplain({ name, context }: ServedListener, peer: Peer, reason: Refusal['reason']): boolean {
    if (peer.address !== undefined) return false;
    const access = context.access(name);
    if (access?.isPreauthenticated !== true || access.protocol === 'http') return false;
    const most = explainedMax[reason];
    const others = explained[reason];
    if (others.size >= most) return false;
    const key = context.origin(peer);
    return [...others.values()].filter((each) => each === key).length < most / 2;
  }

  function explain(
    { name, context }: ServedListener,
    transport: Transport,
    peer: Peer,
    described: Promise<Peer>,
    { reason, text, todo }: Refusal,
  ): void {
    const { lineBytesMax } = context.limits();
    const limits: RefusalLimits = {
      // Longer lines get the same answer. Their bytes count in no budget, so the limit here is low.
      lineBytesMax: Math.min(lineBytesMax, bounds.commandLineBytes),
      inputBytesMax: refusedInputBytesMax,
      inputTimeMs: bounds.refusedStepMs,
      waitMs: bounds.refusedStepMs,
    };
    explained[reason].set(transport, context.origin(peer));
    void refusePeer({
      transport,
      clock,
      limits,
      reason,
      text: async () => `${text(await described)}${todo === undefined ? '' : `; ${todo}`}`,
      refusalCell: context.access(name)?.refusalCell ?? false,
    }).finally(() => explained[reason].delete(transport));
  }

  const host: SessionHost = {
    lineTurns,
    onStanding: (changed) => roster.update(changed),
    admit(proven) {
      const { listener: name, origin, peer } = proven.names;
      if (proven.standing === 'known' && origin === proven.countedAs) return undefined;
      roster.delete(name, proven.countedAs, proven);
      const tooMany = noPlaceFor(proven.servedAt, origin);
      if (tooMany === undefined) {
        proven.standing = 'known';
        proven.countedAs = origin;
      }
      roster.add(name, proven.countedAs, proven);
      return tooMany?.(peer);
    },
    onEnd(session) {
      roster.delete(session.names.listener, session.countedAs, session);
      if (isDraining && roster.size === 0) emptied?.();
    },
  };

  return {
    /** Resolves when an unauthenticated peer from there may be served; undefined: at once. */
    turnOf(listener: ServedListener, address: string | undefined): Promise<void> | undefined {
      const { name, context, unauthenticatedMax, unauthenticatedPerPeerMax } = listener;
      const logins = context.access(name)?.logins;
      if (address === undefined || logins === undefined || isDraining) return undefined;
      const network = networkOf(address);
      const place = networkKey(network, name);
      // Without room, peers do not wait: they are refused, or older sessions are closed for them.
      if (
        roster.size + arriving.size >= sessionsMax ||
        roster.unauthenticatedAt(name) + arriving.size >= unauthenticatedMax ||
        roster.unauthenticatedAt(name, context.origin({ listener: name, address })) + arriving.of(place) >=
          unauthenticatedPerPeerMax
      )
        return undefined;
      arriving.add(place, 1);
      return logins.turnOf(address).then(() => arriving.add(place, -1));
    },
    /**
     * Serves a transport until it ends; never rejects. `describe` is called after admission, for facts that take longer than an accept may;
     * it never rejects either.
     */
    serve(
      listener: ServedListener,
      transport: Transport,
      peer: Peer,
      describe: () => Promise<Peer> = () => Promise.resolve(peer),
    ): void {
      if (isDraining) return transport.close('draining');
      const refused = refusal(listener, peer);
      if (refused !== undefined) {
        const described = turnAway(listener, peer, describe, refused) ?? Promise.resolve(peer);
        if (canExplain(listener, peer, refused.reason))
          return explain(listener, transport, peer, described, refused);
        // The connection is not counted, so it must not stay for the time of an orderly close.
        return transport.close(refused.reason, peer.address !== undefined);
      }
      const session = new Session(host, listener, transport, peer, describe());
      roster.add(listener.name, session.countedAs, session);
    },
    get sessions(): number {
      return roster.size;
    },
    sessionsByListener(): Roster['sizes'] {
      return roster.sizes;
    },
    running: describeAll,
    find: (id: string): RunningExchange | undefined => runningOf(id)?.describe() ?? overdue.find(id),
    /** Ends a running command; false: it does not run. */
    kill(id: string): boolean {
      const exchange = runningOf(id);
      exchange?.abort('killed');
      return overdue.kill(id) || exchange !== undefined;
    },
    /** Ends the running commands that a lock stops; returns how many. */
    killBound(lock: LockEntry, persons: Pick<Persons, 'sharesHuman'>): number {
      const running = [...roster].flatMap(({ running: exchange }) =>
        exchange?.isBound(lock) === true ? [exchange.id] : [],
      );
      const ids = new Set([...running, ...overdue.boundBy(lock, persons)]);
      for (const id of ids) this.kill(id);
      return ids.size;
    },
    /** After a reload, or a new certificate: ends the sessions whose listener, right or proof is gone, each after its exchange. */
    reviewRights(): void {
      for (const session of roster) if (!session.isPermitted()) session.drain('revoked');
    },
    /** Ends idle sessions now and the others after their exchange; resolves when none is left. */
    drain(): Promise<void> {
      isDraining = true;
      for (const session of roster) session.drain('draining');
      if (roster.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        emptied = resolve;
      });
    },
    /** Cancels the running commands and notifies the clients; overdue ones end too. */
    abort(): void {
      for (const session of roster) session.abort();
      overdue.abort();
    },
    cut(): void {
      for (const session of roster) session.cut();
      for (const clients of Object.values(explained))
        for (const transport of clients.keys()) transport.close('draining', true);
    },
  };
}

/** Counts by name; a count of 0 takes no memory. */
class Counts {
  size = 0;
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string, more: 1 | -1): void {
    this.size += more;
    const count = this.of(name) + more;
    if (count === 0) this.#counts.delete(name);
    else this.#counts.set(name, count);
  }
}

/** Why a client gets no session: the reason of the close, and a sentence about the client. */
interface Refusal {
  readonly reason: 'sessions-limit' | 'peer-refused';
  readonly text: (who: Peer) => string;
  /** What the client can do; not logged. */
  readonly todo?: string;
}

/** Rate-limits logging of refused connections. Returns the name of the client, which is looked up only if a line is logged. */
function turnAway(
  { name: listener, context }: ServedListener,
  peer: Peer,
  describe: () => Promise<Peer>,
  { text }: Refusal,
): Promise<Peer> | undefined {
  const { floods, observe } = context.exchanges();
  const { address } = peer;
  const source: FloodSource =
    address === undefined
      ? { origin: context.origin(peer), principal: principalOf(peer).text }
      : { network: networkOf(address), listener };
  if (!floods.admit('turned-away', source)) return undefined;
  return describe().then((who) => {
    const principal = principalOf(who).text;
    observe({ kind: 'session-refused', level: 'warn', listener, principal, text: text(who) });
    return who;
  });
}

function nameOf(peer: Peer): string {
  const { uid, gid, user } = peer;
  if (uid === undefined) return peer.address === undefined ? '-' : networkOf(peer.address);
  return user === undefined
    ? `uid ${uid} (gid ${gid ?? '-'})`
    : `${principalOf(peer).name} (uid ${uid}, gid ${gid ?? '-'})`;
}
