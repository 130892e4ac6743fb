// Lines of locks on their way from a stream to the gate, which alone says whether they count. One that it has taken, or refused for good,
// is not handed over again until the gate says anew what to ship: after a reload it may list another key.

import { DoorFault } from '../adapters/door/door-client.js';
import type { LockLinesDoor } from '../adapters/shipping/nats-carrier.js';
import type { Log } from '../adapters/telemetry/log.js';
import { bounds } from '../bounds/bounds.js';
import { sha256Hex } from '../domain/people/identity/credentials.js';
import { linesOfMessage } from '../domain/records/fleet/lock-line.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import type { Gate } from './gate.js';

export interface LockLinesParts {
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Pick<Log, 'report'>;
  readonly gate: () => Pick<Gate, 'lock'>;
  readonly isWanted: () => boolean;
}

/** What the gate could not do, it is asked again after so long. */
const againMs = 30_000;
/** A stream may have another line each time: so often a line is logged that the gate does not take. */
const untakenMs = 60_000;
/** Of each receiver, those of two messages. */
const linesMax = 2 * bounds.fleetLockKeys * bounds.shipReceivers;

export class LockLines implements LockLinesDoor {
  readonly #parts: LockLinesParts;
  /** When each is handed over again, by its hash. */
  readonly #dueMs = new Map<string, number>();
  #isBusy = false;
  #untakenMs = -Infinity;
  #away: string | undefined;

  constructor(parts: LockLinesParts) {
    this.#parts = parts;
  }

  readonly isWanted = (): boolean => this.#parts.isWanted();

  readonly take = (bytes: Uint8Array): void => void this.#take(bytes);

  readonly failed = (why: string | undefined): void => {
    if (why !== undefined && why !== this.#away) this.#warn(`no locks of the fleet are asked for: ${why}`);
    this.#away = why;
  };

  /** The gate has said anew what to ship. */
  review(): void {
    this.#dueMs.clear();
  }

  #warn(text: string): void {
    this.#parts.log.report({ event: 'fleet-lock-failed', level: 'warn', text });
  }

  /** Never rejects. */
  async #take(bytes: Uint8Array): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (const line of linesOfMessage(bytes)) await this.#handOver(line);
    this.#isBusy = false;
  }

  async #handOver(line: string): Promise<void> {
    const { clock, gate } = this.#parts;
    const name = sha256Hex(line);
    const dueMs = this.#dueMs.get(name);
    if (dueMs !== undefined && clock.now() < dueMs) return;
    const [oldest] = this.#dueMs.keys();
    if (oldest !== undefined && this.#dueMs.size >= linesMax) this.#dueMs.delete(oldest);
    this.#dueMs.set(name, Number.POSITIVE_INFINITY);
    try {
      await gate().lock(line);
    } catch (fault) {
      const isForGood = fault instanceof DoorFault && fault.code === 'malformed';
      // Before the gate said anew what to ship, which made it due.
      if (!isForGood && this.#dueMs.has(name)) this.#dueMs.set(name, clock.now() + againMs);
      if (clock.now() - this.#untakenMs < untakenMs) return;
      this.#untakenMs = clock.now();
      this.#warn(`the gate does not take a line of locks: ${messageOf(fault)}`);
    }
  }
}
