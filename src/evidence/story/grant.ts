// The story of a grant: what became of one request for access, from its first record to its last use, in sentences. It folds the records of
// one id with the code by which the gate itself decides (`AccessBook`), so it shows no approval that did not count. A trail may begin later
// than the request: each segment begins with copies of what was open.

import { endingWords, endWords, personWords, reviewWords } from '../../gate/access/ending-words.js';
import { asTexts } from '../../host/values/values.js';
import {
  AccessBook,
  type AccessEntry,
  accessTermsOf,
  enderOf,
  endings,
} from '../../journal/records/access-book.js';
import { formatCommand } from '../../journal/records/encode.js';
import type { AccessRecord } from '../../journal/records/record.js';
import type { Followed } from '../../journal/records/state.js';
import { textIn } from '../../journal/records/stored.js';
import { givenWords, hiddenSentences, isTry, triedWords } from './row.js';

const namesMax = 50;
/** Stands for names of commands beyond the limit. */
const others = '(others)';

/** Texts are as recorded: callers must make them harmless. */
export class GrantStory {
  readonly id: string;
  /** As the gate has it. Undefined: the kept records no longer have its request, so who asked and who approved is not known. */
  entry: AccessEntry | undefined;
  /** Commands that were sent, by name, without those in segments that were not read. */
  readonly commands = new Map<string, number>();
  firstUse: string | undefined;
  lastUse: string | undefined;
  /** Time of its last step or use, copies at the head of a segment not counted. */
  lastTime = '';
  /** `by` is empty if nobody did it. Undefined: it is in force, or waits. */
  end:
    | { readonly action: string; readonly by: string; readonly time: string; readonly why: string }
    | undefined;
  readonly #book = new AccessBook();
  readonly #first: Followed;
  /** Uses that the book does not count, since it does not know the grant, or no longer. */
  #usedBeside = 0;
  /** Commands that came after its end and were denied. */
  tried = 0;
  #isNamedGrant = false;

  /** `first`: the first of its records that was read. It has to be passed to `follow`, too. */
  constructor(id: string, { to, principal, policy, users, command }: Followed) {
    this.id = id;
    this.#first = { to, principal, policy, users, command };
  }

  /** `use`: the name of the command, if known. Returns the name by which it was counted. */
  follow(record: Followed, use = ''): string | undefined {
    const text = (key: keyof Followed): string => textIn(record, key);
    const [event, action, time] = [text('event'), text('action'), text('time')];
    if (isTry(record)) {
      if (event === 'admission') this.tried += 1;
      return undefined;
    }
    const ended = this.#book.follow(toldOf(record));
    const isFollowed = this.#book.find(this.id) !== undefined;
    this.entry = this.#book.find(this.id) ?? ended ?? this.entry;
    this.#isNamedGrant ||= text('grant') !== '';
    if (record.carried !== true && event !== 'completion') this.lastTime = time;
    // `at` of a copy is the time of the original.
    if (endings.has(action))
      this.end = {
        action,
        by: enderOf(record),
        time: text('at') || time,
        why: text('reason') || text('text'),
      };
    if (event === 'completion' && record.sent === false) {
      // Not sent to a mail server, so not a use.
      this.#count(use, -1);
      if (!isFollowed) this.#usedBeside -= 1;
    }
    if (event !== 'admission') return undefined;
    this.firstUse ??= time;
    this.lastUse = time;
    if (!isFollowed) this.#usedBeside += 1;
    return this.#count(this.commands.has(use) || this.commands.size < namesMax ? use : others, 1);
  }

  #count(name: string, by: 1 | -1): string {
    const count = (this.commands.get(name) ?? 0) + by;
    if (count > 0) this.commands.set(name, count);
    else this.commands.delete(name);
    return name;
  }

  /** The record of the request; without it, what a later record says of it. */
  get requested(): Partial<AccessRecord> {
    const first = this.#first;
    return (
      this.entry?.requested ?? {
        to: textIn(first, 'to') || textIn(first, 'principal'),
        policy: textIn(first, 'policy'),
        users: asTexts(first.users),
        command: textIn(first, 'command'),
      }
    );
  }

  get to(): string {
    const { to, principal = '' } = this.requested;
    return to ?? principal;
  }

  get command(): string {
    const { command = '', args = [] } = this.requested;
    return formatCommand([command, ...args]);
  }

  /** How many persons had to approve. Undefined: unknown. */
  get needed(): number | undefined {
    return this.entry && (this.entry.requested.approvals ?? 1);
  }

  get isGranted(): boolean {
    return this.entry === undefined ? this.#isNamedGrant : this.entry.granted !== undefined;
  }

  get usesMax(): number | undefined {
    return (this.entry?.granted ?? this.requested).uses;
  }

  get used(): number {
    return Math.max(0, (this.entry?.used ?? 0) + this.#usedBeside);
  }
}

/** The story of a grant from its steps among the records. Undefined: there are none. */
export function foldGrant(records: readonly Followed[], id: string): GrantStory | undefined {
  const steps = records.filter(
    ({ event, grant, request }) => event === 'access' && (grant ?? request) === id,
  );
  const [first] = steps;
  const story = first && new GrantStory(id, first);
  for (const step of steps) story?.follow(step);
  return story;
}

/** The keys that are kept of a record: with longer texts, thousands of stories of a forged journal would fill the memory. */
const keysOfSteps =
  'time at event action principal policy by until uses used approvals quiet_ms request grant carried sent for duration_ms'.split(
    ' ',
  );
const keysOfRequests = 'to policy rule reason users case command args scope approvals effect matches'
  .split(' ')
  .concat(keysOfSteps);

function toldOf(record: Followed): Followed {
  const keys = record.action === 'requested' ? keysOfRequests : keysOfSteps;
  return Object.fromEntries(Object.entries(record).filter(([key]) => keys.includes(key)));
}

/** `approved by carol@leads, dave@leads`. No story: no record was read; `isLimited`: in a limited view. Callers make it harmless. */
export function approvedText(story: GrantStory | undefined, isLimited = false): string {
  const { entry, needed = 1, isGranted } = story ?? {};
  if (entry === undefined) return `approvers are ${whereNot(isLimited)}`;
  if (needed === 0) return `without an approval (break-glass), ${reviewWords(entry.reviewed?.principal)}`;
  const names = entry.approvals.map(({ principal = '' }) => personWords(principal)).join(', ');
  const missing = needed - entry.approvals.length;
  if (missing <= 0)
    return `approved by ${names}${entry.requested.by === undefined ? '' : ', who gave it without a request'}`;
  if (isGranted === true)
    return `approved by ${names === '' ? '' : `${names} and `}${missing} no longer in the kept records`;
  return `approved by ${names || 'nobody'}${needed === 1 ? '' : `, of ${needed} who must`}`;
}

/** What became of it, in sentences without a full stop. The first one is its state. */
export function grantSentences(story: GrantStory): string[] {
  const { to, command, requested, used, isGranted } = story;
  const { users = [], reason = '' } = requested;
  const whose = users.length === 0 ? '' : ` of ${users.join(', ')}`;
  return [
    endText(story),
    `${to} asked for ${command}${whose}${reason && `: ${reason}`}`,
    ...hiddenSentences(command),
    ...(isGranted
      ? [`${approvedText(story)}${givenText(story)}`, used === 0 ? 'never used' : `used ${usedText(story)}`]
      : givesText(story)),
    ...(story.tried === 0 ? [] : [triedWords(story.tried)]),
  ];
}

/** Before a grant: what the approvals so far would give, if that is less than what was asked for. */
function givesText(story: GrantStory): readonly string[] {
  const terms = story.entry && accessTermsOf(story.entry, story.entry.approvals);
  return terms?.asked_for === undefined
    ? []
    : [`${approvedText(story)}, which would give ${givenWords(terms)}`];
}

/** `, for 30 min, 2 uses (1 h, 3 uses were asked for)`; '' before a grant, or if the kept records do not have it. */
export function givenText({ entry }: GrantStory): string {
  if (entry?.granted === undefined) return '';
  return `, for ${givenWords(accessTermsOf(entry, entry.approvals))}`;
}

/** Why a request is not known: it is older than the journal, or also concerns users that a limited view hides. */
function whereNot(isLimited: boolean): string {
  return isLimited ? 'not shown in this view' : 'no longer in the kept records';
}

export function endText({ end, entry }: GrantStory, isLimited = false): string {
  if (end !== undefined && entry === undefined)
    return `${endWords(end.action, end.by)}${end.why && `: ${end.why}`}`;
  if (end !== undefined && entry !== undefined) {
    const { requested, granted, approvals, untilMs } = entry;
    return endingWords({
      ...end,
      isGranted: granted !== undefined,
      approved: approvals.length,
      needed: requested.approvals ?? 1,
      waitMs: untilMs - requested.time,
      forMs: (granted ?? requested).duration_ms ?? 0,
      policy: requested.policy ?? '',
    });
  }
  if (entry === undefined) return `its end is ${isLimited ? whereNot(true) : 'not in the kept records'}`;
  return entry.granted === undefined ? 'waits' : `until ${entry.granted.until ?? '?'}`;
}

export function usedText({ isGranted, used, usesMax, commands }: GrantStory): string {
  if (!isGranted) return '';
  if (used === 0) return 'never';
  const names = [...commands].map(([name, count]) => (count === 1 ? name : `${name} (${count})`));
  // The commands may be in a segment that was not read.
  return `${used}${usesMax === undefined ? '' : ` of ${usesMax}`}${names.length === 0 ? '' : `: ${names.join(', ')}`}`;
}
