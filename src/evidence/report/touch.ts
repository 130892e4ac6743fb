// The commands that concern one mailbox: a row of a trail becomes a touch, with its class, whether it names the mailbox, whether it reached
// a mail server and whether it showed content; touches are counted, and grouped by day, requester, class and reason. Pure. Facts missing in
// a record are shown as "may have", never omitted and never taken for a no.

import { classOfOutcome } from '../../gate/outcome/class.js';
import { asList, asNumber } from '../../host/values/values.js';
import { formatJson } from '../../host/words/text.js';
import { askedOf, type ContentAsked } from '../story/content.js';
import type { GivenToOwner } from '../story/owner-view.js';
import { type Certainty, type Story, storyOfRow } from '../story/story.js';
import { causeWords } from '../story/words.js';
import { formatArguments, formatValue } from '../trail/export.js';
import { createNameTest, type ExchangeRow } from '../trail/search.js';
import { type MailboxClass, type MailboxCounts, type MailboxLine, noCommands } from '../views/trail.js';

/** The result of a command. Commands that ran, or may have, get the strongest possible effect of their kind. */
export type TouchClass = MailboxLine['class'];
/** The strongest possible effect of a kind. `session`: ends or lists logins, asks dovegate. `unread`: the line was not parsed. */
export type TouchKind = Exclude<TouchClass, 'deleted' | 'counted' | 'denied' | 'failed'>;

/** The one table of classes, in the order of reports: text, CSV, JSON, HTML and the page take words and tones from here. */
export const touchClasses: readonly MailboxClass[] = [
  { class: 'deleted', what: 'deleted', tone: 'bad' },
  { class: 'destroyed', what: 'may have deleted', tone: 'bad' },
  { class: 'changed', what: 'changed', tone: 'warn' },
  { class: 'content', what: 'showed content', tone: 'warn' },
  { class: 'searched', what: 'searched content', tone: 'warn' },
  { class: 'read', what: 'read, no content', tone: 'quiet' },
  { class: 'session', what: 'session', tone: 'quiet' },
  { class: 'counted', what: 'counted by dovegate', tone: 'quiet' },
  { class: 'unread', what: 'not understood', tone: 'quiet' },
  { class: 'failed', what: 'tried, failed', tone: 'quiet' },
  { class: 'denied', what: 'tried, denied', tone: 'quiet' },
];

/** One command in relation to one mailbox. Texts are as recorded: callers must make them harmless. */
export type Touch = ReturnType<ReturnType<typeof createTouchReader>>;

/** False: it was refused, failed, or never reached the mail server. */
export function hadEffect({ reached, class: group }: Pick<Touch, 'reached' | 'class'>): boolean {
  return reached !== 'no' && group !== 'failed' && group !== 'denied';
}

export interface GrantTold {
  readonly approvedBy: string;
  /** Undefined: its records are not kept any more. */
  readonly given?: GivenToOwner | undefined;
  readonly reason: string;
}

/** Reads rows that a search for this user found. `isFleet`: their field `host` was added, and is not of the record. */
export function createTouchReader(
  mailbox: string,
  isFleet = false,
  ofGrant: (grant: string) => GrantTold | undefined = () => undefined,
) {
  const isNamed = createNameTest({ user: mailbox });
  return (row: ExchangeRow) => {
    const { fields, admittedSeq, completedSeq } = row;
    const text = (key: string): string => formatValue(fields[key]);
    const time = text('time');
    const story = storyOfRow(row);
    const { sent: reached, ended } = story;
    const isWireUser = isNamed({ ...row, fields: { user: fields['user'], users: [], case: fields['case'] } });
    const asked = askedOf(fields, isWireUser);
    const by = isNamed(row) ? 'named' : isForAll(fields) ? 'all' : 'mask';
    const showed = showedOf(
      fields,
      ended,
      asked,
      by === 'named' ? reached : reached === 'yes' ? 'maybe' : reached,
    );
    const kind = kindOf(fields, asked);
    const grant = text('grant');
    const countedForRequest = text('for') && text('request');
    const request = grant || countedForRequest;
    const told = request === '' ? undefined : ofGrant(request);
    return {
      /** RFC 3339, of the admission, and its day in UTC. */
      time,
      day: time.slice(0, 10),
      requester: text('principal'),
      /** The policy that it was judged by; empty: the record does not say it. */
      policy: text('policy'),
      class: classOf(story, kind, showed, by === 'named' && fields['matches'] !== 0),
      kind,
      /** As the client stated it; otherwise of the request for its grant, or of the request that it was counted for. Empty: none known. */
      reason: text('reason') || (told?.reason ?? ''),
      command: text('command'),
      args: text('args'),
      user: text('user'),
      /** `named`: the mailbox is named. `mask`: a mask or a cut list may include it. `all`: the command was for all users. */
      by,
      /** Whether a byte of it went to a mail server. */
      reached,
      /** Whether the client got content of mails, or an answer that depends on it: which mails have a word. */
      showed,
      /** A recorded outcome, or `open`. */
      outcome: ended.outcome,
      /** Why it failed or was refused, in the words that its client got; empty if it succeeded. */
      why: causeWords(ended.cause),
      /** The exchange for which dovegate itself made this search; empty: a client sent it. */
      countedFor: text('for'),
      /** The request for access for which dovegate made this search. */
      countedForRequest,
      /** Mails that its query matched, as dovegate counted them. */
      ...(asNumber(fields['matches']) !== undefined && { matches: asNumber(fields['matches']) }),
      id: text('id'),
      session: text('session'),
      listener: text('listener'),
      backend: text('backend'),
      /** The grant that allowed it, empty if a rule did; and who approved the grant, if the journal says so. */
      grant,
      approvedBy: grant === '' ? '' : (told?.approvedBy ?? ''),
      ...(told?.given !== undefined && { given: told.given }),
      ...(isFleet && { host: text('host') }),
      seq: admittedSeq,
      completedSeq,
    };
  };
}

export function isForAll({ users, args }: ExchangeRow['fields']): boolean {
  return asList(users)?.includes('*') ?? asList(args)?.includes('-A') === true;
}

/** Rows before a failure reached the client, so the command counts by what it showed. `isMet`: it named the mailbox and found something. */
function classOf(
  { asked, decided, sent, ended: { outcome } }: Story,
  kind: TouchKind,
  showed: Certainty,
  isMet: boolean,
): TouchClass {
  if (sent === 'no') {
    if (outcome === 'unparsable') return kind === 'unread' ? 'unread' : 'failed';
    // A missing reason, and a limit, refuse what a rule allows.
    const isRefused = decided.decision === 'deny' || classOfOutcome(outcome) === 'denied';
    return isRefused ? 'denied' : 'failed';
  }
  if (outcome === 'failed' && showed === 'no') return 'failed';
  if (asked.countedFor !== undefined) return 'counted';
  const hasDeleted = isMet && asked.effect === 'destroy' && !mirrors.has(asked.command);
  return hasDeleted && sent === 'yes' && outcome === 'ok' ? 'deleted' : kind;
}

/** These commands make one side like the other, so they may delete what the other side lacks. */
const mirrors = new Set<unknown>(['backup', 'dsync-server', 'sync']);

function kindOf({ effect, command }: ExchangeRow['fields'], asked: ContentAsked): TouchKind {
  switch (effect) {
    case 'read':
      if (asked.content === 'no') return 'read';
      return asked.isSearch === true ? 'searched' : 'content';
    case 'session':
      return 'session';
    case 'write':
    case 'admin':
      return mirrors.has(command) ? 'destroyed' : 'changed';
    case 'destroy':
      return 'destroyed';
    default:
      return 'unread';
  }
}

/** Whether content of mails came to the client, as far as the command reached a mail server, and this mailbox. */
export function showedOf(
  { cells }: ExchangeRow['fields'],
  { outcome, givenBytes }: Story['ended'],
  asked: ContentAsked,
  reached: Certainty,
): Certainty {
  if (asked.content === 'no' || reached === 'no') return 'no';
  const isWithoutRows = cells === 0;
  if (isWithoutRows && outcome === 'failed') return 'no';
  if (isWithoutRows && outcome === 'ok' && !asked.isAnsweredByNone) return 'no';
  if (asked.content === 'maybe' || reached === 'maybe') return 'maybe';
  // Rows before a command broke off reached the client.
  const hasRows = (asNumber(cells) ?? 0) > 0 || givenBytes > 0;
  return hasRows || outcome === 'ok' ? 'yes' : 'maybe';
}

/** Names that are kept to count requesters. Stops a forged journal from filling the memory. */
const requestersMax = 10_000;

/** `signedSeq`: the last record that a signature covers. */
export function createTouchCounter(signedSeq = Infinity) {
  const requesters = new Set<string>();
  const counts = { ...noCommands };
  return {
    take(touch: Touch): void {
      const {
        class: group,
        kind,
        requester,
        reached,
        showed,
        by,
        outcome,
        seq = 0,
        completedSeq = seq,
      } = touch;
      if (completedSeq > signedSeq) counts.unsigned += 1;
      if (countForOf(touch) !== undefined) {
        counts.counted += 1;
        return;
      }
      if (group === 'denied') counts.denied += 1;
      // An unparsed line may have had any effect; one that was not sent had none.
      if (kind === 'destroyed' || (kind === 'unread' && reached !== 'no')) {
        if (group === 'denied') counts.deleteDenied += 1;
        else if (group === 'failed') counts.deleteFailed += 1;
        else if (group === 'deleted') counts.deleted += 1;
        else counts.maybeDeleted += 1;
      }
      if (reached === 'no') {
        counts.stopped += 1;
        return;
      }
      counts.commands += 1;
      if (requesters.size < requestersMax) requesters.add(requester);
      else if (!requesters.has(requester)) counts.isMoreRequesters = true;
      if (showed === 'yes' && kind === 'searched') counts.searched += 1;
      else if (showed === 'yes') counts.showed += 1;
      if (showed === 'maybe') counts.maybeShowed += 1;
      if (by !== 'named') counts.notNamed += 1;
      if (outcome === 'open') counts.open += 1;
      if (outcome === 'unknown') counts.unknown += 1;
    },
    counts: (): MailboxCounts => ({ ...counts, requesters: requesters.size }),
  };
}

/** Commands of one day that look alike to a reader of the report: what they share, as in the first of them, and how many they are. */
export interface TouchGroup extends Omit<Touch, 'matches'> {
  /** Searches that dovegate made to count mails for a command, or for a request for access. Undefined: a client sent them. */
  readonly countFor: CountFor | undefined;
  readonly count: number;
  /** Mails that their queries matched. Undefined unless they were counted for each command. */
  readonly matches?: number | undefined;
  readonly firstTime: string;
  readonly lastTime: string;
  /** Their names, with how many there were of each; at most {@link namesMax}. */
  readonly commands: ReadonlyMap<string, number>;
  /** Ids of the exchanges, in their order; at most {@link idsMax}. */
  readonly ids: readonly string[];
}

/** One day; `isMore`: a part of this day was returned before (a command that ended days later, a clock that was set back). */
export interface TouchDay {
  readonly day: string;
  readonly isMore: boolean;
  readonly groups: readonly TouchGroup[];
}

/** Groups of a day; later ones are counted without their reason. Stops a client that states another reason each time. */
const groupsMax = 2000;
/** Commands that run over midnight nearly always end on the next day. */
const daysHeld = 2;
const namesMax = 50;
const nameCharsMax = 120;
const idsMax = 20;

export const others = '(others)';

const classOrder = touchClasses.map((each) => each.class);

type OpenGroup = { -readonly [Key in keyof TouchGroup]: TouchGroup[Key] } & {
  readonly commands: Map<string, number>;
  readonly ids: string[];
};

/** Gathers touches in the order of the search. A day is returned when it is over; memory holds two days at most. */
export function createDayBook(): { take(touch: Touch): TouchDay[]; finish(): TouchDay[] } {
  const held = new Map<string, Map<string, OpenGroup>>();
  let lastGiven = '';

  return {
    take(touch) {
      let day = held.get(touch.day);
      if (day === undefined) {
        day = new Map();
        held.set(touch.day, day);
      }
      add(day, touch);
      return release(daysHeld);
    },
    finish: () => release(0),
  };

  function add(day: Map<string, OpenGroup>, given: Touch): void {
    let touch = given;
    if (day.size >= groupsMax && !day.has(keyOf(touch))) {
      touch = { ...touch, reason: others, ...(touch.grant !== '' && { grant: others, approvedBy: '' }) };
      if (day.size >= groupsMax * 2 && !day.has(keyOf(touch))) touch = { ...touch, requester: others };
    }
    const key = keyOf(touch);
    const { time, matches } = touch;
    let group = day.get(key);
    if (group === undefined) {
      const none = { count: 0, matches: 0, firstTime: time, lastTime: time };
      group = {
        ...touch,
        ...none,
        countFor: countForOf(touch),
        commands: new Map<string, number>(),
        ids: [],
      };
      day.set(key, group);
    }
    group.count += 1;
    group.matches =
      group.matches === undefined || matches === undefined ? undefined : group.matches + matches;
    if (group.ids.length < idsMax && touch.id !== '') group.ids.push(touch.id);
    if (time < group.firstTime) group.firstTime = time;
    if (time > group.lastTime) group.lastTime = time;
    const own = nameOf(touch);
    const name = group.commands.size < namesMax || group.commands.has(own) ? own : others;
    group.commands.set(name, (group.commands.get(name) ?? 0) + 1);
  }

  function release(kept: number): TouchDay[] {
    const days: TouchDay[] = [];
    while (held.size > kept) {
      const [day = ''] = [...held.keys()].toSorted();
      const groups = [...(held.get(day)?.values() ?? [])].toSorted(compareGroups);
      held.delete(day);
      days.push({ day, isMore: day <= lastGiven, groups });
      if (day > lastGiven) lastGiven = day;
    }
    return days;
  }
}

/** Deleting commands are named with their arguments, which name the folder. */
function nameOf({ kind, command, args }: Touch): string {
  const all = kind === 'destroyed' ? `${command} ${formatArguments(args)}`.trim() : command;
  return all.length > nameCharsMax ? `${all.slice(0, nameCharsMax)}…` : all;
}

function keyOf(touch: Touch): string {
  const { requester, class: group, kind, reason, by, reached, showed, outcome, host, grant } = touch;
  const countFor = countForOf(touch);
  return formatJson([requester, group, kind, reason, by, reached, showed, outcome, countFor, host, grant]);
}

export type CountFor = 'command' | 'request';

export function countForOf({
  countedFor,
  countedForRequest,
}: Pick<Touch, 'countedFor' | 'countedForRequest'>): CountFor | undefined {
  if (countedForRequest !== '') return 'request';
  return countedFor === '' ? undefined : 'command';
}

/** In the order of time; of groups that began at the same time, the gravest first. */
function compareGroups(one: TouchGroup, other: TouchGroup): number {
  return (
    compareTexts(one.firstTime, other.firstTime) ||
    classOrder.indexOf(one.class) - classOrder.indexOf(other.class) ||
    compareTexts(one.requester, other.requester) ||
    compareTexts(one.reason, other.reason) ||
    compareTexts(one.host ?? '', other.host ?? '') ||
    compareTexts(one.grant, other.grant)
  );
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
