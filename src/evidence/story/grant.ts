// The story of a grant: what became of one request for access, from its first record to its last use, and its sentences. It reads the
// records of one id, in their order, with the fold by which the gate itself decides (`AccessBook`), so nobody is shown an approval that did
// not count. A trail may begin in the middle: what lived then stands at the head of each segment. What is not there any more is said.

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
  /** As the gate has it. Undefined: its request, and with it who asked and who approved, is no longer in the kept records. */
  entry: AccessEntry | undefined;
  /** Commands that were sent, by name; those of segments that are not read are missing. */
  readonly commands = new Map<string, number>();
  firstUse: string | undefined;
  lastUse: string | undefined;
  /** Of its last step or use, copies at the head of a segment aside. */
  lastTime = '';
  /** `by`: empty: nobody did it. Undefined: it lives, or waits. */
  end:
    | { readonly action: string; readonly by: string; readonly time: string; readonly why: string }
    | undefined;
  readonly #book = new AccessBook();
  readonly #first: Followed;
  /** Uses that the book does not count: of what it does not know, or no longer. */
  #usedBeside = 0;
  /** Commands that came when it was over, and were denied. */
  tried = 0;
  #isNamedGrant = false;

  /** `first`: of its records the first that is there; it is followed, too. */
  constructor(id: string, { to, principal, policy, users, command }: Followed) {
    this.id = id;
    this.#first = { to, principal, policy, users, command };
  }

  /** `use`: the name of the command, where it is known. Returns the name by which it was counted. */
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
    // A carried record says when it was written first.
    if (endings.has(action))
      this.end = {
        action,
        by: enderOf(record),
        time: text('at') || time,
        why: text('reason') || text('text'),
      };
    if (event === 'completion' && record.sent === false) {
      // It did not go to a mail server, so it was no use.
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

  /** The record of the request; else what is known of it from a later one. */
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

  /** With its arguments. */
  get command(): string {
    const { command = '', args = [] } = this.requested;
    return formatCommand([command, ...args]);
  }

  /** Persons who had to approve; undefined: unknown. */
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

/** From the steps of the grant among the records; undefined: none is there. */
export function foldGrant(records: readonly Followed[], id: string): GrantStory | undefined {
  const steps = records.filter(
    ({ event, grant, request }) => event === 'access' && (grant ?? request) === id,
  );
  const [first] = steps;
  const story = first && new GrantStory(id, first);
  for (const step of steps) story?.follow(step);
  return story;
}

/** What is kept of a record. Of thousands of stories, each further text would fill the memory: a forged journal has long ones. */
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

/**
 * `approved by carol@leads, dave@leads`; `undefined`: no record of it was read. `isLimited`: only what a limited view shows was read. For
 * people; made harmless by callers.
 */
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

/** What became of it, in sentences without their full stop: the first says how it is. */
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

/** Before a grant: what the approvals so far would give, where that is less than what was asked for. */
function givesText(story: GrantStory): readonly string[] {
  const terms = story.entry && accessTermsOf(story.entry, story.entry.approvals);
  return terms?.asked_for === undefined
    ? []
    : [`${approvedText(story)}, which would give ${givenWords(terms)}`];
}

/** `, for 30 min, 2 uses (1 h, 3 uses were asked for)`; '': before a grant, or it is not in the kept records. */
export function givenText({ entry }: GrantStory): string {
  if (entry?.granted === undefined) return '';
  return `, for ${givenWords(accessTermsOf(entry, entry.approvals))}`;
}

/** Of a request that concerns users that a limited view hides, too, or that is older than the journal. */
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
  // The commands may stand in a segment that is not read.
  return `${used}${usesMax === undefined ? '' : ` of ${usesMax}`}${names.length === 0 ? '' : `: ${names.join(', ')}`}`;
}
