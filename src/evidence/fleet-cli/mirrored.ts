// Tells each gate what the mirror has of its journal: a signed line to its subject, when there is more than in the last one. Only what is
// on the disk is said, only of the journal that the host writes now, and nothing beyond a fault of its trail that no person has accepted:
// the gate removes what the line covers.

import { bounds } from '../../host/bounds/bounds.js';
import { parseSignKey } from '../../rules/keys/sign-key.js';
import { toHostSubject } from '../fleet/block.js';
import type { Fleet } from '../fleet/fleet.js';
import { type MirroredEnd, mirroredKind, readMirrored, signMirrored } from '../fleet/mirrored.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { FleetFinding, FleetFindingKind } from '../fleet/shapes.js';
import { NatsFault } from '../nats/fault.js';
import type { NatsLink } from '../nats/link.js';
import { publishLine } from './checkpoints.js';
import type { Mirror } from './mirror.js';
import type { StateFolder } from './state-folder.js';

/** The mirror may lack records, or have them otherwise than their host. */
const doubtful: ReadonlySet<FleetFindingKind> = new Set<FleetFindingKind>([
  'changed',
  'malformed',
  'missing',
  'unlinked',
  'arguments',
  'cut-at-host',
  'forked',
  'not-mirrored',
]);

export interface MirroredParts {
  readonly folder: Pick<StateFolder, 'signKey'>;
  readonly warn: (text: string) => void;
}

export function createMirroredLines({ folder, warn }: MirroredParts) {
  /** By host: the last line of this run, or when it was tried. */
  const said = new Map<string, { readonly end: MirroredEnd | undefined; readonly atMs: number }>();
  return {
    /** `findings`: all that stand. Warns of faults of the link. Rejects with a CommandFault if the mirror cannot be written. */
    async say(
      link: NatsLink,
      { hosts, stream }: Pick<FleetSettings, 'hosts' | 'stream'>,
      { fleet, mirror }: { readonly fleet: Pick<Fleet, 'heads'>; readonly mirror: Mirror },
      findings: readonly FleetFinding[],
      nowMs: number,
    ): Promise<void> {
      const isDue = ({ host, journal, seq }: MirroredEnd): boolean => {
        const { end, atMs } = said.get(host) ?? { atMs: -Infinity };
        if (end?.journal === journal && end.seq >= seq) return false;
        return nowMs - atMs >= bounds.fleetMirroredMs || nowMs < atMs;
      };
      const ends = endsOf(fleet, findings).filter(({ host }) => hosts.has(host));
      mirror.save();
      const due = ends.filter((end) => isDue(end) && mirror.endOf(end.host, end.journal) === end.seq);
      if (due.length === 0) return;
      const secretPem = folder.signKey();
      const { key } = parseSignKey(secretPem);
      for (const end of due) {
        said.set(end.host, { end: said.get(end.host)?.end, atMs: nowMs });
        const subject = toHostSubject(end.host, mirroredKind);
        try {
          const last = await link.lastOf(stream, subject);
          const read = last && readMirrored(last.bytes);
          const isOwn = read?.key === key && read.host === end.host && read.journal === end.journal;
          if (!isOwn || read.seq < end.seq)
            await publishLine(
              link,
              stream,
              subject,
              signMirrored(end, secretPem, nowMs),
              last?.streamSeq ?? 0,
            );
          said.set(end.host, { end, atMs: nowMs });
        } catch (fault) {
          if (!(fault instanceof NatsFault)) throw fault;
          warn(`gates are not told what is in the mirror, and keep their records: ${fault.message}`);
          return;
        }
      }
    },
  };
}

/** The head of each host's present journal, without those whose trail is in doubt. */
function endsOf(fleet: Pick<Fleet, 'heads'>, findings: readonly FleetFinding[]): readonly MirroredEnd[] {
  const newest = new Map<string, ReturnType<Fleet['heads']>[number]>();
  for (const head of fleet.heads())
    if (head.storedMs >= (newest.get(head.host)?.storedMs ?? 0)) newest.set(head.host, head);
  return [...newest.values()]
    .filter(({ host, journal }) =>
      findings.every(
        (one) =>
          one.host !== host ||
          !doubtful.has(one.kind) ||
          (one.journal !== undefined && one.journal !== journal),
      ),
    )
    .map(({ host, journal, seq, hash }) => ({ host, journal, seq, hash }));
}
