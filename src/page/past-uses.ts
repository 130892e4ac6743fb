// When keys and accounts were last used before the daemon started, from the journal: the daemon remembers only its own run. What was found
// does not change until the next start, so it is kept.

import type { AnswerLine } from '../evidence/reading/read-trail.js';
import type { DoorHead } from '../gate/door/door.js';
import type { Clock } from '../host/ports/machine.js';
import { networkOf } from '../host/ports/peer.js';
import { parseTime } from '../host/words/instants.js';
import type { Looks } from './looks.js';

type Head = Pick<DoorHead, 'directory' | 'journal' | 'ownKey' | 'started'>;

export interface PastUse {
  readonly lastUsedMs: number;
  readonly lastFrom?: string;
}

/** By principal; undefined: the journal has no use. A missing principal was not reached in time; the next call continues with it. */
export type FindPastUses = (
  head: Head,
  principals: readonly string[],
) => Promise<ReadonlyMap<string, PastUse | undefined>>;

/** No further search begins after this time, since a person waits. Each search has its own limit of time. */
const patienceMs = 3_000;
/** No person can have this name: it has a blank. */
const ownName = 'the page';

export function createPastUses(clock: Pick<Clock, 'now'>, looks: Pick<Looks, 'read'>): FindPastUses {
  let run = '';
  let known = new Map<string, PastUse | undefined>();
  return async (head, principals) => {
    if (run !== `${head.journal} ${head.started}`) known = new Map();
    run = `${head.journal} ${head.started}`;
    const found = known;
    const startMs = clock.now();
    for (const principal of principals) {
      if (found.has(principal)) continue;
      if (clock.now() - startMs > patienceMs) break;
      const taken = new AbortController();
      try {
        const filter = { principal, untilMs: Date.parse(head.started) };
        const asked = { look: 'search', filter, newest: { rows: 1 } } as const;
        const task = { directory: head.directory, asked, users: undefined, ownKey: head.ownKey };
        const { text } = await looks.read(task, ownName, taken.signal);
        const line: AnswerLine = JSON.parse(text.slice(0, text.indexOf('\n')));
        if ('row' in line) found.set(principal, useOf(line.row.fields));
        else if ('end' in line && line.end.before === undefined) found.set(principal, undefined);
      } catch {
        // The journal cannot be read, or the page stops; the screen says since when uses are known.
        break;
      } finally {
        taken.abort(new Error('the answer was taken'));
      }
    }
    return found;
  };
}

function useOf({ time, peer }: Readonly<Record<string, unknown>>): PastUse | undefined {
  const lastUsedMs = parseTime(String(time));
  const address: unknown = Object(peer)['address'];
  if (lastUsedMs === undefined) return undefined;
  return { lastUsedMs, ...(typeof address === 'string' && { lastFrom: networkOf(address) }) };
}
