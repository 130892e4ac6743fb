// What a start or a reload opened: the words of the changes after which somebody may do more, or of which that cannot be decided. Within
// one policy `prove` decides; terms, which it leaves out, are compared here: limits, how many must approve, how often, how long.

import { parse } from 'yaml';
import { asObject, asTexts } from '../../host/values/values.js';
import type { Settings } from '../../rules/config/settings.js';
import type { Policy, Rate, RequestRule, Rule } from '../../rules/policy/policy.js';
import { proveNoMore } from '../proof/more.js';
import { isProof, type ProofOptions } from '../proof/prove.js';
import { type Change, changesBetween, listOf, type TextOf } from './policy-changes.js';
import { settingsOfText } from './stored-policy.js';

/** Keys of a policy that permit nobody more. */
const idle: ReadonlySet<string | undefined> = new Set([
  'shadow',
  'contact',
  'logs',
  'debug',
  'weight',
  'requests',
]);

/** `was` and `now` are hashes of lists of policies. Empty: nobody may do more. */
export function wideningsBetween(
  was: string,
  now: string,
  textOf: TextOf,
  options: ProofOptions,
): readonly string[] {
  const missing = new Set<string>();
  const changes = changesBetween(was, now, textOf, (what) => missing.add(what));
  const [before, after] = [listOf(was, textOf), listOf(now, textOf)];
  if (before === undefined || after === undefined || missing.size > 0)
    return [`what it permits cannot be said: ${[...missing].join(', ')} is not kept`];
  const inUse = new Set(
    Object.values(after.listeners).flatMap(({ policies, accounts, keys }) =>
      [...policies, ...accounts, ...keys].map(({ policy }) => policy),
    ),
  );
  const compared = new Map<string, Compared>();
  const isWider = ({ sign, policy, key, command }: Change): boolean => {
    if (sign === '-' || idle.has(key)) return false;
    if (policy === undefined) return true;
    if (!inUse.has(policy) && key !== 'approve') return false;
    const [old, fresh] = [before.policies[policy]?.version, after.policies[policy]?.version];
    // That it is new is said of who gets it.
    if (old === undefined || fresh === undefined) return key !== undefined;
    const known = compared.get(policy) ?? compare(policy, old, fresh, textOf, options);
    compared.set(policy, known);
    if (key === 'limits') return known.isOftener;
    if (key === 'approve') return known.approvesMore;
    return known.isMore || (command !== undefined && known.commands.has(command));
  };
  return [...new Set(changes.filter(isWider).map(({ words }) => words))];
}

interface Compared {
  /** By the rules without their terms; also where that is undecided. */
  readonly isMore: boolean;
  /** By its own limits. */
  readonly isOftener: boolean;
  readonly approvesMore: boolean;
  /** Those with a rule of wider terms. */
  readonly commands: ReadonlySet<string>;
}

function compare(name: string, was: string, now: string, textOf: TextOf, options: ProofOptions): Compared {
  const [before, after] = [was, now].map((version) => settingsOfText(name, version, textOf));
  const [old, fresh] = [before?.policies.get(name), after?.policies.get(name)];
  if (before === undefined || after === undefined || old === undefined || fresh === undefined)
    return { isMore: true, isOftener: true, approvesMore: true, commands: new Set() };
  return {
    isMore: ![false, true].every((isWithApproval) => isNoMore(before, after, isWithApproval, options)),
    isOftener: isOftener(old.limits, fresh.limits),
    approvesMore: approversIn(now, name, textOf).some(
      (each) => !approversIn(was, name, textOf).includes(each),
    ),
    commands: new Set(
      [
        ...fresh.allow.filter((rule) => !isWithin(rule, old.allow, coversTerms)),
        ...fresh.onRequest.filter((rule) => !isWithin(rule, old.onRequest, coversRequest)),
      ].map(({ command }) => command),
    ),
  };
}

function isNoMore(
  before: Settings,
  after: Settings,
  isWithApproval: boolean,
  options: ProofOptions,
): boolean {
  const statement = { kind: 'more', except: [], exceptCommands: [], isWithApproval } as const;
  return isProof(proveNoMore(statement, before, after, options), 'holds');
}

/** As the stored text has them. */
function approversIn(version: string, name: string, textOf: TextOf): readonly string[] {
  const { policies } = asObject(parse(textOf(version) ?? '')) ?? {};
  return asTexts(asObject(asObject(policies)?.[name])?.['approve']);
}

function isOftener(old: Policy['limits'], fresh: Policy['limits']): boolean {
  return (
    !isRateWithin(fresh.rate, old.rate) ||
    !isRateWithin(fresh.distinctUsers, old.distinctUsers) ||
    !isAtMost(fresh.atOnce, old.atOnce)
  );
}

/** Whether a rule of before for that command had terms as wide. */
function isWithin<R extends Rule>(
  rule: R,
  before: readonly R[],
  covers: (old: R, fresh: R) => boolean,
): boolean {
  const same = before.filter(({ command }) => command === rule.command);
  // A command without a rule of before is the proof's.
  return same.length === 0 || same.some((old) => covers(old, rule));
}

function coversTerms(
  { obligations: old, expiresMs: ended }: Rule,
  { obligations: fresh, expiresMs }: Rule,
): boolean {
  return (
    isRateWithin(fresh.limit, old.limit) &&
    isAtMost(fresh.maxMatches, old.maxMatches) &&
    isAtMost(expiresMs, ended) &&
    (old.emergency || !fresh.emergency) &&
    (fresh.reason || !old.reason)
  );
}

function coversRequest(old: RequestRule, fresh: RequestRule): boolean {
  const [one, two] = [old.terms, fresh.terms];
  return (
    coversTerms(old, fresh) &&
    two.approvals >= one.approvals &&
    two.forMs <= one.forMs &&
    isAtMost(two.uses, one.uses) &&
    (two.quietMs ?? 0) <= (one.quietMs ?? 0) &&
    (one.scope === 'user' || two.scope === 'command') &&
    (one.reason === undefined || one.reason.source === two.reason?.source)
  );
}

/** Undefined: without a limit. */
function isAtMost(fresh: number | undefined, old: number | undefined): boolean {
  return old === undefined || (fresh !== undefined && fresh <= old);
}

/** Neither more at once nor more in the long run. */
function isRateWithin(fresh: Rate | undefined, old: Rate | undefined): boolean {
  if (old === undefined) return true;
  return (
    fresh !== undefined &&
    fresh.count <= old.count &&
    fresh.count / fresh.windowMs <= old.count / old.windowMs
  );
}
