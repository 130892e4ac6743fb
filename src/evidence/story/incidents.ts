// Outages, drains, restarts, reloads, kills, locks and faults of the journal, folded from their records: when each began and ended, why, by
// whom, and what it cost, with its sentence. Pure. An end that no record has is not guessed.

import { lockSaying, lockSentence, type ShownLock } from '../../doveadm/codes/locks.js';
import { drainWords, filesWords, notReplaced } from '../../gate/now/operator.js';
import { asTexts, type StoredRecord } from '../../host/values/values.js';
import { countWords, durationWords, plural } from '../../host/words/words.js';
import { numberIn, textIn } from '../../journal/records/stored.js';
import { type Cost, mostOf, type OpenTurn, OpenTurns, sinceIn, sumOf } from '../../journal/records/turns.js';
import { isLockMade, lockIn, type TrailContent } from './row.js';

/** A record that an incident begins or ends with. */
export interface Turn {
  readonly record: StoredRecord;
  /** For a start: the time of the record before it. */
  readonly before?: string | undefined;
  /** For a start: the commands that the previous run left open, which this one ended as unknown. */
  readonly left?: readonly NamedCommand[] | undefined;
  /** For a start and a reload: what they newly permit, in words with mail users; empty: nothing. Absent: the policies are the same. */
  readonly widens?: readonly string[] | undefined;
}

/** The public facts of a command: no arguments, no mail user. */
export interface NamedCommand {
  readonly id: string;
  readonly command?: string | undefined;
  readonly effect?: string | undefined;
  readonly content?: TrailContent | undefined;
  readonly principal?: string | undefined;
  readonly backend?: string | undefined;
}

/** Times are RFC 3339. */
export interface Incident {
  readonly kind:
    | 'down'
    | 'stuck'
    | 'drained'
    /** `reserve`: the journal had only its reserve left; `blind`: it took no records. */
    | 'reserve'
    | 'blind'
    | 'restarted'
    | 'reloaded'
    | 'not reloaded'
    | 'killed'
    | 'locked'
    | 'held'
    /** Another gate, by the verifier of all of them. */
    | 'silent';
  readonly backend?: string;
  /** For a silent gate. */
  readonly host?: string;
  /** For a lock or a hold: its id. `named`: for one of a mail user, the text for those who may see that user's mail. */
  readonly lock?: string;
  readonly named?: { readonly user: string; readonly text: string };
  /** Absent: it began before the records that were read. */
  readonly since?: string;
  /** Absent: no record says that it ended. */
  readonly until?: string;
  /** An operator, and why: the reason of a drain, or the first problem of a file that a reload or a start refused. */
  readonly by?: string;
  readonly reason?: string;
  /** For a reload and a restart: the changed files, with their owners and times. */
  readonly files?: readonly string[];
  /** For a reload and a restart that permit more than before: what, in words for those who may see all mail users. */
  readonly widens?: readonly string[];
  readonly isWider?: true;
  /** For a restart without a stop: the first of the commands that had not ended. For a kill: the killed command. */
  readonly left?: readonly NamedCommand[];
  /** For an outage and a drain: the requesters whose commands failed, the most affected first. */
  readonly hit?: readonly string[];
  /** No record says that dovegate was stopped, so the cost before that is known only in part. */
  readonly isLost?: true;
  readonly text: string;
}

type Draft = Omit<Incident, 'text' | 'since' | 'kind'> & {
  readonly kind: Exclude<Incident['kind'], 'silent'>;
} & Partial<Omit<OpenTurn, 'kind'>> & {
    readonly locked?: ShownLock;
    /** Who lifted it. Undefined: it expired. */
    readonly lifted?: { readonly by: string; readonly reason: string } | undefined;
  };

export function isTurn(record: StoredRecord): boolean {
  const { event, action, outcome } = record;
  if (event === 'operator') return action === 'reload' ? outcome !== undefined : outcome === 'ok';
  if (event === 'lock') return isLockMade(record) || action === 'unlocked' || action === 'expired';
  return (
    event === 'backend' || event === 'journal' || event === 'start' || event === 'stop' || event === 'reload'
  );
}

const leftMax = 10;

/** Those that have not ended come first; within both groups, those that began last. `turns`: the oldest first. */
export function foldIncidents(turns: readonly Turn[]): readonly Incident[] {
  const over: Draft[] = [];
  const rows = new OpenTurns();
  const locked = new Map<string, Draft>();
  /** Of the last reload that was done; its operator's record comes after it. */
  let files: readonly string[] | undefined;
  let opened: Pick<Draft, 'widens' | 'isWider'> = {};
  for (const { record, before, left, widens = [] } of turns) {
    const time = textIn(record, 'time');
    const { stopped } = rows;
    over.push(...rows.follow(record, left));
    switch (`${textIn(record, 'event')} ${textIn(record, 'action')}`) {
      case 'lock locked':
      case 'lock held': {
        const lock = lockIn(record);
        // The lock is known already: more is known of whom it is for, this is a copy, or its recorded lift took no effect.
        const lifted = over.findLastIndex((each) => each.lock === lock.id);
        const [was] = lifted < 0 ? [] : over.splice(lifted, 1);
        const { since = textIn(record, 'at') || time } = locked.get(lock.id) ?? was ?? {};
        locked.set(lock.id, {
          kind: lock.hold ? 'held' : 'locked',
          lock: lock.id,
          since,
          by: lock.by,
          locked: { ...lock, since: `{${since}}` },
        });
        break;
      }
      case 'lock expired':
      case 'lock unlocked': {
        const by = textIn(record, 'by');
        const id = textIn(record, 'lock');
        const begun = locked.get(id);
        const lifted = by === '' ? undefined : { by, reason: textIn(record, 'reason') };
        if (locked.delete(id) && begun !== undefined) over.push({ ...begun, until: time, lifted });
        break;
      }
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
          ? { ...(files && { files }), ...opened }
          : { reason: textIn(record, 'text').replace(`${notReplaced}: `, '') };
        const kind = isDone ? 'reloaded' : 'not reloaded';
        over.push({ kind, since: time, until: time, by: textIn(record, 'by'), ...more });
        break;
      }
      case 'reload ':
        files = asTexts(record['args']);
        opened = widensOf(widens);
        break;
      case 'start ':
        if (numberIn(record, 'last_seq') !== undefined) {
          const since = stopped ?? before;
          const lost = stopped === undefined ? { isLost: true as const } : {};
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
            ...widensOf(widens),
          });
        }
        break;
      default:
    }
  }
  return [
    ...[...rows.all.open, ...locked.values()].toSorted(byStart),
    ...[...rows.all.cut, ...over].toReversed().toSorted(byStart),
  ].map((draft: Draft) => {
    const {
      why: _,
      cost,
      paid,
      paidAt: _at,
      lostFrom: _from,
      hung: _hung,
      restart: _restart,
      locked: lock,
      lifted: _lifted,
      ...more
    } = draft;
    const { left, since, ...shown } = more;
    const hit = hitIn(sumOf(cost, paid) ?? { count: 0, requesters: 0, by: new Map() });
    return {
      ...shown,
      ...(since !== undefined && { since }),
      ...(hit.length > 0 && { hit }),
      ...(left !== undefined && { left: left.slice(0, leftMax) }),
      ...(lock?.target.startsWith('user:') && {
        named: { user: lock.target.slice('user:'.length), text: lockWords(draft, true) },
      }),
      text: textOf(draft),
    };
  });
}

function widensOf(widens: readonly string[]): Pick<Draft, 'widens' | 'isWider'> {
  return widens.length === 0 ? {} : { widens, isWider: true };
}

/** Those without a begin started before the records that were read, so they sort as the oldest. */
function byStart(one: Draft, other: Draft): number {
  const [a, b] = [one, other].map(({ since = '', until = '' }) => `${since} ${until}`);
  return a === b ? 0 : (a ?? '') < (b ?? '') ? 1 : -1;
}

export function namedIn(record: StoredRecord): NamedCommand {
  const of = (key: string): string | undefined => textIn(record, key) || undefined;
  const [command, effect, principal, backend] = ['command', 'effect', 'principal', 'backend'].map(of);
  return { id: textIn(record, 'id'), command, effect, principal, backend };
}

function textOf(draft: Draft): string {
  const {
    kind,
    backend = '',
    since = '',
    until,
    by,
    reason,
    files,
    why = '',
    isLost,
    restart,
    left,
    isWider,
  } = draft;
  const verb = until === undefined ? 'is' : 'was';
  const restarted =
    restart !== undefined
      ? ` dovegate was restarted ${restartWords[restart]}.`
      : reason !== undefined
        ? ` It ended when ${reason}.`
        : '';
  switch (kind) {
    case 'stuck':
    case 'down': {
      const cause = why === '' ? '' : `: ${why}`;
      const state =
        kind === 'down' ? 'down' : 'stuck, with commands that hung and new connections that failed';
      return `${backend} ${verb} ${state}${cause}.${costWords(draft)}${restarted}`;
    }
    case 'reserve':
    case 'blind':
      return `${kind === 'reserve' ? `Only rules with emergency: true ${until === undefined ? 'are' : 'were'} served` : `No record ${until === undefined ? 'reaches' : 'reached'} the disk`}${why === '' ? '' : `: ${why}`}.${costWords(draft)}${restarted}`;
    case 'drained':
      return `${backend} ${verb} drained ${drainWords({ by, reason })}.${costWords(draft)}`;
    case 'restarted':
      return `${
        isLost === true
          ? `dovegate was started again, and no record says that it was stopped: it crashed, was killed, or its disk took no records any more.${leftWords(left)}`
          : 'dovegate was stopped and started again.'
      }${reason === undefined ? '' : ` Its file has problems (${reason}): what was served before is served again.`}${changedWords(files)}${widerWords(isWider)}`;
    case 'reloaded':
      return `The configuration was replaced by a reload ${drainWords({ by })}.${changedWords(files)}${widerWords(isWider)}`;
    case 'not reloaded':
      return `A reload ${drainWords({ by })} was refused, and the configuration before it stayed${reason === undefined ? '' : `: ${reason}`}.`;
    case 'locked':
    case 'held':
      return lockWords(draft, draft.locked?.target.startsWith('user:') !== true);
    case 'killed':
      return `A command was killed ${drainWords({ by })} after ${durationWords(Date.parse(until ?? '') - Date.parse(since))}.`;
    default:
      return kind satisfies never;
  }
}

/** `isNamed`: the text is for those who may see the mail of that user. */
function lockWords({ locked, lifted, until }: Draft, isNamed: boolean): string {
  if (locked === undefined) return '';
  const { values } = lockSaying(locked, isNamed);
  const sentence = lockSentence(locked, isNamed);
  if (until === undefined || !('target' in values)) return `${sentence}.`;
  const why = isNamed && lifted ? `: ${lifted.reason}` : '';
  const end = lifted === undefined ? 'It ended by itself' : `${lifted.by} lifted it${why}`;
  return `${values.target} was${sentence.slice(`${values.target} is`.length)}. ${end}.`;
}

/** '' if the files are not known. Times are marked. */
export function changedWords(files: readonly string[] | undefined): string {
  if (files === undefined) return '';
  const words = filesWords(files);
  return ` ${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

function widerWords(isWider: true | undefined): string {
  return isWider === undefined ? '' : ' Somebody may do more than before.';
}

const restartWords = {
  cut: 'before it was up again',
  'went on': 'meanwhile',
  over: 'before that was over',
} as const;

/** The commands that were lost. Undefined: the records before the start are not kept. */
function leftWords(left: readonly NamedCommand[] | undefined): string {
  if (left === undefined) return '';
  if (left.length === 0) return ' Each command on record has its end.';
  // A command without an effect in its record may have changed something.
  const changing = left.filter(({ effect }) => effect !== 'read').length;
  const most = changing === 0 ? 'none changes anything' : `${changing} of them may have changed something`;
  const they = left.length === 1 ? 'has no end on record: whether it' : 'have no end on record: whether they';
  return ` ${plural(left.length, 'command')} ${they} ran is not known, and ${most}.`;
}

function costWords({ kind, until, cost: before, paid, hung = 0, isLost, lostFrom, restart }: Draft): string {
  const cost = sumOf(before, paid);
  const there =
    hung === 0 ? '' : ` ${plural(hung, 'command')} there ${hung === 1 ? 'has' : 'have'} no end on record.`;
  if (cost === undefined && (isLost !== true || restart === undefined || restart === 'went on')) return there;
  const { count = 0, requesters = 0, by = new Map<string, number>(), isLeast } = cost ?? {};
  const from = lostFrom === undefined ? 'last before' : `from {${lostFrom}} until`;
  const lost = isLost === true ? `; not counted: what came ${from} dovegate ended` : '';
  const isRefused = kind !== 'down' && kind !== 'stuck';
  if (count === 0)
    return ` ${isRefused ? 'No command was refused' : 'No commands failed'}${isLost === true ? ', as far as was recorded before dovegate ended' : ''}.${there}`;
  const some = until === undefined || isLost === true ? 'At least ' : '';
  const those = isLeast === true ? 'at least ' : '';
  const became = isRefused
    ? `${count === 1 ? 'was' : 'were'} refused, and nothing of ${count === 1 ? 'it' : 'them'} was sent`
    : 'failed';
  return ` ${some}${plural(count, 'command')} of ${those}${plural(requesters, 'requester')} ${became}${lost}.${hitWords(hitIn({ count, requesters, by }))}${there}`;
}

function hitIn({ requesters, by }: Cost): readonly string[] {
  const names = mostOf(by).map(([name, count]) => `${name} ${countWords(count)}`);
  const more = requesters - names.length;
  return more > 0 && names.length > 0 ? [...names, `and ${plural(more, 'other')}`] : names;
}

/** '' if nobody is known. */
export function hitWords(hit: readonly string[] = []): string {
  return hit.length === 0 ? '' : ` By requester: ${hit.join(', ')}.`;
}
