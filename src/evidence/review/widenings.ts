// What a start or a reload newly permits, in words: each change that lets somebody do more, or for which that cannot be decided. `prove`
// compares the rules of a policy without their terms; limits, approvals, uses, times and reasons are compared here. Not compared, since the
// lists of policies do not have them: modes of sockets, networks and ends of keys.

import { parse } from 'yaml';
import { asList, asObject, asTexts, type StoredRecord } from '../../host/values/values.js';
import type { Policy, RequestRule, Rule } from '../../rules/policy/policy.js';
import type { Rate } from '../../rules/policy/rate.js';
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
/** Keys of a rule that are its terms, without `approvals` and `uses`, which break-glass rules need to be valid. */
const terms = 'reason limit max_matches emergency quiet scope expires deadline for'.split(' ');

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
  const known = new Map<string, Compared>();
  /** Undefined: one of the two policies does not exist. */
  const compared = (from: string, to: string): Compared | undefined => {
    const [old, fresh] = [before.policies[from]?.version, after.policies[to]?.version];
    if (old === undefined || fresh === undefined) return undefined;
    const key = `${from} ${to}`;
    const found =
      known.get(key) ?? compare({ name: from, version: old }, { name: to, version: fresh }, textOf, options);
    known.set(key, found);
    return found;
  };
  const isWider = ({ sign, policy, key, commands = [], moved }: Change): boolean => {
    if (sign === '-' || idle.has(key)) return false;
    if (policy === undefined) return moved?.every(([from, to]) => isNarrower(compared(from, to))) !== true;
    if (!inUse.has(policy) && key !== 'approve') return false;
    const found = compared(policy, policy);
    // A new policy is reported where somebody gets it.
    if (found === undefined) return false;
    if (key === 'limits') return found.isOftener;
    if (key === 'approve') return found.approvesMore;
    if (key === 'around' && found.namesMore) return true;
    return found.isMore || commands.some((command) => found.commands.has(command));
  };
  const told = changes.filter(isWider);
  const lent = [...inUse].flatMap((policy) => {
    const changed = changes.some((change) => change.policy === policy);
    const said = told.flatMap((change) => (change.policy === policy ? (change.commands ?? []) : []));
    return [...((changed && compared(policy, policy)?.commands) || [])]
      .filter((command) => !said.includes(command))
      .map((command) => `${policy}: its rules for ${command} demand less than before, or less of some`);
  });
  return [...new Set([...told.map(({ words }) => words), ...lent])];
}

type Compared = ReturnType<typeof compare>;

function isNarrower(found: Compared | undefined): boolean {
  return (
    found !== undefined &&
    !found.isMore &&
    !found.isOftener &&
    !found.namesMore &&
    !found.approvesMore &&
    found.commands.size === 0
  );
}

interface Version {
  readonly name: string;
  readonly version: string;
}

function compare(was: Version, now: Version, textOf: TextOf, options: ProofOptions) {
  const [before, after] = [was, now].map(({ name, version }) => settingsOfText(name, version, textOf));
  const [old, fresh] = [before?.policies.get(was.name), after?.policies.get(now.name)];
  if (before === undefined || after === undefined || old === undefined || fresh === undefined)
    return {
      isMore: true,
      isOftener: true,
      namesMore: true,
      approvesMore: true,
      commands: new Set<string>(),
    };
  const approvers = approversIn(was, textOf);
  return {
    /** The rules without their terms permit more, or that is undecided. */
    isMore: !isNoMore(was, now, textOf, options),
    /** Its own limits permit more. */
    isOftener: isOftener(old.limits, fresh.limits),
    namesMore: after.mailUsers.perLineMax > before.mailUsers.perLineMax,
    approvesMore: approversIn(now, textOf).some((each) => !approvers.includes(each)),
    /** Commands whose rules have wider terms. */
    commands: new Set([
      ...widerTerms(old.allow, fresh.allow, coversTerms, options.nowMs),
      ...widerTerms(old.onRequest, fresh.onRequest, coversRequest, options.nowMs),
    ]),
  };
}

/** Only rules and users, under one name, for the proof: terms are compared elsewhere. */
function plain(policy: StoredRecord): StoredRecord {
  const rulesOf = (list: unknown): unknown =>
    asList(list)?.map((rule) => {
      const { command = rule, ...keys } = asObject(rule) ?? {};
      return { command, ...Object.fromEntries(Object.entries(keys).filter(([key]) => !terms.includes(key))) };
    });
  const { mode, users, except, allow, deny, on_request: requests } = policy;
  const on_request = rulesOf(requests);
  return {
    mode,
    users,
    except,
    allow: rulesOf(allow),
    deny,
    ...(on_request !== undefined && { on_request }),
  };
}

/** The policy permits no more than before, neither at once nor by a grant. */
function isNoMore(was: Version, now: Version, textOf: TextOf, options: ProofOptions): boolean {
  const [before, after] = [was, now].map(({ name, version }) =>
    settingsOfText(name, version, textOf, { as: 'one', shape: plain }),
  );
  if (before === undefined || after === undefined) return false;
  return [false, true].every((isWithApproval) => {
    const statement = { kind: 'more', except: [], exceptCommands: [], isWithApproval } as const;
    return isProof(proveNoMore(statement, before, after, options), 'holds');
  });
}

/** The names in `approve` of the stored text. */
function approversIn({ name, version }: Version, textOf: TextOf): readonly string[] {
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

/**
 * The commands whose rules may demand less than before. The first rule that matches a line sets its terms, so rules that are added, removed
 * or moved may change them; and each rule with a limit counts by itself. The proof covers commands that had no rule before.
 */
function widerTerms<R extends Rule>(
  before: readonly R[],
  after: readonly R[],
  covers: (old: R, fresh: R) => boolean,
  nowMs: number,
): readonly string[] {
  const isLive = ({ expiresMs }: R): boolean => expiresMs === undefined || expiresMs > nowMs;
  const keyOf = ({ obligations }: R): string => obligations.limitKey;
  return [...new Set(after.map(({ command }) => command))].filter((name) => {
    const [old, fresh] = [before, after].map((rules) => rules.filter(({ command }) => command === name));
    if (old === undefined || fresh === undefined || old.length === 0) return false;
    if (
      JSON.stringify(old.map(({ meaning }) => meaning)) ===
      JSON.stringify(fresh.map(({ meaning }) => meaning))
    )
      return false;
    const now = fresh.filter(isLive);
    const pairOf = (rule: R): R | undefined => old.find((each) => keyOf(each) === keyOf(rule));
    const isLess = now.some((rule) => {
      const own = pairOf(rule);
      return own === undefined ? old.some((each) => !covers(each, rule)) : !covers(own, rule);
    });
    const kept = [old, now].map((rules) => rules.map(keyOf));
    const [was = [], is = []] = kept.map((keys) =>
      keys.filter((key) => kept.every((all) => all.includes(key))),
    );
    const isOrdered = was.join() === is.join();
    const gone = old.filter((each) => !isOrdered || !is.includes(keyOf(each)));
    const hasLent = gone.some((each) =>
      now.some((rule) => keyOf(rule) !== keyOf(each) && !covers(each, rule)),
    );
    const isCountedApart =
      now.length > old.length && old.some(({ obligations }) => obligations.limit !== undefined);
    return isLess || hasLent || isCountedApart;
  });
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
