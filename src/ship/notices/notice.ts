// A notice: one record of temporary access, as a person outside of dovegate may read it. It is made of the keys that are listed here and of
// nothing else, so arguments, mail content and secrets have no way into it. It has no link, no button and no text of a receiver. Every text
// has passed `plainText`.

import { asCount, asList, asNumber, isCount, isText, parseLine } from '../../host/values/values.js';
import { formatDuration } from '../../host/words/durations.js';
import { formatTime } from '../../host/words/instants.js';
import { asTimeMs, isDistanceMs, readHead } from '../../journal/records/record.js';
import { asCut } from '../../journal/records/stored.js';
import { type NoticeEvent, noticeEvents } from '../../rules/config/receiver.js';
import type { JournalHead } from '../receiver-set.js';
import { plainSentence, plainText } from './plain-text.js';

/** The facts of a notice in the order in which they are shown, by the key of its JSON, with their words. */
export const factWords = {
  to: 'access of',
  principal: 'by',
  listener: 'listener',
  policy: 'policy',
  users: 'mailbox users',
  scope: 'scope',
  command: 'command',
  reason: 'reason',
  for: 'asked for',
  decide_by: 'to decide by',
  until: 'until',
  uses: 'uses',
  quiet: 'kept from the owner for',
  approvals: 'approvals',
  request: 'request',
  grant: 'grant',
  dropped: 'notices dropped',
  first: 'the first',
  last: 'the last',
} as const;
export type FactKey = keyof typeof factWords;
export type Facts = Readonly<Partial<Record<FactKey, string | number | readonly string[]>>>;

export interface Notice {
  /** The same at each delivery: receivers drop duplicates by it. */
  readonly id: string;
  readonly event: NoticeEvent | 'dropped';
  readonly timeMs: number;
  readonly host: string;
  readonly facts: Facts;
}

type NoticeSource = Pick<JournalHead, 'journal' | 'host'>;

/** Stands at the beginning of each record of access, and nowhere else: no text of a record has an unescaped quote. */
export const accessMark = '","event":"access"';

const textMax = 1000;
const nameMax = 256;

/** The notice of a line of the journal; undefined: nobody is notified of it. */
export function noticeOf(line: string, { journal, host }: NoticeSource): Notice | undefined {
  if (readHead(line)?.event !== 'access') return undefined;
  const record = parseLine(line) ?? {};
  // A copy at the head of a segment is nothing new.
  if (record['carried'] === true) return undefined;
  const { seq, time, action, approvals } = record;
  const timeMs = asTimeMs(time);
  const event = eventOf(action, approvals);
  if (event === undefined || timeMs === undefined || !isCount(seq)) return undefined;
  return {
    id: `${journal}.${String(seq)}`,
    event,
    timeMs,
    host: plainText(host, nameMax),
    facts: factsOf(record),
  };
}

/** Break-glass is a grant that nobody has approved. */
function eventOf(action: unknown, approvals: unknown): NoticeEvent | undefined {
  if (action === 'granted' && approvals === 0) return 'break-glass';
  return noticeEvents.find((each) => each === action && each !== 'break-glass');
}

/** Whether a receiver with these events gets the notice. Break-glass is a grant, too: nobody who wants to hear of grants may miss it. */
export function isWanted({ event }: Notice, events: readonly NoticeEvent[]): boolean {
  if (event === 'dropped') return true;
  return events.includes(event) || (event === 'break-glass' && events.includes('granted'));
}

function factsOf(record: Readonly<Record<string, unknown>>): Facts {
  const name = (key: string): string | undefined => textOf(record[key], (text) => plainText(text, nameMax));
  const users = usersOf(asList(record['users']) ?? []);
  const until = asNumber(record['until']);
  const end = until === undefined ? name('until') : formatTime(until);
  const length = record['duration_ms'];
  const isRequest = record['action'] === 'requested';
  const facts: Record<FactKey, Facts[FactKey]> = {
    to: name('to'),
    principal: name('principal'),
    listener: name('listener'),
    policy: name('policy'),
    users: users.length === 0 ? undefined : users,
    scope: name('scope'),
    command: textOf(record['command'], (text) => plainText(text, textMax)),
    reason: textOf(record['reason'], (text) => plainSentence(text, textMax)),
    // In a request, the length is what is asked for, and `until` is when the request lapses.
    for: isRequest && isDistanceMs(length) && length > 0 ? formatDuration(length) : undefined,
    // Nobody decides about break-glass.
    decide_by: isRequest && record['approvals'] !== 0 ? end : undefined,
    until: isRequest ? undefined : end,
    uses: asCount(record['uses']),
    quiet: isDistanceMs(record['quiet_ms']) ? formatDuration(record['quiet_ms']) : undefined,
    approvals: asCount(record['approvals']),
    request: name('request'),
    grant: name('grant'),
    dropped: undefined,
    first: undefined,
    last: undefined,
  };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined && value !== ''));
}

function usersOf(values: readonly unknown[]): readonly string[] {
  const all = values.flatMap((each) => textOf(each, (text) => plainText(text, nameMax)) || []);
  const shown = all.slice(0, 10);
  return all.length > shown.length ? [...shown, `and ${all.length - shown.length} more`] : shown;
}

/** A text in plain form; of a long one, the beginning that the journal kept. */
function textOf(value: unknown, plain: (text: string) => string): string | undefined {
  if (isText(value)) return plain(value);
  const cut = asCut(value);
  return cut === undefined ? undefined : `${plain(cut)}…`;
}

/** Without the texts that the requester chooses freely. */
export function withoutChosenTexts(notice: Notice): Notice {
  const { users: _, ...facts } = notice.facts;
  return { ...notice, facts: { ...facts, reason: 'left out, with the users: the receiver refused them' } };
}

/** Notices that were not delivered in time; one notice reports them to the receiver. */
export interface Dropped {
  readonly count: number;
  /** Times of the first and the last, and the seq of the last. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly seq: number;
}

export function addDropped(before: Dropped | undefined, timeMs: number, seq: number): Dropped {
  return { count: (before?.count ?? 0) + 1, fromMs: before?.fromMs ?? timeMs, toMs: timeMs, seq };
}

export function droppedNotice(
  { count, fromMs, toMs, seq }: Dropped,
  { journal, host }: NoticeSource,
): Notice {
  return {
    id: `${journal}.${seq}.dropped`,
    event: 'dropped',
    timeMs: toMs,
    host: plainText(host, nameMax),
    facts: { dropped: count, first: formatTime(fromMs), last: formatTime(toMs) },
  };
}
