// Suggests a policy: the present one, with the rules that it lacks to allow what was seen. It reads no journal and prints nothing. What an
// operator wrote stays unchanged, and nothing that the policy explicitly denies is allowed. Rules that amount to root, or concern all users
// at once, become comments with a warning and are never granted.

import { parse } from 'yaml';
import { allEffects } from '../../doveadm/commands/catalog.js';
import { asList, asObject, type StoredRecord } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { plural, timesWords } from '../../host/words/words.js';
import { RecordedAssessor } from '../../rules/answers/recorded-line.js';
import type { Settings } from '../../rules/config/settings.js';
import { noAllUsers } from '../../rules/policy/assess.js';
import type { Attempt } from '../../rules/policy/attempt.js';
import type { Policy, RulePlace } from '../../rules/policy/policy.js';
import {
  dayIn,
  effectOf,
  leftOpen,
  mayWiden,
  togetherKey,
  userPattern,
  widenings,
  withoutDay,
} from '../../rules/proposals/generalise.js';
import { isForAllOf23, ruleThatPermits } from '../../rules/proposals/granting.js';
import {
  formatComment,
  formatPolicy,
  formatValue,
  linesOfRule,
  linesOfTraits,
  type Plain,
  type WrittenRule,
} from '../../rules/proposals/policy-text.js';
import {
  findRule,
  graveRule,
  policyOf,
  type RuleText,
  type Sight,
  type Trial,
  usesOf,
  whyNotAllowed,
} from '../../rules/proposals/suggested-rule.js';

import { leftOutWords, type Sightings, understand } from './sightings.js';

export interface SuggestRequest {
  readonly settings: Settings;
  /** The policy of the listener today: its users, exceptions, denials and limits stay. */
  readonly policy: Policy;
  readonly listener: string | undefined;
  /** The sightings are of this principal alone. */
  readonly whose?: string | undefined;
  readonly nowMs: number;
  /** Sentences about what the records leave out: what should be there, and what is no fault of theirs. */
  readonly unseen?: { readonly holes: readonly string[]; readonly notes: readonly string[] };
}

export interface SuggestedKind {
  /** `once`: seen a single time, not harmless; `root`, `everybody`: need a second look; `refused`: explicitly denied, or no rule fits. */
  readonly kind: 'rule' | 'once' | 'root' | 'everybody' | 'refused';
  readonly command: string;
  /** The rule with its comments. Undefined: no rule would do, or it belongs to a preset. */
  readonly written: WrittenRule | undefined;
  readonly why: string | undefined;
  /** The rule of the present policy that allows them. */
  readonly allowedBy?: RulePlace | undefined;
  readonly sights: readonly Sight[];
}

export type Suggestion = ReturnType<typeof suggest>;

type Sorted = ReturnType<typeof sortOut>;

interface Refused {
  readonly sight: Sight;
  readonly why: string;
}

/** `text`: YAML with comments, ending in LF: a file to include in the place of the policy of today. */
export function suggest(sightings: Sightings, request: SuggestRequest) {
  const { policy } = request;
  const { kinds, unused, notes, remarks } = findKinds(sightings, request);
  const rules = kinds.filter(({ kind }) => kind === 'rule');
  const allowed = rules.reduce((sum, { sights }) => sum + countOf(sights), 0);
  const text = formatPolicy({
    name: policy.name,
    comments: headOf(sightings, request, allowed),
    traits: traitsOf(policy),
    notes,
    allow: [...kinds.flatMap(({ written }) => written ?? []), ...unused],
    remarks: [...refusedRemarks(kinds), ...remarks],
  });
  return { text, rules: rules.length, allowed };
}

/** `kinds`: the rules first, the weakest effects first; then the kinds without a suggestion. `before`, `after`: lines around them. */
export function suggestParts(sightings: Sightings, request: SuggestRequest) {
  const { policy } = request;
  const { kinds, unused, notes, remarks } = findKinds(sightings, request);
  const lines = linesOfTraits({ traits: traitsOf(policy), notes });
  return {
    kinds,
    before: ['policies:', `  ${formatValue(policy.name)}:`, ...lines],
    after: [
      ...unused.flatMap(linesOfRule).map((line) => `      ${line}`),
      ...remarks.map((text) => `    ${formatComment(text)}`),
    ],
  };
}

function findKinds(sightings: Sightings, request: SuggestRequest) {
  const { policy, settings, nowMs } = request;
  const sorted = sortOut(sightings, request);
  const trial: Trial = { policy, mailUsers: settings.mailUsers, nowMs };
  const refused = [...sorted.refused];
  const added = byEffect(sorted.wanted).flatMap((wanted) => {
    const rules = apart(wanted).flatMap((sights): Added[] => {
      const found = findRule(sights, trial);
      const checks = (rule: RuleText) =>
        mayWiden(attemptsOf(sights)) ? [] : leftOpen(usesOf(sights), whereIn(rule));
      if (found.kind === 'rule')
        return [{ ...found, sights, isOnce: isOnce(sights), checks: checks(found.rule), within: [] }];
      refused.push(...sights.map((sight) => ({ sight, why: found.why })));
      return [];
    });
    return withoutThoseWithin(rules, trial);
  });
  const grave = (kind: 'root' | 'everybody', sights: readonly Sight[]): SuggestedKind => {
    const grant = kind === 'root' ? 'root_equivalent' : 'all_users';
    const written = warnedRule(sights, trial, grant);
    return { kind, command: nameOf(sights), written, why: whyWarned[grant], sights };
  };
  const kept = keptRules(request, sorted.allowed, sightings);
  return {
    kinds: [
      ...kept.used,
      ...added.map((each) => kindOfAdded(each, policy.users.texts)),
      ...[...sorted.root.values()].map((sights) => grave('root', sights)),
      ...[...sorted.everybody.values()].map((sights) => grave('everybody', sights)),
      ...kindsOfRefused(refused, trial),
    ],
    unused: kept.unused,
    notes: { users: usersNotes(sorted, policy), use: kept.ofPresets },
    remarks: gapRemarks(sorted.unreadable, sightings, request.unseen?.notes),
  };
}

/** A rule that the policy lacks. `within`: sights of other such rules that it allows as well. */
interface Added {
  readonly rule: RuleText;
  readonly sights: readonly Sight[];
  readonly isOnce: boolean;
  /** Names of words for which it allows any value. */
  readonly checks: readonly string[];
  readonly within: readonly Sight[];
}

function isOnce(sights: readonly Sight[]): boolean {
  return countOf(sights) === 1 && !mayWiden(attemptsOf(sights));
}

function withoutThoseWithin(rules: readonly Added[], trial: Trial): readonly Added[] {
  const policies = rules.length < 2 ? [] : rules.map(({ rule }) => policyOf(rule, trial));
  const left = new Map(rules.entries());
  for (const [at, { sights }] of rules.entries()) {
    const wider = [...left].find(([other, { isOnce: isComment, checks }]) => {
      const policy = policies[other];
      if (other === at || policy === undefined || typeof policy === 'string') return false;
      // An operator who removes a doubtful rule must not lose other commands by that.
      if (isComment || checks.length > 0) return false;
      return whyNotAllowed(policy, sights, trial) === undefined;
    });
    if (wider === undefined) continue;
    const [index, rule] = wider;
    left.set(index, { ...rule, within: [...rule.within, ...sights, ...(left.get(at)?.within ?? [])] });
    left.delete(at);
  }
  return [...left.values()];
}

function kindOfAdded(
  { rule, sights: own, isOnce: isComment, checks, within }: Added,
  ofPolicy: readonly string[],
): SuggestedKind {
  const sights = [...own, ...within];
  const comments = [
    ...(isComment ? ['Not granted, since it was seen once: a monthly job?'] : []),
    seenComment(sights),
    ...widenedNote(own, rule, ofPolicy),
    ...notesOf(own, rule, checks),
  ];
  const written = { comments, rule, isCommentedOut: isComment };
  const why = isComment ? 'seen once: a monthly job?' : undefined;
  return { kind: isComment ? 'once' : 'rule', command: nameOf(sights), written, why, sights };
}

/** The rules that the policy has, as they are written, with what was seen of each. */
function keptRules(
  { policy, listener, whose }: SuggestRequest,
  allowed: ReadonlyMap<RulePlace, readonly Sight[]>,
  { lines }: Sightings,
) {
  const sinceMs = lines.reduce((least, { firstMs }) => Math.min(least, firstMs), Number.POSITIVE_INFINITY);
  const by = whose === undefined ? '' : ` by ${whose}`;
  const at = listener === undefined || by !== '' ? '' : ` at listener ${listener}`;
  const unusedSince = `not used${by}${at}${Number.isFinite(sinceMs) ? ` since ${minuteOf(sinceMs)}` : ''}`;
  const used: SuggestedKind[] = [];
  const unused: WrittenRule[] = [];
  const idle: string[] = [];
  const allow = asList(writtenPolicy(policy)['allow']) ?? [];
  for (const [index, { place, command }] of policy.allow.entries()) {
    const sights = allowed.get(place) ?? [];
    const plain = plainOf(allow[index]);
    const rule = typeof plain === 'object' && !isList(plain) ? plain : { command: plain };
    const isOwn = place.file === policy.place.file;
    const comments = sights.length === 0 ? [unusedSince] : [seenComment(sights)];
    const written = isOwn ? { comments, rule, isCommentedOut: false } : undefined;
    if (sights.length > 0)
      used.push({ kind: 'rule', command, written, why: undefined, allowedBy: place, sights });
    else if (written === undefined) idle.push(command);
    else unused.push(written);
  }
  return { used, unused, ofPresets: idle.length === 0 ? [] : [`${unusedSince}: ${idle.join(', ')}`] };
}

/** The policy as it is written; in its lists the rules of its presets come last. */
function writtenPolicy(policy: Policy): StoredRecord {
  const { policies } = asObject(parse(policy.effectiveText)) ?? {};
  return asObject(asObject(policies)?.[policy.name]) ?? {};
}

function nameOf([first]: readonly Sight[]): string {
  return first?.attempts[0]?.command.name ?? '';
}

function groupBy<Each>(all: readonly Each[], keyOf: (each: Each) => string): Map<string, Each[]> {
  const groups = new Map<string, Each[]>();
  for (const each of all) add(groups, keyOf(each), each);
  return groups;
}

function add<Each>(groups: Map<string, Each[]>, key: string, each: Each): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [each]);
  else group.push(each);
}

const attemptsOf = (sights: readonly Sight[]): Attempt[] => sights.flatMap(({ attempts }) => attempts);

/** The sights that one rule may allow: all harmless ones, and others that differ in nothing that matters. */
function apart(sights: readonly Sight[]): Sight[][] {
  const groups = groupBy(sights, ({ attempts }) => (mayWiden(attempts) ? '' : togetherKey(attempts)));
  return [...groups].flatMap(([key, group]) => (key === '' ? [group] : byDomains(group)));
}

/** If two sights differ in mailbox and in domain, one rule would allow the mailbox of one for the domain of the other. */
function byDomains(sights: readonly Sight[]): Sight[][] {
  const same = groupBy(sights, ({ attempts }) => togetherKey(attempts, true));
  const domainsOf = (group: readonly Sight[]): string =>
    JSON.stringify([...new Set(attemptsOf(group).flatMap(({ users }) => users.map(userPattern)))].toSorted());
  return [...groupBy([...same.values()], domainsOf).values()].map((groups) => groups.flat());
}

function sortOut({ lines }: Sightings, { settings, policy }: SuggestRequest) {
  /** By the rule of the policy that allows them. */
  const allowed = new Map<RulePlace, Sight[]>(policy.allow.map(({ place }) => [place, []]));
  const wanted = new Map<string, Sight[]>();
  const root = new Map<string, Sight[]>();
  const everybody = new Map<string, Sight[]>();
  const refused: Refused[] = [];
  /** Of `refused`: those with a user whom the policy does not cover. */
  const outside: Sight[] = [];
  let unreadable = 0;
  const assessor = new RecordedAssessor(settings);
  for (const seen of lines) {
    const understood = understand(assessor, policy, seen);
    if (understood === undefined) {
      unreadable += seen.count;
      continue;
    }
    const sight: Sight = { seen, ...understood };
    const { attempts, decision } = understood;
    const isServed =
      seen.line.decision === 'allow' && decision.kind === 'allow' && decision.rule !== undefined;
    const ofRule = isServed && !seen.line.isGranted ? allowed.get(decision.rule) : undefined;
    if (isForAllOf23(attempts)) refused.push({ sight, why: noAllUsers.reason });
    else if (ofRule !== undefined) ofRule.push(sight);
    else if (attempts.some(({ command }) => command.grant === 'never')) add(root, nameOf([sight]), sight);
    else if (attempts.some((attempt) => attempt.everybody !== 'none')) add(everybody, nameOf([sight]), sight);
    else if (saidToBeDenied.has(decision.code)) refused.push({ sight, why: withPlace(decision) });
    else if (decision.code === 'user') {
      outside.push(sight);
      refused.push({ sight, why: withPlace(decision) });
    } else if (seen.line.isGranted) refused.push({ sight, why: underGrant });
    else if (seen.line.decision === 'deny') refused.push({ sight, why: seen.line.text ?? 'it was denied' });
    else add(wanted, nameOf([sight]), sight);
  }
  return { allowed, wanted, root, everybody, refused, outside, unreadable };
}

/** Temporary access never becomes permanent. */
const underGrant = 'it was allowed under a grant; on_request is kept';

/** Denied by a line, not by the lack of one. */
const saidToBeDenied: ReadonlySet<string> = new Set(['deny-rule', 'except', 'never']);

function withPlace({ reason, rule }: { readonly reason: string; readonly rule?: RulePlace }): string {
  return rule === undefined ? reason : `${reason} (${rule.file}:${rule.line})`;
}

/** The most harmless first; of equals, the most frequent. */
function byEffect(wanted: ReadonlyMap<string, Sight[]>): Sight[][] {
  const rank = (sights: readonly Sight[]): number => allEffects.indexOf(effectOf(usesOf(sights)));
  return [...wanted.values()].toSorted((a, b) => rank(a) - rank(b) || countOf(b) - countOf(a));
}

export function countOf(sights: readonly Sight[]): number {
  return sights.reduce((sum, { seen }) => sum + seen.count, 0);
}

function traitsOf(policy: Policy): Readonly<Record<string, Plain>> {
  const { mode: _mode, users, except, allow: _allow, deny, logs, debug, ...more } = writtenPolicy(policy);
  const own = asList(deny)?.filter((_, at) => policy.deny[at]?.place.file === policy.place.file) ?? [];
  const traits = {
    mode: 'enforce',
    users,
    except,
    use: policy.use,
    ...(own.length > 0 && { deny: own }),
    ...more,
    ...(logs !== 'filtered' && { logs }),
    ...(debug === true && { debug }),
  };
  return Object.fromEntries(
    Object.entries(traits).flatMap(([key, value]) => (value === undefined ? [] : [[key, plainOf(value)]])),
  );
}

/** Limit of patterns in a comment: a principal can name users of any number of domains. */
const patternsShown = 20;

/** Comments below `users`: seen users that it does not cover; for a policy for everybody, all seen users. */
function usersNotes({ allowed, wanted, outside }: Sorted, { users }: Policy): string[] {
  const rest = countPatterns(outside, (user) => !users.matches(user));
  const seen = users.isEverything
    ? countPatterns([...allowed.values(), ...wanted.values()].flat(), () => true)
    : '';
  return [
    ...(seen === '' ? [] : [`Domains seen: ${seen}`]),
    ...(rest === '' ? [] : [`Seen for other users, and not added: ${rest}`]),
  ];
}

/** `"*@example.com" (3 commands), root (1 command)`, the most frequent first; empty: none. */
function countPatterns(sights: readonly Sight[], isCounted: (user: string) => boolean): string {
  const counts = new Map<string, number>();
  for (const { seen, attempts } of sights) {
    const users = attempts.flatMap((attempt) => [...attempt.users, ...attempt.aliases]);
    for (const pattern of new Set(users.filter(isCounted).map(userPattern)))
      counts.set(pattern, (counts.get(pattern) ?? 0) + seen.count);
  }
  const rows = [...counts].toSorted(([, one], [, other]) => other - one);
  const shown = rows
    .slice(0, patternsShown)
    .map(([pattern, count]) => `${formatValue(pattern)} (${plural(count, 'command')})`);
  return [...shown, ...(rows.length > patternsShown ? [`${rows.length - patternsShown} more`] : [])].join(
    ', ',
  );
}

/** A rule's values come from YAML, though their type does not say so. */
function plainOf(value: unknown): Plain {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value !== 'object' || value === null) return '';
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plainOf(each)]));
}

function warnedRule(
  sights: readonly Sight[],
  trial: Trial,
  grant: 'root_equivalent' | 'all_users',
): WrittenRule {
  const comments = [`WARNING, not granted: ${whyWarned[grant]}.`, seenComment(sights)];
  const permitting = permit(sights, trial);
  const rule = 'rule' in permitting ? permitting.rule : graveRule(sights, trial, grant);
  return { comments, rule, isCommentedOut: true };
}

/** The rule that `explain` would show. */
function permit(sights: readonly Sight[], trial: Trial): ReturnType<typeof ruleThatPermits> {
  const [decision] = sights.flatMap((sight) => (sight.decision.kind === 'deny' ? sight.decision : []));
  const isOffered = decision?.onRequest !== undefined;
  return decision === undefined || isOffered
    ? {}
    : ruleThatPermits({ ...trial, attempts: attemptsOf(sights), decision });
}

const whyWarned = {
  root_equivalent: 'it amounts to root on the mail server',
  all_users: 'it concerns all users at once, and needs a policy with users: ["*"] and no except',
} as const;

export function lastOf(sights: readonly Sight[]): number {
  return sights.reduce((last, { seen }) => Math.max(last, seen.lastMs), 0);
}

function seenComment(sights: readonly Sight[]): string {
  const count = countOf(sights);
  const users = new Set(sights.flatMap(({ attempts }) => attempts.flatMap((attempt) => attempt.users)));
  const principals = new Set(sights.flatMap(({ seen }) => [...seen.principals]));
  const lastMs = lastOf(sights);
  const [only] = principals;
  const by = principals.size === 1 ? (only ?? '') : `${principals.size} principals`;
  const forWhom = users.size === 0 ? '' : ` for ${plural(users.size, 'user')}`;
  const effect = effectOf(usesOf(sights));
  return `${timesWords(count)}${forWhom} by ${by}, last ${minuteOf(lastMs)}; effect: ${effect}`;
}

/** `2026-11-20 08:22 UTC`. */
function minuteOf(ms: number): string {
  return `${formatTime(ms).slice(0, 16).replace('T', ' ')} UTC`;
}

function widenedNote(sights: readonly Sight[], rule: RuleText, ofPolicy: readonly string[]): string[] {
  const { users } = rule;
  const texts =
    users !== undefined && typeof users === 'object' && isList(users) ? users.map(String) : ofPolicy;
  const wide = widenings(usesOf(sights), { where: whereIn(rule), users: texts });
  return wide.length === 0 ? [] : [`widened: ${wide.join('; ')}`];
}

function notesOf(sights: readonly Sight[], rule: RuleText, checks: readonly string[]): string[] {
  const attempts = sights.flatMap((sight) => sight.attempts);
  const content = [...new Set(attempts.flatMap((attempt) => attempt.content))].toSorted();
  const named = [...new Set(attempts.flatMap((attempt) => attempt.mustBeNamed))].toSorted();
  const told = rule['command'] === 'user' ? 'what a userdb holds' : 'what mails say';
  const shared = [...new Set(attempts.flatMap((attempt) => attempt.shared ?? []))].toSorted();
  return [
    ...(content.length === 0 ? [] : [`note: it tells ${told}: ${content.join(', ')}${besideWords(rule)}`]),
    ...(shared.length === 0 ? [] : [`note: it can reach mailboxes of others by: ${shared.join(', ')}`]),
    ...checks.map((name) => `CHECK: any value of ${name}, of which some were seen`),
    ...shapeNotes(attempts, rule),
    ...(named.length === 0 ? [] : [`note: refused unless named, as here: ${named.join(', ')}`]),
  ];
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}

function whereIn({ where }: RuleText): Readonly<Record<string, Plain>> {
  return typeof where === 'object' && !isList(where) ? where : {};
}

/** Notes on names with a number or a day: the pattern that matches those of other days, too. A person decides whether to use it. */
function shapeNotes(attempts: readonly Attempt[], rule: RuleText): string[] {
  if (mayWiden(attempts)) return [];
  const { query, ...others } = whereIn(rule);
  // A key of a query takes no regular expression.
  return [
    ...shapesIn(others, (name) => `{ regex: ${formatValue(anyDay(name))} }`),
    ...shapesIn(query, (_name, shape) => formatValue(shape)),
  ];
}

function shapesIn(where: Plain | undefined, write: (name: string, shape: string) => string): string[] {
  const texts = JSON.stringify(where ?? '').match(/"[^"]+"/g) ?? [];
  const names = texts.filter((name) => /\d/.test(name) || dayIn(name) !== undefined);
  const shapes = groupBy(names, (name) => withoutDay(name.slice(1, -1)).replace(/\d[\d._:T-]*/g, '*'));
  return [...shapes].flatMap(([shape, all]) => {
    const [first = ''] = all;
    const has = all.length === 1 ? 'has it' : `has all ${all.length} of these names`;
    if (dayIn(first) !== undefined)
      return [
        `CHECK: ${first} holds a day, so the name of another day is denied; ${write(first.slice(1, -1), shape)} ${has}, and others that nobody has seen`,
      ];
    return all.length < 3 ? [] : [`note: ${formatValue(shape)} ${has}, and others that nobody has seen`];
  });
}

/** The regular expression for a name with any day in it. */
function anyDay(name: string): string {
  const { at = 0, text = '', any = '' } = dayIn(name) ?? {};
  const literal = (of: string): string => of.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return literal(name.slice(0, at)) + any + literal(name.slice(at + text.length));
}

/** A rule says which keys a query must have, and leaves the others open: with `content` those that read mails, too. */
function besideWords(rule: RuleText): string {
  const { query } = whereIn(rule);
  const isOpenQuery =
    rule['command'] === 'search' && (typeof query !== 'object' || isList(query) || !('equals' in query));
  return isOpenQuery ? '; keys beside these are open, as body and header' : '';
}

function headOf(
  sightings: Sightings,
  { policy, listener, unseen }: SuggestRequest,
  allowed: number,
): string[] {
  const { lines } = sightings;
  const all = lines.reduce((sum, { count }) => sum + count, 0);
  const first = lines.reduce((least, { firstMs }) => Math.min(least, firstMs), Number.POSITIVE_INFINITY);
  const last = lines.reduce((most, { lastMs }) => Math.max(most, lastMs), 0);
  const span = all === 0 ? '' : ` from ${minuteOf(first)} to ${minuteOf(last)}`;
  const place = `${policy.place.file}:${policy.place.line}`;
  return [
    `Suggested from what ${listener === undefined ? `was judged by policy ${policy.name}` : `listener ${listener} did`}${span}: ${plural(all, 'record')}, of which this allows ${allowed}.`,
    `Read it before it takes the place of policy ${policy.name} (${place}).`,
    'As it stands it can be named as shadow:, judged on the past (test --replay DIR --candidate FILE), and pasted.',
    ...(unseen?.holes ?? []).map(
      (hole) => `WARNING: records are missing, and what they held is not here: ${hole}.`,
    ),
    ...(sightings.isOverfull
      ? ['WARNING: there were more kinds of lines than are looked at; use a shorter --since.']
      : []),
  ];
}

function kindsOfRefused(refused: readonly Refused[], trial: Trial): SuggestedKind[] {
  const kinds = groupBy(refused, ({ sight, why }) => `${nameOf([sight])}\0${why}`);
  return [...kinds.values()].map((kind) => {
    const sights = kind.map(({ sight }) => sight);
    const command = nameOf(sights);
    const why = kind[0]?.why ?? '';
    const permitting = permit(sights, trial);
    if (!('rule' in permitting)) {
      const { hindrance } = permitting;
      const all = hindrance === undefined || hindrance.endsWith(why) ? why : `${why}; ${hindrance}`;
      return { kind: 'refused', command, written: undefined, why: all, sights };
    }
    const comments = [`Not granted, since it was denied: ${why}.`, seenComment(sights)];
    const written = { comments, rule: permitting.rule, isCommentedOut: true };
    return { kind: 'refused', command, written, why, sights };
  });
}

function refusedRemarks(kinds: readonly SuggestedKind[]): string[] {
  const rows = kinds.flatMap(({ kind, command, written, why, sights }) => {
    if (kind !== 'refused' || written !== undefined) return [];
    const count = countOf(sights);
    const last = minuteOf(lastOf(sights));
    return [`  ${timesWords(count)}, last ${last}, "${command}": ${why ?? ''}`];
  });
  return rows.length === 0 ? [] : ['Seen and not suggested:', ...rows];
}

function gapRemarks(
  unreadable: number,
  { passedOver, lines }: Sightings,
  notes: readonly string[] = [],
): string[] {
  const whys = { ...leftOutWords, failed: 'which the mail server answered with an error' };
  const opaque = lines.reduce((sum, { line, count }) => sum + (line.isOpaque ? count : 0), 0);
  return [
    ...notes.map((note) => `Left out: ${note}.`),
    ...(opaque === 0
      ? []
      : [`${opaque} of them hold words that are recorded as digests; no rule names these.`]),
    ...[...passedOver].map(([why, count]) => `Left out: ${count}, ${whys[why]}.`),
    ...(unreadable === 0 ? [] : [`Left out: ${unreadable}, which this version cannot read any more.`]),
  ];
}
