// All sessions of the daemon: takes accepted transports, holds the limits on how many there may be, ends them at a drain.
// It does not know sockets or configuration files.

import type { Peer } from '../identity/peer.js';
import type { Transport } from '../ports/transport.js';
import { type RunningSession, type SessionContext, startSession } from './session.js';

/** One listener as the service sees it; replaced by a reload. */
export interface ServedListener {
  readonly name: string;
  readonly sessionsMax: number;
  readonly context: SessionContext;
}

/** All sessions. */
export interface Service {
  /** Serves a transport until it ends; never rejects. */
  serve(listener: ServedListener, transport: Transport, peer: Peer): void;
  /** Sessions that run. */
  readonly sessions: number;
  /** Sessions that run, by the name of their listener. */
  sessionsByListener(): ReadonlyMap<string, number>;
  /** Ends idle sessions now and the others after their exchange; resolves when none is left. */
  drain(): Promise<void>;
  /** Gives up what still runs, and tells the clients. */
  abort(): void;
  /** Ends all sessions now, whatever is still to be said. */
  cut(): void;
}

/** A service without sessions. */
export function createService(): Service {
  const running = new Map<string, Set<RunningSession>>();
  let isDraining = false;
  let emptied: (() => void) | undefined;

  function count(): number {
    let sum = 0;
    for (const sessions of running.values()) sum += sessions.size;
    return sum;
  }

  return {
    serve(listener, transport, peer) {
      const sessions = running.get(listener.name) ?? new Set();
      running.set(listener.name, sessions);
      if (isDraining) return transport.close('draining');
      if (sessions.size >= listener.sessionsMax) {
        const text = `more than ${listener.sessionsMax} sessions at once`;
        listener.context.exchanges().observe({ kind: 'session-refused', listener: listener.name, text });
        return transport.close('sessions-limit');
      }
      const session = startSession(listener.context, transport, peer);
      sessions.add(session);
      void session.done.finally(() => {
        sessions.delete(session);
        if (isDraining && count() === 0) emptied?.();
      });
    },
    get sessions() {
      return count();
    },
    sessionsByListener() {
      return new Map([...running].map(([listener, sessions]) => [listener, sessions.size]));
    },
    drain() {
      isDraining = true;
      for (const sessions of running.values()) for (const session of sessions) session.drain();
      if (count() === 0) return Promise.resolve();
      return new Promise((resolve) => {
        emptied = resolve;
      });
    },
    abort() {
      for (const sessions of running.values()) for (const session of sessions) session.abort();
    },
    cut() {
      for (const sessions of running.values()) for (const session of sessions) session.cut();
    },
  };
}
