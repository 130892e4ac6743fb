// Whether a journal contains everything that happened in a time, in plain sentences: from its verification and the requested time. Pure.
// `isComplete` only if a trusted signature covers the whole time. Every reason against it has a sentence.

import { formatTime, parseTime } from '../../host/words/instants.js';
import { quoteUnlessPlain } from '../../host/words/text.js';
import { countWords, plural, timesWords } from '../../host/words/words.js';
import type { Verdict } from '../trail/verify.js';
import type { MailboxCounts, RetiredRecords } from '../views/trail.js';

/** A closed list: scripts rely on the words. */
export type DoubtCode =
  /** Something is changed, missing, or signed by an untrusted key. */
  | 'fault'
  | 'unsigned'
  | 'empty'
  /** The journal, or what retention left of it, begins after the requested time does. */
  | 'begins-later'
  | 'retired'
  /** The last record is older than the end of the requested time. */
  | 'ends-earlier'
  | 'unsigned-tail'
  /** A start did not find the records in the memory of the previous run. */
  | 'lost-memory'
  /** The clock was set in this time: records may have wrong times. */
  | 'clock'
  /** A later release wrote it. */
  | 'newer'
  /** The reader may see only a part of the records. */
  | 'limited-view'
  /** The daemon could not return all rows. */
  | 'left-out'
  /** Commands that did not reach a mail server, in a flood, have no records. */
  | 'only-counted';

export interface Doubt {
  readonly code: DoubtCode;
  /** A sentence for people; it contains text of the journal. */
  readonly text: string;
  /** True: the time is not complete. False: a note. */
  readonly isSerious: boolean;
}

/** The requested time in Unix milliseconds, from `fromMs` to before `toMs`. Undefined: as far as the journal goes. */
export interface AskedTime {
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly nowMs: number;
}

export interface Vouching {
  readonly isChecked: boolean;
  /** The owner of the key: `this host's own key`; empty: unknown. */
  readonly whose: string;
  /** The path of a file by the name that records use. */
  readonly pathOf: (file: string) => string;
}

export interface Completeness {
  readonly isComplete: boolean;
  /** RFC 3339; empty: there is no record. */
  readonly from: string;
  readonly to: string;
  /** The time of the last trusted signature, and its key. */
  readonly signedTo: string | undefined;
  readonly signedBy: string | undefined;
  readonly whose: string;
  /** With several hosts, those of all of them, each with the name of its host in front. */
  readonly doubts: readonly Doubt[];
  readonly hosts?: readonly HostCompleteness[];
}

export interface HostCompleteness {
  readonly host: string;
  readonly isComplete: boolean;
  /** RFC 3339: its last signed record; without a key, the last one that was verified. Undefined: there is none. */
  readonly to: string | undefined;
  readonly seq: number | undefined;
  readonly signedSeq: number | undefined;
  readonly signedBy: string | undefined;
  readonly doubts: readonly Doubt[];
}

/** A checkpoint comes once a minute, and a busy disk may delay it: an end that is not older is no doubt. */
export const tailMsMax = 300_000;
const faultsShown = 5;

export function judgeCompleteness(verdict: Verdict, asked: AskedTime, vouching: Vouching): Completeness {
  const { firstTime, lastTime, signedTime, signedSeq, lastSeq } = verdict;
  const from = asked.fromMs === undefined ? firstTime : formatTime(asked.fromMs);
  const endMs = asked.toMs === undefined ? undefined : Math.min(asked.toMs, asked.nowMs);
  const end = endMs === undefined ? lastTime : formatTime(endMs);
  // A requested time in the future ends now, perhaps before it begins.
  const to = end < from ? from : end;
  const doubts: Doubt[] = [];
  const doubt = (code: DoubtCode, text: string, isSerious = true): void => {
    doubts.push({ code, text, isSerious });
  };
  for (const { file, line, seq, kind, text } of verdict.faults.slice(0, faultsShown)) {
    const place = file === '' ? '' : `${vouching.pathOf(file)}${line === 0 ? '' : `:${line}`}: `;
    doubt('fault', `${place}${seq === undefined ? '' : `seq ${seq}: `}${kind}: ${text}`);
  }
  const more = verdict.faultCount - Math.min(verdict.faults.length, faultsShown);
  if (more > 0) doubt('fault', `and ${more} more; dovegate audit verify shows them`);
  if (!vouching.isChecked)
    doubt('unsigned', 'no signature was checked: there is no key to check with (--key FILE)');
  if (verdict.isNewer)
    doubt('newer', 'a later release wrote this journal: keys that it added were not checked');
  if (firstTime === '') {
    doubt('empty', 'the journal holds no record');
  } else {
    if (firstTime > from) tellBegin(doubt, verdict, from);
    const isBehind =
      from > lastTime || (endMs !== undefined && (parseTime(lastTime) ?? 0) < endMs - tailMsMax);
    if (isBehind)
      doubt('ends-earlier', `the last record is of ${lastTime}; nothing is known of the time after it`);
    if (vouching.isChecked && signedSeq !== undefined && signedTime !== undefined && signedTime < to)
      tellTail(doubt, signedTime, (lastSeq ?? signedSeq) - signedSeq, lastTime);
  }
  // Such a start lost records before it, so only starts within the requested time count.
  for (const { file, line, seq, time, text } of verdict.forgotten)
    if (time >= from) doubt('lost-memory', `${vouching.pathOf(file)}:${line}: seq ${seq}, ${time}: ${text}`);
  tellSteps(doubt, verdict, from, to);
  return {
    isComplete: !doubts.some(({ isSerious }) => isSerious),
    from,
    to,
    signedTo: vouching.isChecked ? signedTime : undefined,
    signedBy: vouching.isChecked ? verdict.signedBy : undefined,
    whose: vouching.whose,
    doubts,
  };
}

type Tell = (code: DoubtCode, text: string, isSerious?: boolean) => void;

function tellBegin(doubt: Tell, { firstTime, retired }: Verdict, from: string): void {
  for (const each of retired.filter(({ until }) => until === undefined || until > from))
    doubt(
      'retired',
      `${retiredText(each)}, ${plural(each.segments, 'segment')}: the first record left is of ${firstTime}`,
    );
  if (retired.length === 0)
    doubt('begins-later', `the journal begins at ${firstTime}; nothing is known of the time before it`);
}

function retiredText({ by, until }: RetiredRecords): string {
  const cause = by === undefined ? '' : by === 'size' ? ' (audit.max_size)' : ' (audit.keep)';
  return `records ${until === undefined ? 'of this time' : `before ${until}`} were retired${cause}`;
}

function tellTail(doubt: Tell, signedTime: string, records: number, lastTime: string): void {
  if (records === 0) return;
  const isLong = (parseTime(lastTime) ?? 0) - (parseTime(signedTime) ?? 0) > tailMsMax;
  const which = plural(records, 'record after that is', 'records after that are');
  const text = `signed up to ${momentText(signedTime)} UTC; ${which} chained to it and not signed yet`;
  doubt(
    'unsigned-tail',
    isLong ? `${text}, for longer than any daemon waits with a signature` : text,
    isLong,
  );
}

const stepsShown = 5;

/** Clock steps within the time. A long stop and a clock set ahead look the same, so that alone is no serious doubt. */
function tellSteps(doubt: Tell, { steps }: Verdict, from: string, to: string): void {
  const near = steps.filter((step) => {
    const isAhead = step.from < step.to;
    return (isAhead ? step.to : step.from) >= from && (isAhead ? step.from : step.to) <= to;
  });
  for (const step of near.slice(0, stepsShown)) {
    const isStop = step.isAtStart && step.from < step.to;
    const text = isStop
      ? `dovegate did not run from ${step.from} to ${step.to}, or the clock was set ahead meanwhile`
      : `the clock was set from ${step.from} to ${step.to} (seq ${step.seq}), so records of this time may bear times outside of it: look there, too`;
    doubt('clock', text, !isStop);
  }
  if (near.length > stepsShown)
    doubt('clock', `and the clock was set ${near.length - stepsShown} times more in this time`);
}

const dayMs = 86_400_000;

/** `2026-11-01 to 2026-11-30` for whole days, else both times, in UTC. */
export function formatPeriod(from: string, to: string, isToAsked: boolean): string {
  const fromMs = parseTime(from);
  const toMs = parseTime(to);
  if (fromMs === undefined || toMs === undefined) return 'no time at all';
  const areDays = isToAsked && fromMs % dayMs === 0 && toMs % dayMs === 0 && toMs > fromMs;
  if (!areDays) return `${momentText(from)} to ${momentText(to)} UTC`;
  return `${from.slice(0, 10)} to ${formatTime(toMs - 1).slice(0, 10)}`;
}

export function momentText(time: string): string {
  return time.slice(0, 19).replace('T', ' ');
}

/** Was anything deleted? "No" is qualified unless the records are proven complete, every answer if `viewer` sees only a part of them. */
export function deletionSentence(
  {
    deleted,
    maybeDeleted,
    deleteDenied,
    deleteFailed,
  }: Pick<MailboxCounts, 'deleted' | 'maybeDeleted' | 'deleteDenied' | 'deleteFailed'>,
  isComplete: boolean,
  viewer?: string,
): string {
  const isNone = deleted + maybeDeleted === 0;
  const view = viewer === undefined ? '' : `${ofView(viewer)}, `;
  const some = (count: number, what: string, one: string, many = one): string[] =>
    count === 0 ? [] : [plural(count, `${what} ${one}`, `${what}s ${many}`)];
  const did = [
    ...some(
      deleted,
      'command',
      'deleted what it named, as far as it was there',
      'deleted what they named, as far as it was there',
    ),
    ...some(maybeDeleted, 'command', 'may have deleted something'),
  ].join('; ');
  const found = isNone ? `${view === '' ? 'No' : `${view}no`} recorded command deleted anything` : view + did;
  const rest = [
    ...some(deleteDenied, 'attempt', 'was denied', 'were denied'),
    ...some(deleteFailed, 'attempt', 'failed'),
  ].join(', ');
  const doubt = isNone && !isComplete ? ' But the record is not proved complete.' : '';
  return `${found}${rest === '' ? '' : `; ${rest}`}.${doubt}`;
}

function ofView(viewer: string): string {
  return `Of what ${viewer} may see`;
}

/** For a mailbox that no record names. `similar`: users with similar names. */
export function unnamedSentence(mailbox: string, similar: readonly string[], viewer?: string): string {
  const no = viewer === undefined ? 'No' : `${ofView(viewer)}, no`;
  const meant = similar.length === 0 ? '.' : `: did you mean ${similar.map(quoteUnlessPlain).join(' or ')}?`;
  return `${no} record names "${mailbox}"${meant}`;
}

/** The verdict of a report: its first sentence, then one for each doubt. They contain text of the journal. */
export function reportSentences(
  completeness: Completeness,
  counts: MailboxCounts,
  isToAsked: boolean,
): readonly string[] {
  const { isComplete, from, to, signedTo, signedBy, whose, doubts, hosts } = completeness;
  const period = formatPeriod(from, to, isToAsked);
  const until =
    counts.unsigned === 0 || signedTo === undefined
      ? ''
      : ` until ${momentText(signedTo)} UTC, ${plural(counts.unsigned, 'later command')} not signed yet`;
  const signed =
    signedBy === undefined ? '' : `, signed by ${signedBy}${whose === '' ? '' : ` (${whose})`}${until}`;
  const where =
    hosts === undefined ? signed : ` on ${hosts.length === 1 ? '1 host' : `all ${hosts.length} hosts`}`;
  const first = isComplete
    ? `complete from ${period}${where}, nothing missing, ${countsText(counts)}`
    : `NOT proved complete from ${period}: ${reasonsText(doubts)}; what was found: ${countsText(counts)}`;
  // Said only where no command of this mailbox is unsigned. For a fleet that is not counted.
  const tail =
    counts.unsigned > 0 || hosts !== undefined ? '' : '; none of them is of this mailbox in this time';
  return [
    first,
    ...(hosts ?? []).map(hostSentence),
    ...doubts.map(({ code, text, isSerious }) =>
      isSerious ? text : `note: ${text}${code === 'unsigned-tail' ? tail : ''}`,
    ),
    ...notes(counts),
  ];
}

function hostSentence({ host, isComplete, to, seq, signedSeq, signedBy }: HostCompleteness): string {
  if (to === undefined) return `${host}: NOT proved complete: no record`;
  const verdict = isComplete ? 'complete' : 'NOT proved complete, verified';
  const signed =
    signedSeq === undefined || signedBy === undefined ? '' : `, signed to record ${signedSeq} by ${signedBy}`;
  return `${host}: ${verdict} to ${momentText(to)} UTC (record ${seq ?? '?'})${signed}`;
}

function reasonsText(doubts: readonly Doubt[]): string {
  const count = doubts.filter(({ isSerious }) => isSerious).length;
  return count === 1 ? 'one reason stands below' : `${count} reasons stand below`;
}

function countsText(counts: MailboxCounts): string {
  const { requesters, isMoreRequesters, commands, showed, searched, maybeShowed } = counts;
  if (commands === 0) return 'no command touched this mailbox';
  const who = isMoreRequesters
    ? `more than ${plural(requesters, 'requester')}`
    : plural(requesters, 'requester');
  const search = searched === 0 ? '' : `, ${countWords(searched)} searched in content`;
  const maybe = maybeShowed === 0 ? '' : `, ${countWords(maybeShowed)} may have shown content`;
  const shown = showed === 0 ? 'none' : countWords(showed);
  return `${who}, ${plural(commands, 'command')}, ${shown} of them showed content${search}${maybe}`;
}

function notes({ notNamed, open, unknown, stopped, denied, counted }: MailboxCounts): string[] {
  const many = (count: number, text: string, more = ''): string[] =>
    count === 0 ? [] : [`note: ${plural(count, `${more}command`, `${more}commands`)} ${text}`];
  const why = `${countWords(denied)} denied, ${countWords(stopped - denied)} failed`;
  return [
    ...many(notNamed, 'may have touched it: for all users, or by a mask or a list that was cut'),
    ...many(open, 'without a recorded end: still running, or the outcome is unknown'),
    ...many(unknown, 'with an unknown outcome: may have run'),
    ...many(stopped, `never reached a mail server (${why})`, 'more '),
    ...(counted === 0
      ? []
      : [`note: dovegate itself counted mails ${timesWords(counted)}, for a command or a request`]),
  ];
}
