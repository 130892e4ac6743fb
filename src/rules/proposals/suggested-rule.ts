// Finds one rule: the narrowest that permits every seen line of a command, tested with the policy code. A suggestion must have been parsed
// by the configuration's own parser and evaluated.

import { GlobList } from '../../doveadm/names/glob.js';
import { formatDuration } from '../../host/words/durations.js';
import { formatEnd } from '../../host/words/instants.js';
import { mailUsersSection } from '../config/schema.js';
import type { MailUserSettings } from '../config/settings.js';
import { decide } from '../policy/decide.js';
import type { Policy, Rule } from '../policy/policy.js';
import { formatRate } from '../policy/rate.js';
import { parseAlone } from './alone.js';
import { allNarrowness, mayWiden, type Narrowness, type Use, userPattern, whereFor } from './generalise.js';
import { formatPolicy, type Plain } from './policy-text.js';
import type { SeenLine, Understood } from './seen-line.js';

export interface Sight extends Understood {
  readonly seen: SeenLine;
}

export interface TriedLine extends Understood {
  readonly seen: Pick<SeenLine, 'firstMs' | 'lastMs'>;
}

/** A rule as it is written, with its key `command`. */
export type RuleText = { readonly [key: string]: Plain };

export interface Trial {
  /** Its users and exceptions apply. */
  readonly policy: Policy;
  readonly mailUsers: MailUserSettings;
  readonly nowMs: number;
}

export type Found =
  | { readonly kind: 'rule'; readonly rule: RuleText }
  | { readonly kind: 'none'; readonly why: string };

/**
 * The narrowest rule that permits all these lines, at their time and now; where a wider rule could hurt, only one that is as narrow as they
 * are. `sights`: at least one, all of one command.
 */
export function findRule(sights: readonly TriedLine[], trial: Trial): Found {
  let why = '';
  const candidates = mayWiden(sights.flatMap(({ attempts }) => attempts))
    ? allNarrowness
    : (['tight'] as const);
  for (const narrowness of candidates) {
    const rule = ruleFor(sights, trial, narrowness);
    const refusal = tryOut(rule, sights, trial);
    if (refusal === undefined) return { kind: 'rule', rule };
    why = refusal;
  }
  return { kind: 'none', why };
}

/** The rule for a command that needs a second look; untested. */
export function graveRule(
  sights: readonly TriedLine[],
  trial: Trial,
  grant: 'root_equivalent' | 'all_users',
): RuleText {
  return { ...ruleFor(sights, trial, 'named'), [grant]: true };
}

/** Users by domain; masks that end in a domain count as its users. */
export function patternsOf(sights: readonly TriedLine[]): string[] {
  const users = sights
    .flatMap(({ attempts }) => attempts)
    .flatMap((attempt) => [
      ...attempt.users,
      ...attempt.masks.filter((mask) => mask.isUserMask).map(({ value }) => value),
    ]);
  const patterns = users.map(userPattern).filter((pattern) => !/[?]|.[*]/.test(pattern) && pattern !== '*');
  return [...new Set(patterns)].toSorted();
}

export function usesOf(sights: readonly TriedLine[]): Use[] {
  return sights.flatMap(({ attempts, seen }) =>
    attempts.map((attempt) => ({ attempt, firstMs: seen.firstMs })),
  );
}

/** The rule of that narrowness; untested. */
export function ruleFor(sights: readonly TriedLine[], { policy }: Trial, narrowness: Narrowness): RuleText {
  const uses = usesOf(sights);
  const where = whereFor(uses, narrowness);
  const own = patternsOf(sights);
  const isForSome =
    !mayWiden(uses.map(({ attempt }) => attempt)) && own.length > 0 && !covers(own, policy.users.texts);
  return {
    command: uses[0]?.attempt.command.name ?? '',
    ...(where === undefined ? {} : { where }),
    ...(isForSome ? { users: own } : {}),
    ...(uses.some(({ attempt }) => attempt.shared !== undefined) ? { shared: true } : {}),
    ...(uses.some(({ attempt }) => attempt.content.length > 0) ? { content: true } : {}),
  };
}

function covers(patterns: readonly string[], ofPolicy: readonly string[]): boolean {
  const list = new GlobList(patterns);
  return ofPolicy.every((pattern) => list.matches(pattern));
}

export function termsOf(rule: Rule): RuleText {
  const { reason, limit, maxMatches, deadlineMs, emergency } = rule.obligations;
  return {
    ...(reason ? { reason: 'required' } : {}),
    ...(limit === undefined ? {} : { limit: formatRate(limit) }),
    ...(maxMatches === undefined ? {} : { max_matches: maxMatches }),
    ...(deadlineMs === undefined ? {} : { deadline: formatDuration(deadlineMs) }),
    ...(emergency ? { emergency: true } : {}),
    ...(rule.expiresMs === undefined ? {} : { expires: formatEnd(rule.expiresMs) }),
  };
}

export function tryOut(rule: RuleText, sights: readonly TriedLine[], trial: Trial): string | undefined {
  const policy = policyOf(rule, trial);
  return typeof policy === 'string' ? policy : whyNotAllowed(policy, sights, trial);
}

/** Why a parsed policy does not permit all these lines; undefined: it does, at their time and now. */
export function whyNotAllowed(
  policy: Policy,
  sights: readonly TriedLine[],
  { nowMs }: Trial,
): string | undefined {
  for (const { attempts, seen } of sights) {
    for (const attempt of attempts) {
      for (const atMs of [seen.lastMs, nowMs]) {
        const decision = decide(policy, attempt, atMs);
        if (decision.kind === 'deny') return decision.nearest?.missing[0] ?? decision.reason;
      }
    }
  }
  return undefined;
}

/** Parsed like a configuration; a string is its fault. */
export function policyOf(rule: RuleText, { policy, mailUsers }: Trial): Policy | string {
  const yaml = formatPolicy({
    name: 'trial',
    comments: [],
    traits: { users: policy.users.texts, except: policy.except.texts },
    allow: [{ comments: [], rule, isCommentedOut: false }],
    remarks: [],
  });
  const { settings, problems } = parseAlone({
    file: '/trial/rule.yaml',
    yaml,
    policy: 'trial',
    mailUsers: mailUsersSection(mailUsers),
  });
  const read = settings?.policies.get('trial');
  return (
    read ?? problems.find(({ severity }) => severity === 'error')?.message ?? 'the rule cannot be written'
  );
}
