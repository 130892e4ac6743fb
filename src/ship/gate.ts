// The gate, as `dovegate ship` sees it at `audit.door`: the receivers, again after each reload, and how far its journal is on disk. What
// was told last holds while the gate is away, so what is on disk goes on its way.

import type { DoorClient } from '../gate/door/door-client.js';
import { DoorFault } from '../gate/door/door-client.js';
import type { ShipCall, ShipClaims, ShipHead, ShipLine } from '../gate/door/ship.js';
import type { Log } from '../gate/telemetry/log.js';
import { pause } from '../host/concurrency/waiting.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';

export interface GateParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly client: DoorClient<ShipCall>;
  readonly onHead: (head: ShipHead) => void;
  readonly onSeq: (seq: number) => void;
}

const retryMs = 500;

export class Gate {
  readonly #parts: GateParts;
  #away: string | undefined = 'dovegate was not asked yet';
  readonly #ended = new AbortController();

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Why it cannot be asked now, as a sentence; undefined: it can. */
  get away(): string | undefined {
    return this.#away;
  }

  /** Follows it until `close`. Never rejects. */
  async follow(): Promise<void> {
    const { clock, log, client } = this.#parts;
    const { signal } = this.#ended;
    let told: string | undefined;
    while (!signal.aborted) {
      try {
        for await (const line of client.lines('receivers', signal)) {
          this.#take(line);
          told = undefined;
        }
      } catch (fault) {
        const code = fault instanceof DoorFault ? fault.code : 'away';
        this.#away = messageOf(fault);
        // How a gate that is gone does not answer changes from one attempt to the next.
        if (told !== code) log.report({ event: 'door-away', level: 'warn', text: this.#away });
        told = code;
      }
      await pause(clock, retryMs, signal);
    }
  }

  /** Rejects with a DoorFault. */
  async tell(claims: ShipClaims): Promise<void> {
    await this.#parts.client.call('shipped', claims);
  }

  close(): void {
    this.#ended.abort(new Error('dovegate ship is stopping'));
    this.#parts.client.close();
  }

  #take(text: string): void {
    const line: ShipLine = JSON.parse(text);
    this.#away = undefined;
    if ('head' in line) this.#parts.onHead(line.head);
    else this.#parts.onSeq(line.seq);
  }
}
