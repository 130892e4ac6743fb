// `audit.door`: the calls of `dovegate ship` to the daemon. One process at a time gets the receivers and the position up to which the
// journal is on disk; its reports go to `shipped`. It cannot cause a record, a signature or an action.

import { bounds } from '../../host/bounds/bounds.js';
import { TokenBuckets } from '../../host/concurrency/limits.js';
import { pause, Wakes } from '../../host/concurrency/waiting.js';
import type { FindPeer } from '../../host/machine/find-peer.js';
import { hostName, programVersion } from '../../host/machine/process.js';
import type { Clock } from '../../host/ports/machine.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import type { Settings } from '../../rules/config/settings.js';
import { type ShipAsked, type ShipHead, type ShipLine, shipCalls } from '../door/ship.js';
import type { Log } from '../telemetry/log.js';
import { type DoorPlace, json, linesOf, openDoorServer, refused } from './door-server.js';
import type { Shipped } from './shipped.js';

export interface ShipDoorParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  readonly place: DoorPlace;
  readonly findPeer: FindPeer;
  readonly journal: Pick<OpenJournal, 'seq'> & { readonly found: Pick<OpenJournal['found'], 'journal'> };
  /** The public half of the key that signs the journal. */
  readonly key: string;
  readonly shipped: Pick<Shipped, 'claim' | 'left'>;
  readonly settings: () => Settings;
}

export type OpenShipDoor = Awaited<ReturnType<typeof openShipDoor>>;

const beatMs = 1_000;
/** Least time between two lines with the journal's position: one line for each record would cost more than it is worth. */
const gatherMs = 20;
/** Time for the process to read the last line. If it does not, it gets the end of the journal after the next start. */
const lastMs = 1_000;
/** Time to send removed receivers the records that they still lack. */
const retireMs = 30_000;

/** Serves until it is closed. Rejects with a ListenFault. */
export async function openShipDoor(parts: ShipDoorParts) {
  const { clock, log, journal, key, shipped, settings } = parts;
  const wakes = new Wakes(true);
  const calls = new TokenBuckets({ burst: bounds.doorCalls, refillMs: bounds.doorCallMs, sourcesMax: 2 });
  let generation = 1;
  /** Signal of the one open stream; aborted once its process has left. */
  let told: AbortSignal | undefined;
  let isClosing = false;
  const server = await openDoorServer<ShipAsked>({
    ...parts,
    calls: shipCalls,
    take: (call) => calls.take(call, clock.now()),
    handlers: {
      receivers(_asked, _peer, { signal }) {
        if (told !== undefined)
          return Promise.resolve(
            refused({ code: 'busy', text: 'another dovegate ship is told the receivers already' }),
          );
        return Promise.resolve(linesOf(watch(signal)));
      },
      shipped(claims) {
        const why = shipped.claim(claims);
        return Promise.resolve(
          why === undefined ? json(200, {}) : refused({ code: 'malformed', text: why }, 400),
        );
      },
    },
    onError: (text) => log.report({ event: 'admin-failed', level: 'error', text }),
  });

  return {
    /** Call after a reload: sends the new receivers. */
    review(): void {
      generation += 1;
      wakes.wake();
    },
    /** Call when more records may be on disk. */
    nudge: () => wakes.wake(),
    /** Sends that there are no receivers any more, waits until the process has left, and closes. */
    retire(): Promise<void> {
      generation += 1;
      return endWithin(retireMs);
    },
    /** Sends the last position, ends the stream, and closes. */
    close(): Promise<void> {
      isClosing = true;
      return endWithin(lastMs);
    },
  };

  async function endWithin(ms: number): Promise<void> {
    wakes.wake();
    if (told !== undefined) await new Wakes().next(told, { clock, ms });
    await server.close();
  }

  async function* watch(signal: AbortSignal): AsyncGenerator<string> {
    // Two calls may have come at the same moment.
    if (told !== undefined) return;
    told = signal;
    try {
      let sent = 0;
      let seq = -1;
      let atMs = -Infinity;
      while (!signal.aborted) {
        if (sent !== generation) {
          sent = generation;
          yield lineOf({ head: headNow() });
        }
        // Read before the line is written: records that come meanwhile need another line.
        const isLast = isClosing;
        if (journal.seq !== seq || clock.now() - atMs >= beatMs || isLast) {
          ({ seq } = journal);
          atMs = clock.now();
          yield lineOf({ seq });
        }
        if (isLast) return;
        await wakes.next(signal, { clock, ms: beatMs });
        const waitMs = atMs + gatherMs - clock.now();
        if (waitMs > 0) await pause(clock, waitMs, signal);
      }
    } finally {
      told = undefined;
      shipped.left();
    }
  }

  function headNow(): ShipHead {
    const { audit, notices = [], log: logSettings } = settings();
    return {
      host: hostName(),
      version: programVersion,
      log: logSettings,
      directory: audit.directory,
      journal: journal.found.journal,
      key,
      sinks: audit.ship,
      notices,
    };
  }
}

function lineOf(line: ShipLine): string {
  return `${JSON.stringify(line)}\n`;
}
