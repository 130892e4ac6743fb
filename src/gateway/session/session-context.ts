// What a session is held to and what it asks for, and what others see of it. Types only. It does not know how a session goes on.

import type { Placed } from '../../concurrency/ordered-set.js';
import type { Login } from '../../domain/identity/credentials.js';
import type { Peer } from '../../domain/identity/peer.js';
import type { Policy } from '../../domain/policy/rule.js';
import type { ExchangeContext, RunningExchange } from '../command/exchange-context.js';
import type { ListenerDoor } from './door.js';
import type { LineTurns } from './line-turns.js';

/**
 * What one peer may cost us: bytes of a line and of input, fields of a line, milliseconds of handshake and of
 * input.
 */
export interface SessionLimits {
  readonly lineBytesMax: number;
  readonly fieldsMax: number;
  readonly handshakeMs: number;
  readonly inputBytesMax: number;
  readonly inputTimeMs: number;
}

/**
 * What a session asks for each time it needs it, because a reload may have replaced it. All of it is of one configuration:
 * whoever needs two of them asks for both before it waits for anything.
 */
export interface SessionContext {
  readonly exchanges: () => ExchangeContext;
  /** What a peer of that listener meets first; undefined: there is no such listener any more. */
  readonly door: (listener: string) => ListenerDoor | undefined;
  /**
   * What holds for a peer at its listener, by who it is or, where it had to log in, by what it logged in as; undefined: it is
   * not served there, or no longer.
   */
  readonly policy: (peer: Peer, login?: Login) => Policy | undefined;
  readonly limits: () => SessionLimits;
  /** Shares the event loop among the lines of all sessions; outlives a reload. */
  readonly lineTurns: LineTurns;
}

/** A session that runs. Its place is among those of its peer. */
export interface RunningSession extends Placed<RunningSession> {
  readonly done: Promise<void>;
  /**
   * `stranger`: it must log in and has not; `suspect`: it is such a one, and others from there have failed. Where there is no
   * room, these go first.
   */
  readonly standing: 'known' | 'stranger' | 'suspect';
  /** Whether its peer would still be let in. */
  isPermitted(): boolean;
  /** Closes it now, since another one needs its place. */
  giveWay(): void;
  /** Closes it now when no exchange runs, else after it. Who came a moment ago is served one command before a drain. */
  drain(reason: 'draining' | 'revoked'): void;
  /** The time for what runs is over: its exchange is given up and told so, and then the session ends. */
  abort(): void;
  /** Closes it now, whatever is still to be said. */
  cut(): void;
  /** The exchange that runs, if one does. */
  readonly running: RunningExchange | undefined;
}
