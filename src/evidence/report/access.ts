// Access on request, for auditors: who had access to whose mail, who granted it, how it was used, and which grants were never used. One
// story (`evidence/story/grant`) for each id of a trail. Requests beyond the memory limit are counted, and the answer says so.

import { asList, asText, asTexts, isText, parseLine } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { plural } from '../../host/words/words.js';
import { type AuditRecord, eventPlace, isEventAt, timeBefore } from '../../journal/records/record.js';
import type { Followed } from '../../journal/records/state.js';
import { approvedText, endText, GrantStory, givenText, usedText } from '../story/grant.js';
import { givenToOwner } from '../story/owner-view.js';
import { type AccessTold, decisionsOf, isTry, triedWords } from '../story/row.js';
import { createCoverTest } from '../trail/search.js';
import type { GrantTold } from './touch.js';

/** Times in Unix milliseconds; a user as in a search. */
export interface AccessAsked {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly user?: string | undefined;
  /** Who decided about them. */
  readonly by?: string | undefined;
}

const itemsMax = 20_000;
const openMax = 200_000;
const idTexts = [',"grant":"', ',"request":"'].map((text) => Buffer.from(text));

export type AccessLedger = ReturnType<typeof createAccessLedger>;

export function createAccessLedger({ sinceMs, untilMs, user, by }: AccessAsked) {
  const items = new Map<string, GrantStory>();
  const until = untilMs === undefined ? '~' : formatTime(untilMs);
  const since = sinceMs === undefined ? '' : formatTime(sinceMs);
  const isCovered = user === undefined ? undefined : createCoverTest(user);
  /** By id of a command that has not ended: the name by which it was counted. */
  const open = new Map<string, string>();
  let leftOut = 0;

  return {
    /** A piece of whole lines. */
    take(piece: Buffer): void {
      for (let at = 0; at < piece.length; ) {
        const found = piece.indexOf(0x0a, at);
        const end = found < 0 ? piece.length : found;
        const eventAt = eventPlace(piece, at);
        const isAccess = isEventAt(piece, eventAt, 'ac');
        const isCommand = isEventAt(piece, eventAt, 'ad') || isEventAt(piece, eventAt, 'co');
        const line = isAccess || isCommand ? piece.subarray(at, end) : undefined;
        if (
          line !== undefined &&
          timeBefore(piece, eventAt) < until &&
          (isAccess || idTexts.some((text) => line.includes(text)))
        )
          follow(parseLine(line.toString('utf8')) ?? {});
        at = end + 1;
      }
    },
    find: (id: string): GrantStory | undefined => items.get(id),
    /** In the order of their first records. `leftOut`: requests beyond the memory limit. */
    finish(): { readonly items: readonly GrantStory[]; readonly leftOut: number } {
      return {
        items: [...items.values()].filter(
          (item) =>
            (item.end === undefined || item.lastTime >= since) &&
            (by === undefined || decisionsOf(tellAccess(item), by).length > 0),
        ),
        leftOut,
      };
    },
  };

  function follow(record: Followed & { readonly id?: unknown }): void {
    const of = record.grant ?? record.request;
    // A search by which dovegate counts mails for a command is not a use.
    if (!isText(of) || (record.event !== 'access' && record.for !== undefined)) return;
    // A command that came after the end of a grant does not show that an older grant exists.
    if (isTry(record)) return void items.get(of)?.follow(record);
    const story = items.get(of) ?? add(of, record);
    const { id, command } = record;
    if (!isText(id)) return void story?.follow(record);
    const counted = open.get(id);
    open.delete(id);
    const name = story?.follow(record, counted ?? asText(command) ?? '');
    if (name !== undefined && open.size < openMax) open.set(id, name);
  }

  /** Undefined: it concerns another user, or the memory limit is reached. */
  function add(id: string, first: Followed): GrantStory | undefined {
    const { users, user: named = '', case: kept, event } = first;
    const all = asList(users) ?? [];
    const names = asTexts(all.length > 0 ? all : [named]);
    if (!names.some((name) => isCovered?.(name, kept) !== false)) return undefined;
    // A command that was not sent does not show that an older request exists.
    if (id === '' || event === 'completion') return undefined;
    if (items.size >= itemsMax) {
      if (first.action === 'requested') leftOut += 1;
      return undefined;
    }
    const story = new GrantStory(id, first);
    items.set(id, story);
    return story;
  }
}

/** What a report says of a grant. `isLimited`: the ledgers are of a limited view. */
export function toldBy(ledgers: readonly AccessLedger[], isLimited = false): (id: string) => GrantTold {
  return (id) => {
    const story = ledgers.map((ledger) => ledger.find(id)).find((found) => found !== undefined);
    const given = story?.entry && givenToOwner(story.entry);
    return { approvedBy: approvedText(story, isLimited), given, reason: story?.requested.reason ?? '' };
  };
}

/** Texts are as recorded. `isLimited`: the story is of a limited view. */
export function tellAccess(story: GrantStory, isLimited = false): AccessTold {
  const { requested, entry, end } = story;
  const { granted, reviewed, approvals } = entry ?? {};
  const step = ({ principal = '', time }: AuditRecord) => ({ principal, time: formatTime(time) });
  return {
    id: story.id,
    to: story.to,
    policy: requested.policy,
    users: requested.users,
    command: story.command,
    scope: requested.scope,
    rule: requested.rule,
    reason: requested.reason,
    asked: requested.time === undefined ? undefined : formatTime(requested.time),
    given_by: requested.by,
    approvals: story.needed,
    approved_by: approvals?.map(step),
    granted: granted && formatTime(granted.time),
    until: granted?.until,
    uses: story.usesMax,
    used: story.used,
    tried: story.tried || undefined,
    commands: Object.fromEntries(story.commands),
    first_use: story.firstUse,
    last_use: story.lastUse,
    reviewed_by: reviewed && step(reviewed),
    end: end && { action: end.action, by: end.by === '' ? undefined : end.by, time: end.time, why: end.why },
    said: {
      by: story.isGranted ? `${approvedText(story, isLimited)}${givenText(story)}` : '',
      used: [usedText(story), story.tried === 0 ? '' : triedWords(story.tried)].filter(Boolean).join('; '),
      end: endText(story, isLimited),
    },
  };
}

export function accessSentences(items: readonly GrantStory[], leftOut: number, isLimited = false): string[] {
  const count = (isCounted: (item: GrantStory) => boolean): number => items.filter(isCounted).length;
  const unused = count(({ isGranted, used }) => isGranted && used === 0);
  const broken = items.filter(({ isGranted, needed }) => isGranted && needed === 0);
  const unreviewed = broken.filter(({ entry }) => entry?.reviewed === undefined).length;
  const unkept = count(({ entry }) => entry === undefined);
  const refused = count(({ end }) => end?.action === 'refused');
  const waiting = count(
    ({ entry, end, isGranted }) => entry !== undefined && end === undefined && !isGranted,
  );
  const undecided = count(
    ({ end, isGranted }) => end !== undefined && end.action !== 'refused' && !isGranted,
  );
  const parts = [
    `${count(({ isGranted }) => isGranted)} granted`,
    ...(waiting === 0 ? [] : [`${waiting} waiting`]),
    `${refused} refused`,
    ...(undecided === 0 ? [] : [`${undecided} over without a decision`]),
    `${unused} granted and never used`,
  ];
  return [
    `${plural(items.length, 'request')}: ${parts.join(', ')}`,
    ...(broken.length === 0
      ? []
      : [`${broken.length} granted without an approval (break-glass), ${unreviewed} of them not reviewed`]),
    ...(unkept === 0
      ? []
      : [
          `${unkept} of them ${isLimited ? 'for other users, too, or ' : ''}begun before the kept records: who asked and who approved is not there`,
        ]),
    ...(leftOut === 0
      ? []
      : [`${leftOut} more requests are left out: ask for a shorter time, or for one user`]),
  ];
}
