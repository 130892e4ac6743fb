// Outages, drains and restarts, folded from the records of them: when each began and ended, why, by whom, and what it has cost, with its
// sentence. Pure. What no record says is left open: an end is not guessed.

import { plural } from '../../language/words/words.js';
import { numberIn, type StoredRecord, textIn } from '../audit/stored.js';
import { drainWords } from './row.js';

/** A record that an incident begins or ends with. */
export interface Turn {
  readonly record: StoredRecord;
  /** Of a start: the time of the record before it. */
  readonly before?: string | undefined;
  /** Of a start: the ids of commands that the run before left open, which it ended as unknown. */
  readonly left?: readonly string[] | undefined;
}

/** Times are RFC 3339. */
export interface Incident {
  readonly kind: 'down' | 'drained' | 'restarted';
  readonly backend?: string;
  /** Absent: before the records that were read. */
  readonly since?: string;
  /** Absent: no record says that it ended. */
  readonly until?: string;
  /** An operator, for a drain, and why. */
  readonly by?: string;
  readonly reason?: string;
  /** Of a restart without a stop: the ids of commands that had not ended, of many the first. */
  readonly left?: readonly string[];
  readonly text: string;
}

type Draft = Omit<Incident, 'text'> & {
  readonly why?: string;
  readonly cost?: number;
  readonly isLost?: true;
};

/** Whether a record is one of these. */
export function isTurn(record: StoredRecord): boolean {
  const event = textIn(record, 'event');
  if (event === 'operator')
    return /^(drain|enable)$/.test(textIn(record, 'action')) && record['outcome'] === undefined;
  return event === 'backend' || event === 'start' || event === 'stop';
}

const leftMax = 10;

/** Newest first; what has not ended comes before. `turns`: the oldest first. */
export function foldIncidents(turns: readonly Turn[]): readonly Incident[] {
  const over: Draft[] = [];
  const down = new Map<string, Draft>();
  const drained = new Map<string, Draft>();
  let stopped: string | undefined;
  const end = (from: Map<string, Draft>, backend: string, ended: Partial<Draft>): void => {
    const begun = from.get(backend);
    if (begun !== undefined) over.push({ ...begun, ...ended });
    from.delete(backend);
  };
  for (const { record, before, left = [] } of turns) {
    const [time, backend] = [textIn(record, 'time'), textIn(record, 'backend')];
    const cost = numberIn(record, 'count') ?? 0;
    switch (`${textIn(record, 'event')} ${textIn(record, 'action')}`) {
      case 'backend down':
        if (!down.has(backend))
          down.set(backend, { kind: 'down', backend, since: time, why: textIn(record, 'text') });
        break;
      case 'backend up':
        if (!down.has(backend)) down.set(backend, { kind: 'down', backend });
        end(down, backend, { until: time, cost });
        break;
      case 'operator drain':
        drained.set(backend, {
          kind: 'drained',
          backend,
          since: time,
          by: textIn(record, 'by'),
          reason: textIn(record, 'reason'),
        });
        break;
      case 'operator enable':
        end(drained, backend, { until: time, cost });
        break;
      case 'stop ':
        stopped = time;
        break;
      case 'start ':
        // The next run finds out by itself what is down.
        for (const name of down.keys()) end(down, name, { until: time, isLost: true });
        if (numberIn(record, 'last_seq') !== undefined) {
          const since = stopped ?? before;
          const lost = stopped === undefined ? { isLost: true as const, left } : {};
          over.push({ kind: 'restarted', ...(since !== undefined && { since }), until: time, ...lost });
        }
        stopped = undefined;
        break;
      default:
    }
  }
  const newest = over.toSorted((one, other) => ((one.until ?? '') < (other.until ?? '') ? 1 : -1));
  return [...down.values(), ...drained.values(), ...newest].map((draft) => {
    const { why: _, cost: _cost, isLost: _lost, left, ...shown } = draft;
    return { ...shown, ...(left !== undefined && { left: left.slice(0, leftMax) }), text: textOf(draft) };
  });
}

function textOf({ kind, backend = '', until, by, reason, why = '', cost, isLost, left = [] }: Draft): string {
  const verb = until === undefined ? 'is' : 'was';
  switch (kind) {
    case 'down': {
      const cause = why === '' ? '' : `: ${why}`;
      if (isLost === true)
        return `${backend} was down${cause}. dovegate was restarted before it was up again.`;
      return `${backend} ${verb} down${cause}.${cost === undefined ? '' : ` ${plural(cost, 'command')} failed.`}`;
    }
    case 'drained':
      return `${backend} ${verb} drained ${drainWords({ by, reason })}.${cost === undefined ? '' : ` ${plural(cost, 'command was', 'commands were')} refused.`}`;
    case 'restarted':
      return isLost === true
        ? `dovegate ended without a stop, and was started again.${leftWords(left)}`
        : 'dovegate was restarted.';
    default:
      return kind satisfies never;
  }
}

function leftWords({ length }: readonly string[]): string {
  return length === 0
    ? ''
    : ` ${plural(length, 'command', 'commands')} had not ended: whether they ran is not known.`;
}
