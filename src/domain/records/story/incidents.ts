// Outages, drains, restarts, reloads and kills, folded from the records of them: when each began and ended, why, by whom, and what it has
// cost, with its sentence. Pure. What no record says is left open: an end is not guessed.

import { countWords, durationWords, plural } from '../../language/words/words.js';
import { formatTime } from '../audit/record.js';
import { asTexts, numberIn, type StoredRecord, textIn } from '../audit/stored.js';
import { mostOf, notUpBefore } from './cost.js';
import { drainWords, filesWords, notReplaced } from './row.js';

/** A record that an incident begins or ends with. */
export interface Turn {
  readonly record: StoredRecord;
  /** Of a start: the time of the record before it. */
  readonly before?: string | undefined;
  /** Of a start: the commands that the run before left open, which it ended as unknown. */
  readonly left?: readonly NamedCommand[] | undefined;
}

/** What everybody may know of a command: no arguments, no mail user. */
export interface NamedCommand {
  readonly id: string;
  readonly command?: string | undefined;
  readonly effect?: string | undefined;
  readonly principal?: string | undefined;
  readonly backend?: string | undefined;
}

/** Times are RFC 3339. */
export interface Incident {
  readonly kind: 'down' | 'stuck' | 'drained' | 'restarted' | 'reloaded' | 'not reloaded' | 'killed';
  readonly backend?: string;
  /** Absent: before the records that were read. */
  readonly since?: string;
  /** Absent: no record says that it ended. */
  readonly until?: string;
  /** An operator, and why: of a drain the reason; the first problem of a file that a reload or a start did not take. */
  readonly by?: string;
  readonly reason?: string;
  /** Of a reload and a restart: the files that had changed, with their owners and times. */
  readonly files?: readonly string[];
  /** Of a restart without a stop: the commands that had not ended, of many the first; and what was killed. */
  readonly left?: readonly NamedCommand[];
  /** Of an outage and a drain: whose commands it has cost, the most first. */
  readonly hit?: readonly string[];
  /** dovegate crashed or was killed, so only a part of what was paid before is known. */
  readonly isLost?: true;
  readonly text: string;
}

type Draft = Omit<Incident, 'text'> & {
  readonly why?: string;
  /** In the runs that are over. */
  readonly cost?: Cost | undefined;
  /** In the run that goes on, so far as it is recorded. */
  readonly paid?: Cost | undefined;
  /** The time of the record of `paid`; of an end without a stop, from when on nothing is counted until then. */
  readonly paidAt?: string | undefined;
  readonly lostFrom?: string | undefined;
  /** Of a backend: commands that were there when dovegate crashed or was killed. */
  readonly hung?: number;
  /** Over by a restart, not by itself; `went on`: and not over by it, since the next run found it so at its first attempt. */
  readonly restart?: 'cut' | 'went on';
};

interface Cost {
  readonly count: number;
  readonly requesters: number;
  /** Commands of those with the most. */
  readonly by: ReadonlyMap<string, number>;
  /** Of several runs, whose requesters may be the same ones. */
  readonly isLeast?: true;
}

/** Whether a record is one of these. */
export function isTurn(record: StoredRecord): boolean {
  const { event, action, outcome } = record;
  if (event === 'operator') return action === 'reload' ? outcome !== undefined : outcome === 'ok';
  return event === 'backend' || event === 'start' || event === 'stop' || event === 'reload';
}

const leftMax = 10;

/** What has not ended comes first; of those, and of the others, what began last. `turns`: the oldest first. */
export function foldIncidents(turns: readonly Turn[]): readonly Incident[] {
  const over: Draft[] = [];
  const down = new Map<string, Draft>();
  const drained = new Map<string, Draft>();
  /** Those that were down at the last start. */
  let cut = new Map<string, Draft>();
  let stopped: string | undefined;
  /** Of the last reload that was done: its operator's record follows. */
  let files: readonly string[] | undefined;
  const end = (from: Map<string, Draft>, backend: string, ended: Partial<Draft>): void => {
    const begun = from.get(backend);
    if (begun !== undefined) over.push({ ...begun, ...ended });
    from.delete(backend);
  };
  const goOn = (backend: string): void => {
    const { until: _, ...begun } = cut.get(backend) ?? {};
    if (cut.delete(backend)) down.set(backend, { kind: 'down', ...begun, restart: 'went on' });
  };
  for (const { record, before, left } of turns) {
    const [time, backend] = [textIn(record, 'time'), textIn(record, 'backend')];
    const from = textIn(record, 'error') === 'backend-drained' ? drained : down;
    switch (`${textIn(record, 'event')} ${textIn(record, 'action')}`) {
      case 'backend stuck':
      case 'backend down': {
        const kind = textIn(record, 'action') === 'stuck' ? 'stuck' : 'down';
        if (textIn(record, 'reason') === notUpBefore) goOn(backend);
        // Nothing hangs any more when it is down at last.
        down.set(backend, {
          backend,
          since: sinceIn(record),
          ...down.get(backend),
          kind,
          why: textIn(record, 'text'),
        });
        break;
      }
      case 'backend up':
        if (!down.has(backend)) down.set(backend, { kind: 'down', backend });
        end(down, backend, { until: time, ...costAfter(from.get(backend), costIn(record)) });
        break;
      case 'backend cost':
      case 'backend stop': {
        const draft = from.get(backend);
        const paid = costIn(record);
        const isOver = textIn(record, 'action') === 'stop';
        if (draft !== undefined)
          from.set(backend, { ...draft, ...(isOver ? costAfter(draft, paid) : { paid, paidAt: time }) });
        break;
      }
      case 'operator drain':
        drained.set(backend, {
          kind: 'drained',
          backend,
          since: time,
          by: textIn(record, 'by'),
          reason: textIn(record, 'reason'),
        });
        break;
      case 'operator kill': {
        const killed = { ...namedIn(record), principal: textIn(record, 'to') };
        over.push({
          kind: 'killed',
          since: sinceIn(record),
          until: time,
          by: textIn(record, 'by'),
          left: [killed],
        });
        break;
      }
      case 'operator reload': {
        const isDone = record['outcome'] === 'ok';
        const more = isDone
          ? files && { files }
          : { reason: textIn(record, 'text').replace(`${notReplaced}: `, '') };
        const kind = isDone ? 'reloaded' : 'not reloaded';
        over.push({ kind, since: time, until: time, by: textIn(record, 'by'), ...more });
        break;
      }
      case 'reload ':
        files = asTexts(record['args']);
        break;
      case 'operator enable':
        end(drained, backend, { until: time, ...costAfter(drained.get(backend), costIn(record)) });
        break;
      case 'stop ':
        stopped = time;
        break;
      case 'start ':
        if (numberIn(record, 'last_seq') !== undefined) {
          const since = stopped ?? before;
          const lost = stopped === undefined ? { isLost: true as const } : {};
          const lostOf = ({ paidAt: lostFrom }: Draft) =>
            stopped === undefined ? { ...lost, lostFrom } : {};
          // The next run finds out by itself what is down.
          over.push(...cut.values());
          cut = new Map(
            [...down].map(([name, draft]) => {
              const hung = (draft.hung ?? 0) + (left ?? []).filter((each) => each.backend === name).length;
              const ended = { until: time, restart: 'cut' as const, hung, ...lostOf(draft) };
              return [name, { ...draft, ...ended, ...costAfter(draft, draft.paid) }];
            }),
          );
          down.clear();
          for (const [name, draft] of drained)
            drained.set(name, { ...draft, ...lostOf(draft), ...costAfter(draft, draft.paid) });
          const open = stopped === undefined && left !== undefined ? { left } : {};
          const reason = textIn(record, 'reason');
          const changed = asTexts(record['args']);
          over.push({
            kind: 'restarted',
            ...(since !== undefined && { since }),
            until: time,
            ...lost,
            ...open,
            ...(reason !== '' && { reason }),
            ...(changed.length > 0 && { files: changed }),
          });
        }
        stopped = undefined;
        break;
      default:
    }
  }
  return [
    ...[...down.values(), ...drained.values()].toSorted(byStart),
    ...[...cut.values(), ...over].toReversed().toSorted(byStart),
  ].map((draft) => {
    const {
      why: _,
      cost,
      paid,
      paidAt: _at,
      lostFrom: _from,
      hung: _hung,
      restart: _restart,
      ...more
    } = draft;
    const { left, ...shown } = more;
    const hit = hitIn(sumOf(cost, paid).cost ?? { count: 0, requesters: 0, by: new Map() });
    return {
      ...shown,
      ...(hit.length > 0 && { hit }),
      ...(left !== undefined && { left: left.slice(0, leftMax) }),
      text: textOf(draft),
    };
  });
}

/** What began before the records that were read began first. */
function byStart(one: Draft, other: Draft): number {
  const [a, b] = [one, other].map(({ since = '', until = '' }) => `${since} ${until}`);
  return a === b ? 0 : (a ?? '') < (b ?? '') ? 1 : -1;
}

function sinceIn(record: StoredRecord): string {
  return formatTime(Date.parse(textIn(record, 'time')) - (numberIn(record, 'duration_ms') ?? 0));
}

export function namedIn(record: StoredRecord): NamedCommand {
  const of = (key: string): string | undefined => textIn(record, key) || undefined;
  const [command, effect, principal, backend] = ['command', 'effect', 'principal', 'backend'].map(of);
  return { id: textIn(record, 'id'), command, effect, principal, backend };
}

function costIn(record: StoredRecord): Cost {
  const by = asTexts(record['args']).flatMap((text): [string, number][] => {
    const [, name, count] = /^requester=(.*) (\d{1,15})$/s.exec(text) ?? [];
    return name === undefined ? [] : [[name, Number(count)]];
  });
  const [count, requesters] = ['count', 'requesters'].map((key) => numberIn(record, key) ?? 0);
  return { count: count ?? 0, requesters: requesters ?? 0, by: new Map(by) };
}

/** After a run, with what was paid before it. */
function costAfter({ cost }: Pick<Draft, 'cost'> = {}, paid: Cost | undefined): Pick<Draft, 'cost' | 'paid'> {
  return { ...sumOf(cost, paid), paid: undefined };
}

function sumOf(cost: Cost | undefined, paid: Cost | undefined): Pick<Draft, 'cost'> {
  if (cost === undefined || paid === undefined) return { cost: cost ?? paid };
  const requesters = Math.max(cost.requesters, paid.requesters);
  const by = new Map(cost.by);
  for (const [name, count] of paid.by) by.set(name, (by.get(name) ?? 0) + count);
  return { cost: { count: cost.count + paid.count, requesters, by, isLeast: true } };
}

function textOf(draft: Draft): string {
  const { kind, backend = '', since = '', until, by, reason, files, why = '', isLost, restart, left } = draft;
  const verb = until === undefined ? 'is' : 'was';
  switch (kind) {
    case 'stuck':
    case 'down': {
      const cause = why === '' ? '' : `: ${why}`;
      const restarted = restart === undefined ? '' : ` dovegate was restarted ${restartWords[restart]}.`;
      const state =
        kind === 'down' ? 'down' : 'stuck, with commands that hung and new connections that failed';
      return `${backend} ${verb} ${state}${cause}.${costWords(draft)}${restarted}`;
    }
    case 'drained':
      return `${backend} ${verb} drained ${drainWords({ by, reason })}.${costWords(draft)}`;
    case 'restarted':
      return `${
        isLost === true
          ? `dovegate crashed or was killed, and was started again.${leftWords(left)}`
          : 'dovegate was stopped and started again.'
      }${reason === undefined ? '' : ` Its file has problems (${reason}): what was served before is served again.`}${changedWords(files)}`;
    case 'reloaded':
      return `The configuration was replaced by a reload ${drainWords({ by })}.${changedWords(files)}`;
    case 'not reloaded':
      return `A reload ${drainWords({ by })} was refused, and the configuration before it stayed${reason === undefined ? '' : `: ${reason}`}.`;
    case 'killed':
      return `A command was killed ${drainWords({ by })} after ${durationWords(Date.parse(until ?? '') - Date.parse(since))}.`;
    default:
      return kind satisfies never;
  }
}

/** '': not known. Times are marked. */
export function changedWords(files: readonly string[] | undefined): string {
  if (files === undefined) return '';
  const words = filesWords(files);
  return ` ${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

const restartWords = { cut: 'before it was up again', 'went on': 'meanwhile' } as const;

/** What was lost: commands without an answer. Undefined: the records before are not kept. */
function leftWords(left: readonly NamedCommand[] | undefined): string {
  if (left === undefined) return '';
  if (left.length === 0) return ' No command was lost: none was under way.';
  // Without an effect in its record it may have done anything.
  const changing = left.filter(({ effect }) => effect !== 'read').length;
  const most = changing === 0 ? 'none changes anything' : `${changing} of them may have changed something`;
  const was =
    left.length === 1
      ? 'was under way and got no answer: whether it'
      : 'were under way and got no answer: whether they';
  return ` ${plural(left.length, 'command')} ${was} ran is not known, and ${most}.`;
}

function costWords({ kind, until, cost: before, paid, hung = 0, isLost, lostFrom, restart }: Draft): string {
  const { cost } = sumOf(before, paid);
  const there = hung === 0 ? '' : ` ${plural(hung, 'command')} there had not ended when dovegate did.`;
  if (cost === undefined && (isLost !== true || restart !== 'cut')) return there;
  const { count = 0, requesters = 0, by = new Map<string, number>(), isLeast } = cost ?? {};
  const from = lostFrom === undefined ? 'last before' : `from {${lostFrom}} until`;
  const lost = isLost === true ? `; not counted: what came ${from} dovegate crashed or was killed` : '';
  if (count === 0)
    return ` ${kind === 'drained' ? 'No command was refused' : 'No commands failed'}${isLost === true ? ', as far as was recorded before dovegate crashed or was killed' : ''}.${there}`;
  const some = until === undefined || isLost === true ? 'At least ' : '';
  const those = isLeast === true ? 'at least ' : '';
  const became =
    kind === 'drained'
      ? `${count === 1 ? 'was' : 'were'} refused, and nothing of ${count === 1 ? 'it' : 'them'} was sent`
      : 'failed';
  return ` ${some}${plural(count, 'command')} of ${those}${plural(requesters, 'requester')} ${became}${lost}.${hitWords(hitIn({ count, requesters, by }))}${there}`;
}

function hitIn({ requesters, by }: Cost): readonly string[] {
  const names = mostOf(by).map(([name, count]) => `${name} ${countWords(count)}`);
  const more = requesters - names.length;
  return more > 0 && names.length > 0 ? [...names, `and ${plural(more, 'other')}`] : names;
}

/** '': not known. */
export function hitWords(hit: readonly string[] = []): string {
  return hit.length === 0 ? '' : ` By requester: ${hit.join(', ')}.`;
}
