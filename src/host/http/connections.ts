// The connections of one server: how many there are at once, how long each may take, whose it is, and which one is closed for a new one.
// Connections that only occupy a place never keep a new one out, and the network or person with the most loses one, so others have time to
// send, however fast a stranger connects. An answer that is being made is never given up. People who are signed in never lose a connection
// to strangers.

import type { Clock, Timer } from '../ports/machine.js';
import { networkOf } from '../ports/peer.js';
import type { TlsPeer } from '../ports/transport.js';

/** What is needed of a connection; a socket of Node has it. */
export interface Connection {
  /** None on a UNIX socket. All its clients count as one network. */
  readonly remoteAddress?: string | undefined;
  readonly bytesRead: number;
  destroy(): unknown;
  once(event: 'close', run: () => void): unknown;
}

export interface ConnectionLimits {
  readonly connectionsMax: number;
  /** How many connections a person keeps while others want a place. */
  readonly personConnectionsMax?: number;
  /** Requests of one connection that were not answered yet. */
  readonly pipelinedMax: number;
  /**
   * Of a connection for one request: from accept to the end of the request, and again to read the answer. Undefined: a connection stays
   * for the next one, and Node watches over the time of each.
   */
  readonly oneRequestMs?: number;
}

/** From accept. Clients connect in order to send. */
const firstByteMs = 1_000;
/** From the end of a request to its answer: our own time. A reload takes long on a loaded machine, and its client waits 30 s. */
const workingMs = 60_000;

export interface HttpPeer {
  readonly address: string | undefined;
  /** Its certificate, verified; undefined: it showed none. */
  readonly certificate: TlsPeer | undefined;
}

/**
 * `waiting`: for a request or the rest of it. Silent connections and half requests are one stage: if silent ones went first, one byte
 * from each of a stranger's connections would make all others go first. `asked`: the request has come, and it is not known yet whether
 * it may be answered; `working`: the answer is being made; `answered`: the client has to read it.
 */
type Stage = 'waiting' | 'asked' | 'working' | 'answered';

interface Kept {
  readonly connection: Connection;
  readonly address: string | undefined;
  /** The network, until it is known which person it is. */
  owner: string;
  isPerson: boolean;
  stage: Stage;
  certificate: TlsPeer | undefined;
  /** Closes the connection when the time of its stage is over. */
  timer: Timer | undefined;
  /** Running requests, aborted with the connection: Node does not report its end to a request that is queued behind another. */
  readonly running: Set<AbortController>;
}

export class Connections {
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #open = new Map<Connection, Kept>();

  constructor(clock: Clock, limits: ConnectionLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Takes a new connection: it is closed when its time is over, and another one if there are too many. */
  accepted(connection: Connection): void {
    const { remoteAddress: address } = connection;
    const owner = address === undefined ? '' : networkOf(address);
    if (this.#open.size >= this.#limits.connectionsMax) {
      const going = this.#leastWanted(owner)?.connection ?? connection;
      this.#open.delete(going);
      going.destroy();
      if (going === connection) return;
    }
    const kept: Kept = {
      connection,
      address,
      owner,
      isPerson: false,
      stage: 'waiting',
      certificate: undefined,
      timer: undefined,
      running: new Set(),
    };
    this.#open.set(connection, kept);
    const { oneRequestMs } = this.#limits;
    if (oneRequestMs !== undefined)
      kept.timer = this.#clock.setTimer(
        firstByteMs,
        () => void this.#firstByteDue(kept, oneRequestMs - firstByteMs),
      );
    connection.once('close', () => {
      kept.timer?.cancel();
      this.#open.delete(connection);
      for (const gone of kept.running) gone.abort(new Error('the client has gone'));
    });
  }

  /** False: it was closed for another one meanwhile. */
  secured(connection: Connection, certificate: TlsPeer | undefined): boolean {
    const kept = this.#open.get(connection);
    if (kept !== undefined) kept.certificate = certificate;
    return kept !== undefined;
  }

  peerOf(connection: Connection): HttpPeer {
    const { address, certificate } = this.#open.get(connection) ?? {};
    return { address: address ?? connection.remoteAddress, certificate };
  }

  /** Registers a request, so that `gone` is aborted with the connection. Call the returned function when the request has ended. */
  began(connection: Connection, gone: AbortController): () => void {
    const kept = this.#open.get(connection);
    if (kept === undefined) return () => undefined;
    kept.running.add(gone);
    // Browsers wait for an answer before the next request; answers to clients that do not would pile up here.
    if (kept.running.size > this.#limits.pipelinedMax) connection.destroy();
    return () => {
      kept.running.delete(gone);
      if (kept.running.size === 0) kept.stage = 'waiting';
    };
  }

  /** An answer may come before the end of the request, whose rest then changes nothing. */
  become(connection: Connection, stage: 'asked' | 'working' | 'answered'): void {
    const kept = this.#open.get(connection);
    if (kept === undefined || kept.stage === 'answered' || (stage === 'asked' && kept.stage !== 'waiting'))
      return;
    kept.stage = stage;
    const { oneRequestMs } = this.#limits;
    if (oneRequestMs === undefined || stage === 'asked') return;
    kept.timer?.cancel();
    const ms = stage === 'working' ? workingMs : oneRequestMs;
    kept.timer = this.#clock.setTimer(ms, () => void connection.destroy());
  }

  /** Its answer may take any time. When there are too many connections, it may still be closed for a new one. */
  prolong(connection: Connection): void {
    this.become(connection, 'answered');
    this.#open.get(connection)?.timer?.cancel();
  }

  /** The connection belongs to this person from now on; one person may have several. */
  known(connection: Connection, person: string): void {
    const kept = this.#open.get(connection);
    if (kept === undefined) return;
    kept.isPerson = true;
    kept.owner = `person ${person}`;
  }

  end(): void {
    for (const connection of this.#open.keys()) connection.destroy();
  }

  /** Looks one turn later: after a stall, timers fire before the bytes that have arrived are read. */
  async #firstByteDue(kept: Kept, restMs: number): Promise<void> {
    await this.#clock.nextTurn();
    const { connection } = kept;
    if (this.#open.get(connection) !== kept || kept.stage === 'working' || kept.stage === 'answered') return;
    if (connection.bytesRead === 0) connection.destroy();
    else kept.timer = this.#clock.setTimer(restMs, () => void connection.destroy());
  }

  /**
   * The connection to close for a new one: one of a stranger before one of a person; of the network or person with the most (`newcomer`:
   * the network that gets one more); the oldest that waits for its request, else the oldest that does not read its answer. Undefined: none,
   * so the new one is closed.
   */
  #leastWanted(newcomer: string): Kept | undefined {
    const counts = new Map([[newcomer, 1]]);
    for (const { owner } of this.#open.values()) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    const { personConnectionsMax = 0 } = this.#limits;
    let found: Kept | undefined;
    let most: readonly number[] = [];
    for (const kept of this.#open.values()) {
      const { owner, isPerson, stage } = kept;
      const count = counts.get(owner) ?? 0;
      if (stage === 'working' || (isPerson && count <= personConnectionsMax)) continue;
      const rank = [isPerson ? 0 : 1, count, stage === 'waiting' ? 1 : 0];
      const at = rank.findIndex((each, index) => each !== most[index]);
      if (at < 0 || (rank[at] ?? 0) < (most[at] ?? 0)) continue;
      found = kept;
      most = rank;
    }
    return found;
  }
}
