// Who can reach a mailbox: for each requester, what they may do there at once, by break-glass or on request, and by which rules, found in
// the way of `prove`. A deed is certain if `assess` allows a command line for it; otherwise the reason is given. Left out: limits, locks,
// the ending of sessions, and whatever does not go through the gate.

import type { Settings } from '../../rules/config/settings.js';
import type { Attempt } from '../../rules/policy/attempt.js';
import { createPolicy, type Policy, type Rule } from '../../rules/policy/policy.js';
import { type MailboxDeed, mailboxDeeds, type ReachWay } from '../views/reach.js';
import {
  type Facts,
  grantsOf,
  isDone,
  isStale,
  isSurelyDenied,
  type ProofOptions,
  possibleOf,
  reachOf,
  timeIsUp,
  tryLines,
  wantedOf,
  whoIsNobody,
} from './prove.js';
import { type Requester, requestersOf, sayRequester } from './requesters.js';
import { worldOf } from './world.js';

export interface ReachingRule {
  readonly way: ReachWay;
  readonly command: string;
  /** Undefined: the policy observes. */
  readonly rule: Rule | undefined;
  readonly deeds: Set<MailboxDeed>;
  /** Deeds of which no command line was found, with why. */
  readonly doubts: Map<MailboxDeed, string>;
}

/**
 * `user`: a name, or a pattern for all names that match. If no user can have such a name, returns the reason as text. `who` is text for
 * people, as `key modoboa at api`. `isWhole` is false if time ran out, so that rules may be missing.
 */
export function mailboxReach(user: string, settings: Settings, { nowMs, isOver }: ProofOptions) {
  const world = worldOf(settings, nowMs, isOver);
  const nobody = whoIsNobody(world, { users: [user] });
  if (nobody !== undefined) return nobody;
  const wanted = wantedOf([user]);
  const known = new Map<string, readonly ReachingRule[]>();
  let isWhole = true;

  const rulesOf = (requester: Requester): readonly ReachingRule[] =>
    viewsOf(requester.policy).flatMap(([way, policy]) => {
      // A rule has one command; without one, the policy observes.
      const found = new Map<Rule | string, ReachingRule>();
      for (const { command, rule } of grantsOf(world, policy)) {
        if (isStale(rule, nowMs)) continue;
        if (isSurelyDenied(rule, command, policy, isOver)) continue;
        const reach = isOver() ? undefined : reachOf(world, policy, rule, command, wanted);
        if (isOver() || reach?.kind === 'too-much') isWhole = false;
        if (reach?.kind !== 'user') continue;
        const { name } = command;
        const one: ReachingRule = found.get(rule ?? name) ?? {
          way,
          command: name,
          rule,
          deeds: new Set(),
          doubts: new Map(),
        };
        for (const deed of mailboxDeeds) {
          const possible = possibleOf(rule, command).filter((facts) => mayBe[deed](facts));
          if (possible.length === 0 || one.deeds.has(deed)) continue;
          const tried = tryLines(
            { world, requester, policy, rule, command, ...reach, wanted, isMeant: is[deed] },
            possible,
          );
          if ('witness' in tried) {
            one.deeds.add(deed);
            one.doubts.delete(deed);
          } else if (tried.why === timeIsUp) isWhole = false;
          else one.doubts.set(deed, tried.why);
        }
        if (one.deeds.size + one.doubts.size > 0) found.set(rule ?? name, one);
      }
      return [...found.values()];
    });

  const requesters = requestersOf(settings, nowMs).map((requester) => {
    // Nothing else about a requester matters.
    const key = `${requester.listener.protocol} ${requester.policy.name}`;
    const rules = known.get(key) ?? rulesOf(requester);
    known.set(key, rules);
    return { who: sayRequester(requester), policy: requester.policy, rules };
  });
  return { requesters, isWhole };
}

/** The same policy with the rules of one way alone. */
function viewsOf(policy: Policy): readonly (readonly [ReachWay, Policy])[] {
  const { onRequest } = policy;
  const isGlass = ({ terms }: (typeof onRequest)[number]): boolean => terms.approvals === 0;
  const asked = (isMeant: typeof isGlass): Policy =>
    createPolicy({ ...policy, allow: [], onRequest: onRequest.filter(isMeant) });
  const more = [
    ['break-glass', asked(isGlass)],
    ['on-request', asked((rule) => !isGlass(rule))],
  ] as const;
  return [
    ['at-once', createPolicy({ ...policy, onRequest: [] })],
    ...(policy.mode === 'enforce' ? more.filter(([, view]) => view.onRequest.length > 0) : []),
  ];
}

/** Whether a rule may permit such a deed. A command that changes or destroys mails by a content key shows no content. */
const mayBe: Readonly<Record<MailboxDeed, (facts: Facts) => boolean>> = {
  mail: ({ command, content }) => content === 'given' || (content === 'asked' && command.name === 'fetch'),
  search: ({ command, content }) =>
    content === 'asked' && command.effect === 'read' && command.name !== 'user',
  facts: ({ command, effect, content }) => effect === 'read' && (content === 'no' || command.name === 'user'),
  change: (facts) => isDone({ kind: 'effect', verb: 'change' }, facts),
  destroy: (facts) => isDone({ kind: 'effect', verb: 'destroy' }, facts),
};

const asksFor = ({ content }: Attempt, kind: 'field' | 'key'): boolean =>
  content.some((word) => word.startsWith(`${kind} `));

/** Whether a command line does such a deed. */
const is: Readonly<Record<MailboxDeed, (facts: Facts, attempt: Attempt) => boolean>> = {
  ...mayBe,
  mail: (facts, attempt) => facts.content === 'given' || (mayBe.mail(facts) && asksFor(attempt, 'field')),
  search: (facts, attempt) => mayBe.search(facts) && asksFor(attempt, 'key'),
};
