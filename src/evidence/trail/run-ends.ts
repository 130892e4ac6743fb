// Where a run of the daemon ends and the next one begins: after `stop` and its checkpoint only a start may follow, and every start names
// the last record of the run before. Before its own record a start writes checkpoints, a step of the clock, the ends of what a crash left
// open, and what the memory of the run before held. After it, ends of temporary access. Anything else after a stop is another program's.

import { isCount, isText, type StoredRecord } from '../../host/values/values.js';
import type { Fault, Place } from '../../journal/records/checkpoints.js';
import type { Link } from '../../journal/records/ledger.js';
import { isOpening } from '../../journal/records/record.js';

type AppendedFault = Fault<'journal-appended'>;

/** Records whose hashes are kept: more than a start writes before its own record, unless many exchanges were open. */
const recentMax = 512;

const carriedEvents: ReadonlySet<string> = new Set(['access', 'lock', 'operator', 'backend', 'journal']);

export const runStates = ['running', 'stopped', 'started'] as const;

export interface RunState {
  /** `stopped`: the last run has ended, and no start came since. `started`: one came, and its checkpoint is due. */
  readonly at: (typeof runStates)[number];
  /** At the head of a segment: copies of live access that are still to come. */
  readonly carriesLeft: number;
}

/** `before`: the state of a reader that goes on. Earlier records are not known then, so a start that names one of them is believed. */
export function createRunEnds(before: RunState = { at: 'running', carriesLeft: 0 }) {
  let { at, carriesLeft } = before;
  /** The first record after a stop that only a start writes: a fault if no start follows it. */
  let pending: AppendedFault | undefined;
  /** The last record of a kind that no start writes before its own. */
  let otherSeq = 0;
  const seqs = new Float64Array(recentMax);
  const hashes: string[] = [];

  return {
    take(
      event: string,
      head: string,
      record: StoredRecord | undefined,
      { seq, hash }: Link,
      place: Place,
    ): AppendedFault | undefined {
      let found: AppendedFault | undefined;
      // A segment that a start begins has a head: what its first checkpoint announces.
      const isCarried = carriesLeft > 0 && carriedEvents.has(event);
      const isFirst = isCarried || isOpening(event, head);
      if (isCarried) carriesLeft -= 1;
      else carriesLeft = event === 'checkpoint' ? Number(record?.['carries'] ?? 0) : 0;
      if (event === 'start') found = compare(record ?? {}, place);
      else if (at !== 'running' && !isFirst && !(at === 'started' && event === 'access')) {
        const text = 'this record and those after it were written after the daemon had stopped';
        found = { kind: 'journal-appended', ...place, text };
        at = 'running';
      } else if (at === 'stopped' && event !== 'checkpoint' && !isCarried) {
        const text = 'the daemon had stopped, and this record is not followed by a start';
        pending ??= { kind: 'journal-appended', ...place, text };
      }
      if (event === 'stop') at = 'stopped';
      else if (event === 'start' && at === 'stopped') at = 'started';
      else if (event === 'checkpoint' && at === 'started') at = 'running';
      if (at !== 'stopped') pending = undefined;
      if (!isFirst) otherSeq = seq;
      keep(seq, hash);
      return found;
    },
    finish(): AppendedFault | undefined {
      return pending;
    },
    get state(): RunState {
      return { at, carriesLeft };
    },
  };

  function keep(seq: number, hash: string): void {
    seqs[seq % recentMax] = seq;
    hashes[seq % recentMax] = hash;
  }

  function compare(
    { last_seq: lastSeq, last_hash: lastHash, recovered }: StoredRecord,
    place: Place,
  ): AppendedFault | undefined {
    if (!isCount(lastSeq) || !isText(lastHash)) return undefined;
    const slot = lastSeq % recentMax;
    const isOther = seqs[slot] === lastSeq && hashes[slot] !== lastHash;
    const isBetween = recovered === undefined && otherSeq > lastSeq;
    if (!isOther && !isBetween) return undefined;
    const what = isOther ? 'is another one here' : `is not the last one before it: record ${otherSeq} is`;
    const text = `this start names record ${lastSeq} as the last of the run before, which ${what}`;
    return { kind: 'journal-appended', ...place, text };
  }
}
