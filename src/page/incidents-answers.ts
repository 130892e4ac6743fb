// The incidents of the last day, as everybody may see them: from the journal, so that they are known after a restart of this process and of
// the gate; and other gates that are silent now. What was read is kept, so only new records are read again; the first reading goes back in
// parts, and an answer says how far.

import { foldIncidents, type Incident, type Turn } from '../evidence/story/incidents.js';
import type { FleetSeen } from '../evidence/views/fleet.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import { formatTime } from '../host/words/instants.js';
import type { Incidents } from './answers/history.js';
import type { Daemon } from './daemon.js';
import type { createFleetNow } from './fleet-look.js';
import { jsonReply, type PageReply, type PageRequest } from './http/page-request.js';
import type { Looks } from './looks.js';
import { shownIncident } from './now-answers.js';

const dayMs = 86_400_000;
const partMs = 2_000;
/** However many ask, the journal is read so often at most. */
const againMs = 2_000;
const rowsMax = 100;
const turnsMax = 5_000;

export interface IncidentsParts {
  readonly clock: Clock;
  readonly daemon: Pick<Daemon, 'told' | 'away'>;
  readonly looks: Pick<Looks, 'incidents'>;
  readonly fleet: ReturnType<typeof createFleetNow>;
}

export function createIncidentsAnswers({ clock, daemon, looks, fleet }: IncidentsParts) {
  const ended = new AbortController();
  let journal: string | undefined;
  /** The oldest first. */
  let turns: readonly Turn[] = [];
  let toSeq = 0;
  /** Where the first reading, which goes back in time, continues; undefined: it is complete. */
  let before: number | undefined;
  let readMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  let trouble: string | undefined;

  return {
    incidents: async ({ who }: PageRequest): Promise<PageReply> => {
      if (clock.now() - readMs >= againMs || before !== undefined)
        reading ??= read().finally(() => {
          reading = undefined;
        });
      await reading;
      const nowMs = clock.wallMs();
      const since = formatTime(nowMs - dayMs);
      const silent = silentGates((await fleet())?.seen);
      const rows = [...silent, ...foldIncidents(turns)]
        .filter(({ until }) => until === undefined || until >= since)
        .slice(0, rowsMax)
        .flatMap((row) => shownIncident(row, who));
      const part = before === undefined ? undefined : 'the journal is still read for what was earlier';
      const why = trouble ?? part;
      const answer: Incidents = {
        ...(journal !== undefined && { since }),
        until: formatTime(nowMs),
        rows,
        ...(why !== undefined && { trouble: why }),
      };
      return jsonReply(200, answer);
    },
    close: (): void => ended.abort(new Error('the page is stopping')),
  };

  /** Never rejects. */
  async function read(): Promise<void> {
    const { head } = daemon.told ?? {};
    if (head === undefined) {
      trouble = daemon.away;
      return;
    }
    if (head.journal !== journal) [journal, turns, toSeq, before] = [head.journal, [], 0, undefined];
    // A look has its place until its signal is aborted.
    const taken = new AbortController();
    const signal = AbortSignal.any([ended.signal, taken.signal]);
    const task = { directory: head.directory, incidentsSinceMs: clock.wallMs() - dayMs, timeMs: partMs };
    try {
      const newer = await looks.incidents({ ...task, before: undefined, after: toSeq }, ownName, signal);
      // If reading stopped before the known records, there is a gap: begin again, as at first.
      const known = newer.isThrough ? turns : [];
      turns = [...known, ...newer.turns].slice(-turnsMax);
      toSeq = Math.max(toSeq, newer.toSeq);
      if (!newer.isThrough) before = newer.fromSeq;
      else if (before !== undefined) {
        const older = await looks.incidents({ ...task, before, after: 0 }, ownName, signal);
        turns = [...older.turns, ...turns].slice(-turnsMax);
        before = older.isThrough ? undefined : older.fromSeq;
      }
      trouble = undefined;
      readMs = clock.now();
    } catch (fault) {
      trouble = messageOf(fault);
    } finally {
      taken.abort(new Error('the answer was taken'));
    }
  }
}

/** Other gates that are silent now. When that is over, the verifier's own journal knows of it. */
function silentGates(seen: FleetSeen | undefined): readonly Incident[] {
  const lastSeen = new Map(seen?.gates.map((gate) => [gate.host, gate.lastSeen]));
  return (seen?.findings ?? []).flatMap(({ kind, host, text }) => {
    if (kind !== 'silent') return [];
    const since = lastSeen.get(host);
    return [{ kind, host, ...(since !== undefined && { since }), text: `${host}: ${text}.` }];
  });
}

/** No person can have this name: it has a blank. */
const ownName = 'the page';
