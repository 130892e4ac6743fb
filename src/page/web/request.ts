// A request for access and what became of it, in words: its line of time, its requester's other requests, the effect of a decision.

import { givenWords, isTry, termsWords } from '../../evidence/story/row.js';
import type { AccessItem } from '../../gate/access/access-item.js';
import { accessStateWords, endSentence, whyNotWords } from '../../gate/access/access-words.js';
import { personWords, reviewWords } from '../../gate/access/ending-words.js';
import type { StoredRecord } from '../../host/values/values.js';
import { hiddenWord, requestWords } from '../../host/words/asking.js';
import { plural, timesWords } from '../../host/words/words.js';
import { textIn } from '../../journal/records/stored.js';
import type { AccessTable } from '../answers/api.js';
import { outcomeSign } from './signs.js';
import { commandText } from './trail-rows.js';
import { visible } from './visible.js';
import { formatCommand } from './words.js';

export type Step = AccessItem['may'][number];

/** With marked times, for `<Sentence>`. */
export function stateSentence(item: AccessItem): string {
  return accessStateWords(item, marked);
}

const marked = (time: string): string => `{${time}}`;

/** With marked times: how it is now, and of a grant who approved it and how often it was used. */
export function becameSentence(item: AccessItem): string {
  const { granted, used, uses } = item;
  if (granted === undefined) return stateSentence(item);
  const often = uses === undefined ? timesWords(used) : `${used} of ${uses}`;
  const names = approvers(item);
  const approved = names && `; approved by ${names}`;
  return accessStateWords(item, marked, `${approved}; ${used === 0 ? 'never used' : `used ${often}`}`);
}

/** Names one request for screen readers, on its card and buttons, where its place on the screen says nothing. Made harmless. */
export function requestName({ id, to, command, users }: AccessItem): string {
  return visible(`${to}: ${command} of ${users.join(', ')}, ${id}`);
}

/** Names of the approvers for people; '': there is none. */
export function approvers({ approved_by: approved }: AccessItem): string {
  return approved.map(({ principal }) => personWords(principal)).join(' and ');
}

/** `1 of 2: carol`, or that none is needed. */
export function approvedWords(item: AccessItem): string {
  const names = approvers(item);
  if (item.break_glass) return 'none needed (break-glass)';
  return `${item.approved_by.length} of ${item.approvals}${names && `: ${names}`}`;
}

/** With marked times: `2 of 3, 1 left until {TIME}`. */
export function usedSentence({ state, used, uses, until }: AccessItem): string {
  const count = uses === undefined ? `${used}` : `${used} of ${uses}`;
  const left = uses === undefined ? 'as often as wanted' : `${uses - used} left`;
  return state === 'granted' && (uses === undefined || used < uses)
    ? `${count}, ${left} until {${until}}`
    : count;
}

/** Where its rule was when access was requested, and where those for its command are today. `policies` undefined: hidden from readers. */
export function ruleWords(item: AccessItem, policies: AccessTable['policies'] | undefined): string {
  const { place, policy, command } = item;
  const named = `policy ${policy}`;
  if (place === undefined || policies === undefined) return named;
  const rules = policies.find(({ name }) => name === policy)?.onRequest ?? [];
  const today = rules
    .filter((rule) => `${command} `.startsWith(`${rule.command} `))
    .flatMap((rule) => rule.place ?? []);
  if (today.includes(place)) return `${place}, ${named}`;
  const now = today.length === 0 ? 'no rule offers it today' : `today it is at ${today.join(' or ')}`;
  return `${place} when asked, ${named}; ${now}`;
}

export interface Moment {
  /** RFC 3339. */
  readonly time: string;
  readonly what: string;
  /** The id of the command, to find it by. */
  readonly id?: string;
}

/**
 * The moments in their order; what is still to come is last. `commands`: admissions of its uses, and of tries after its end, oldest first.
 */
export function momentsOf(item: AccessItem, commands: readonly StoredRecord[]): Moment[] {
  const { to, reason, approved_by: approved, granted, until, ended, matches } = item;
  // An admission whose command did not reach a mail server is not a use. If there is one, uses get no numbers.
  const of = item.uses === undefined ? '' : ` of ${item.uses}`;
  const uses = commands.filter((use) => !isTry(use));
  const useWords = (use: StoredRecord): string => {
    if (isTry(use)) return 'tried when it was over';
    return uses.length === item.used ? `use ${uses.indexOf(use) + 1}${of}` : 'used';
  };
  const past: Moment[] = [
    { time: item.asked, what: `${to} asked${reason && `: ${reason}`}` },
    ...(matches === undefined ? [] : [{ time: item.asked, what: `it matches ${plural(matches, 'mail')}` }]),
    ...approved.map(({ principal, time, gives }) => ({
      time,
      what: `${personWords(principal)} approved${gives === undefined ? '' : `, for ${termsWords(gives)}`}`,
    })),
    ...(granted === undefined
      ? []
      : [
          {
            time: granted,
            what: `granted${item.break_glass ? ' without an approval (break-glass)' : ''} for ${givenWords(item)}`,
          },
        ]),
    ...commands.map((use) => ({
      time: textIn(use, 'time'),
      what: `${useWords(use)}: ${commandText({ fields: { command: use['command'], args: use['args'] } })} of ${textIn(use, 'user')}: ${useEnded(use)}`,
      id: textIn(use, 'id'),
    })),
    ...(ended === undefined ? [] : [{ time: ended, what: endSentence(item) }]),
    ...(item.reviewed_by === undefined
      ? []
      : [{ time: item.reviewed_by.time, what: reviewWords(item.reviewed_by.principal) }]),
  ];
  past.sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0));
  if (ended !== undefined) return past;
  return [...past, { time: until, what: granted === undefined ? 'it lapses if nobody decides' : 'it ends' }];
}

function useEnded(use: StoredRecord): string {
  const outcome = textIn(use, 'outcome');
  return outcome === '' ? 'no end is recorded' : outcomeSign(outcome).word;
}

/** The command line with which the requester can ask for the same again. */
export function againLine({ users: [user], command }: AccessItem): string {
  let hidden = 0;
  const shown = command.replaceAll('[secret]', () => hiddenWord((hidden += 1)));
  return `${formatCommand(requestWords(user, undefined))} ${shown}`;
}

const othersMax = 3;

/** The other requests by the same person that this approver is shown, newest first; and how many more there are. */
export function othersOf(
  item: AccessItem,
  all: readonly AccessItem[],
): { readonly shown: readonly AccessItem[]; readonly more: number } {
  const others = all
    .filter(({ to, id }) => to === item.to && id !== item.id)
    .toSorted((one, other) => (one.asked < other.asked ? 1 : -1));
  return { shown: others.slice(0, othersMax), more: Math.max(0, others.length - othersMax) };
}

/** With marked times; undefined: nobody has to decide. */
export function deadlineSentence({ state, until }: AccessItem): string | undefined {
  return state === 'requested' ? `by {${until}}, or it lapses` : undefined;
}

export function isOver({ state }: AccessItem): boolean {
  return state !== 'requested' && state !== 'granted';
}

/** Nobody decided in time. */
export function isLapsed({ state, granted }: AccessItem): boolean {
  return state === 'expired' && granted === undefined;
}

export function permitsTitle(item: AccessItem): string {
  if (!isOver(item)) return 'What it permits';
  return item.granted === undefined ? 'What it would have permitted' : 'What it permitted';
}

/** What a grant of it permits, as a whole: `this command only, once`. */
export function permitsWords({ scope, rule, users, uses }: AccessItem): string {
  const often =
    uses === undefined ? 'as often as wanted' : `${timesWords(uses)}${uses === 1 ? '' : ' in all'}`;
  if (scope === 'command') return `this command only, ${often}`;
  // From a journal only the place of the rule is known, and a rule that was removed has no words.
  const [name, ...says] = rule ?? [];
  const what = name === undefined ? 'all that its rule permits' : `every ${name}`;
  const how = says.length === 0 ? '' : ` (${says.join(', ')})`;
  return `${what} of ${users.join(', ')}${how}, ${often}; one use is one command`;
}

/** What it does to mails, as far as it was counted and can be said; undefined: nothing. */
export function mailsWords(item: AccessItem): string | undefined {
  const { matches, effect, scope, break_glass: isBroken } = item;
  const of = scope === 'user' ? ' the example' : '';
  const isDestroying = effect === 'destroy';
  const known = matches !== undefined;
  const seen = isBroken ? 'were counted when it was asked' : 'an approver saw';
  const words = [
    ...(known && !isOver(item) ? [`${plural(matches, 'mail matches', 'mails match')}${of} now`] : []),
    ...(known && isOver(item) ? [`${plural(matches, 'mail')} matched${of}, as counted last`] : []),
    ...(known && isDestroying && !isOver(item)
      ? [`if more match than ${seen}, the command is refused and deletes nothing`]
      : []),
    ...(isDestroying ? ['deleted mails do not come back'] : []),
  ];
  return words.length === 0 ? undefined : words.join('; ');
}

/** What an approval of a command that destroys lets happen. */
export function lossWords({ to, matches, users }: AccessItem): string {
  const what = matches === undefined ? '' : ` (now ${plural(matches, 'mail')})`;
  return `Your approval deletes nothing yet: ${to} must still send the command, and until then you can revoke it. What it deletes${what} of ${users.join(', ')} is gone for good: dovegate cannot bring it back.`;
}

export function waitsForReview({ state, break_glass: isBroken, reviewed_by: reviewed }: AccessItem): boolean {
  return state !== 'requested' && isBroken && reviewed === undefined;
}

/** Why this reader is offered no decision, as a sentence; undefined: one is offered, or none is to be made. */
export function whyNoDecision(
  item: AccessItem,
  reader: {
    readonly isApprover: boolean;
    /** The request as the daemon lists it to this reader; undefined: it does not. */
    readonly listed: AccessItem | undefined;
    readonly whyNone: string | undefined;
  },
): string | undefined {
  const { isApprover, listed, whyNone } = reader;
  if (item.state !== 'requested' && !waitsForReview(item)) return undefined;
  const step = item.state === 'requested' ? 'approve' : 'review';
  if (listed !== undefined) {
    const why = whyNotWords(listed);
    return why && `You may not ${why}.`;
  }
  if (!isApprover)
    return `Your role only looks. People with the role approve ${step} it here, and people whose policy has "${item.policy}" in \`approve\` by: dovegate ${step} --socket PATH ${item.id}`;
  return `You may not ${step} it: ${whyNone ?? 'the gate does not list it to you, since it is over, or concerns users that you do not see'}.`;
}

/** The state after a step, and how to undo the step. */
export function afterWords(item: AccessItem | undefined): string {
  if (item === undefined) return 'Recorded.';
  const { id, to, state } = item;
  const now = `Recorded: ${stateSentence(item)}.`;
  if (state === 'requested')
    return `${now} Another person must approve it, too. To undo it, refuse the request: dovegate refuse --socket PATH ${id}`;
  if (state === 'granted' && item.reviewed_by === undefined)
    return `${now} ${to} has it for ${termsWords(item)}. To undo it, press "revoke" in its card, or run: dovegate revoke --socket PATH ${id}`;
  if (item.reviewed_by !== undefined) return `${now} A review cannot be taken back.`;
  return `${now} ${to} has nothing of it, and can ask again: ${againLine(item)}`;
}
