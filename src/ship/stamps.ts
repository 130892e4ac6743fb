// A time stamp a day over the newest signed checkpoint of the journal, from the authority that the settings name. It is kept here, not in
// the journal: whoever writes that anew would leave it out. Each goes to the streams of the journal, too, where nobody here can remove it.

import { existsSync } from 'node:fs';
import { randomFraction } from '../adapters/host/clock.js';
import { checkpointName, readIn } from '../adapters/journal/segments.js';
import type { StampsDoor } from '../adapters/shipping/nats-carrier.js';
import { readStamps } from '../adapters/stamps/stamp-folder.js';
import { type Stamper, stampFolderOf, startStamper } from '../adapters/stamps/stamper.js';
import type { Log } from '../adapters/telemetry/log.js';
import { bounds } from '../bounds/bounds.js';
import type { ShipHead, StampClaim } from '../domain/admin/door/ship.js';
import { isSignedBy, readLink, unsignedLine } from '../domain/records/audit/ledger.js';
import { isCount, parseLine } from '../domain/records/audit/record.js';
import { asText } from '../domain/records/audit/stored.js';
import { stampBytes } from '../domain/records/fleet/block.js';
import { StampFault } from '../domain/records/stamps/fault.js';
import type { Clock } from '../ports/machine.js';

type StampSource = Pick<ShipHead, 'stamps' | 'directory' | 'journal'>;

export interface StampsParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'report'>;
  /** The directory of our own state. */
  readonly directory: string;
  /** The last record that is certainly on disk. */
  readonly untilSeq: () => number;
}

export function createStamps({ clock, log, directory, untilSeq }: StampsParts) {
  let current: { readonly meant: string; readonly stamper: Stamper } | undefined;
  let version = 0;
  const folder = stampFolderOf(directory);

  return {
    /** For a receiver of this name. */
    doorFor(sink: string): StampsDoor {
      let unsent: string | undefined;
      return {
        version: () => version,
        newest: (journal) => newestOf(folder, journal),
        failed(why) {
          const text = `${sink} gets no time stamps: ${why ?? ''}`;
          if (why !== undefined && why !== unsent)
            log.report({ event: 'stamps-not-sent', level: 'warn', sink, text });
          unsent = why;
        },
      };
    },
    /** Takes the authority of the settings that are served now. One call at a time. */
    async replace({ stamps, directory: records, journal }: StampSource): Promise<void> {
      const meant = JSON.stringify([stamps, records, journal]);
      if (current?.meant === meant) return;
      await current?.stamper.close();
      current = undefined;
      if (stamps === undefined) return;
      const authority = new URL(stamps.url).host;
      const stamper = startStamper({
        clock,
        chance: randomFraction,
        settings: stamps,
        folder,
        newest: async () => newestCheckpoint(records, journal, untilSeq()),
        onStamped(day) {
          version += 1;
          log.report({
            event: 'stamps-taken',
            level: 'info',
            sink: authority,
            text: `${authority}: the stamp of ${day} is stored`,
          });
        },
        onFault: (fault) =>
          log.report({
            event: 'stamps-away',
            level: 'warn',
            sink: authority,
            type: fault.code,
            text: `${authority}: ${fault.message}`,
          }),
      });
      current = { meant, stamper };
    },
    get claim(): StampClaim | undefined {
      return current?.stamper.state;
    },
    async close(): Promise<void> {
      await current?.stamper.close();
    },
  };
}

/** Those that a verifier takes. Throws the system's error. */
function newestOf(folder: string, journal: string): ReturnType<StampsDoor['newest']> {
  if (!existsSync(folder)) return [];
  return [...readStamps(folder, bounds.fleetStamps)].flatMap(({ line, answer }) => {
    const { journal: of, seq } = parseLine(line?.toString('utf8') ?? '') ?? {};
    return line === undefined || of !== journal || !isCount(seq)
      ? []
      : [{ seq, bytes: stampBytes({ line, answer }) }];
  });
}

/** Its line with its LF. Throws a StampFault. */
function newestCheckpoint(directory: string, journal: string, untilSeq: number): Buffer {
  const text = readIn(directory, checkpointName);
  if (text === undefined) throw new StampFault('journal-unreadable');
  const line = text.trimEnd();
  const link = readLink(Buffer.from(line));
  const signed = unsignedLine(line);
  const { key, journal: of } = parseLine(line) ?? {};
  // What is not on disk yet, or was not signed, might not be there at the next start.
  if (link === undefined || !link.isIntact || link.seq > untilSeq || signed === undefined)
    throw new StampFault('unsigned');
  if (of !== journal || !isSignedBy(asText(key) ?? '', signed.text, signed.signature))
    throw new StampFault('unsigned');
  return Buffer.from(`${line}\n`);
}
