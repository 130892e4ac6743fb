// The compiled configuration: policies with their rules, the rules' demands, and the routes of commands. config builds these values. They
// are immutable. A changed configuration makes new ones, with another version.

import { type AddedCommands, noneAdded } from '../../doveadm/commands/catalog.js';
import type { GlobList } from '../../doveadm/names/glob.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { formatDuration } from '../../host/words/durations.js';
import type { QueryTest } from '../conditions/query-test.js';
import type { ParameterTest } from '../conditions/value-test.js';
import type { RawPolicy, RawRequestRule, RawRule } from '../config/policy-schema.js';
import { type Rate, usualRequests } from './rate.js';
import type { Regex } from './regex.js';

/** The place of a rule, for every answer that names it. Lines and columns count from 1. */
export interface RulePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Conditions to meet before an allowed command is sent; none of them changes the judgement. */
export interface Obligations extends Pick<RawRule, ObligationKey> {
  readonly reason: boolean;
  /** What `limit` is counted under: it survives a reload that does not change the rule's meaning. */
  readonly limitKey: string;
  /** The limit of a second rule: a command judged in two series is counted by the rules of both. */
  readonly alsoLimit?: { readonly limit: Rate; readonly limitKey: string };
  /** As `maxMatches`: the number counted at the approval. Only for approvers: the holder could learn about content from it. */
  readonly approvedMatches?: number;
}

type ObligationKey = 'limit' | 'maxMatches' | 'deadlineMs' | 'emergency';

/** One line of `allow` or `deny`. */
export interface Rule extends Omit<RawRule, ObligationKey | 'reason' | 'where' | 'users' | 'expiresMs'> {
  readonly place: RulePlace;
  /** The rule as plain values in one spelling; for people, and for the version of its policy. A daemon that reloads omits it. */
  readonly meaning?: unknown;
  /** Undefined: the rule has no `where`. Empty: its `where` names nothing, so every option must be absent. */
  readonly where: readonly ParameterTest[] | undefined;
  readonly query: QueryTest | undefined;
  readonly users: GlobList | undefined;
  readonly expiresMs: number | undefined;
  readonly obligations: Obligations;
}

/** The options of a rule of `on_request` beside those of every rule. `uses` undefined: no limit of commands under one grant. */
export interface RequestTerms extends Omit<RawRequestRule, keyof RawRule | 'uses'> {
  readonly uses: number | undefined;
  readonly reason: Regex | undefined;
}

/** Fewest approvals for access that is kept from the owner for a time. */
export const quietApprovals = 2;

/** By their keys in a configuration. */
export type ShownTerms = Readonly<Record<string, string | number>>;
type Shown = ShownTerms[string];

/** The terms as `can`, `explain` and tools of agents show them: key, value, words. `reason` is a condition instead, as in other rules. */
const requestTerms: Readonly<
  Record<
    Exclude<keyof RequestTerms, 'reason'>,
    readonly [key: string, show: (terms: RequestTerms) => Shown | undefined, say: (shown: Shown) => string]
  >
> = {
  approvals: [
    'approvals',
    ({ approvals }) => approvals,
    (persons) => fewApprovals[Number(persons)] ?? `approved by ${persons} persons`,
  ],
  forMs: ['for', ({ forMs }) => formatDuration(forMs), (time) => `for ${time}`],
  scope: [
    'scope',
    ({ scope }) => scope,
    (scope) => (scope === 'user' ? 'for the users of the request' : 'for one command line'),
  ],
  uses: ['uses', ({ uses }) => uses, (uses) => (uses === 1 ? 'once' : `${uses} times`)],
  quietMs: [
    'quiet',
    ({ quietMs }) => quietMs && formatDuration(quietMs),
    (time) => `kept from the owner for ${time} if two persons approve that`,
  ],
};
const fewApprovals = ['without an approval, reviewed later', 'approved by 1 person'];
const termRows = Object.values(requestTerms);

export const requestTermKeys: readonly string[] = termRows.map(([key]) => key);

/** Whether rules of `on_request` have this key and rules of `allow` do not. */
export function isRequestTerm(name: string): boolean {
  return Object.hasOwn(requestTerms, name);
}

export function shownTermsOf(terms: RequestTerms): ShownTerms {
  return shownBy((_, show) => show(terms));
}

export function shownBy(valueOf: (...row: (typeof termRows)[number]) => Shown | undefined): ShownTerms {
  const shown = termRows.map((row): readonly [string, Shown | undefined] => [row[0], valueOf(...row)]);
  return Object.fromEntries(shown.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

/** `approved by 1 person, for 2h, for one command line, once`. */
export function sayRequestTerms(shown: ShownTerms): string {
  const said = termRows.map(([key, , say]) => (shown[key] === undefined ? '' : say(shown[key])));
  return said.filter(Boolean).join(', ');
}

/** One line of `on_request`. */
export interface RequestRule extends Rule {
  readonly terms: RequestTerms;
  /** SHA-256 (hex) of its meaning with its terms: a changed rule ends its grants. */
  readonly hash: string;
}

/** The settings of a policy that are taken unchanged from its declaration. */
type PolicyTraits = Omit<RawPolicy, 'users' | 'except' | 'use' | 'shadow' | 'allow' | 'deny' | 'onRequest'>;

/** How a list stands in the file: `block` with dashes, `flow` in brackets; `empty`: nothing in the brackets. */
export interface WrittenList {
  readonly place: RulePlace;
  readonly form: 'block' | 'flow' | 'empty';
}

/** The permissions of one team. Made by {@link createPolicy}. */
export interface Policy extends PolicyTraits {
  readonly name: string;
  readonly place: RulePlace;
  /** Patterns on users in normal form (so: lower case). */
  readonly users: GlobList;
  readonly usersPlace: RulePlace;
  readonly except: GlobList;
  readonly exceptPlace: RulePlace;
  /** Whether it covers everybody: no user is outside, none is excepted. */
  readonly isForEverybody: boolean;
  /** Shipped presets, as they are written; their rules are among the others. */
  readonly use?: readonly unknown[];
  readonly allow: readonly Rule[];
  /** For tools that edit the file; a list is absent if the file has no such key. */
  readonly written?: { readonly allow?: WrittenList | undefined; readonly users?: WrittenList | undefined };
  readonly deny: readonly Rule[];
  readonly onRequest: readonly RequestRule[];
  /** The same rules by command, each list in the order of the file. */
  readonly allowByCommand: ReadonlyMap<string, readonly Rule[]>;
  readonly denyByCommand: ReadonlyMap<string, readonly Rule[]>;
  readonly onRequestByCommand: ReadonlyMap<string, readonly RequestRule[]>;
  /** The commands that its rules may name besides those of the catalog, and that its principals may be judged for. */
  readonly added: AddedCommands;
  /** A candidate policy that is evaluated as well and only recorded. */
  readonly shadow?: Policy;
  readonly effectiveText: string;
  readonly version: string;
}

type Derived = 'isForEverybody' | 'allowByCommand' | 'denyByCommand' | 'onRequestByCommand';
type Usual = 'onRequest' | 'requests' | 'approve' | 'added';

/** A policy without its derived values. Without the parts about requests nothing is available on request; usually no command is added. */
export type PolicyParts = Omit<Policy, Derived | Usual> & Partial<Pick<Policy, Usual>>;

export function createPolicy(parts: PolicyParts): Policy {
  const { onRequest = [], requests = usualRequests, approve = [], added = noneAdded } = parts;
  return Object.freeze({
    ...parts,
    isForEverybody: parts.users.isEverything && parts.except.texts.length === 0,
    onRequest,
    requests,
    approve,
    added,
    allowByCommand: byCommand(parts.allow),
    denyByCommand: byCommand(parts.deny),
    onRequestByCommand: byCommand(onRequest),
  });
}

function byCommand<Each extends Rule>(rules: readonly Each[]): ReadonlyMap<string, readonly Each[]> {
  const map = new Map<string, Each[]>();
  for (const rule of rules) {
    const list = map.get(rule.command);
    if (list === undefined) map.set(rule.command, [rule]);
    else list.push(rule);
  }
  return map;
}

export interface Route {
  readonly users: GlobList;
  readonly target: RouteTarget;
}

export type RouteTarget =
  | { readonly kind: 'backend'; readonly backend: string }
  /** One of these, chosen by the user's name; at least one. */
  | { readonly kind: 'spread'; readonly backends: readonly string[] }
  /** Dovecot's auth service at that socket decides. */
  | { readonly kind: 'passdb'; readonly socket: string; readonly cacheTtlMs: number };

export const isRouteTarget = predicateOf<RouteTarget>();

export type ServerTarget =
  | { readonly kind: 'all' | 'by-user' }
  | { readonly kind: 'backend'; readonly backend: string };

export const serverTargetWords: readonly string[] = ['all', 'by_user'];

export interface ServerCommandRules {
  /** For commands that only read and have no line of their own. */
  readonly default: ServerTarget;
  readonly byCommand: ReadonlyMap<string, ServerTarget>;
}

/** Every backend that a route can lead to, in the order of `backends`; a passdb may name any of them. */
export function reachable(routes: readonly Route[], backends: readonly string[]): readonly string[] {
  if (routes.some(({ target }) => target.kind === 'passdb')) return backends;
  const named = new Set(routes.flatMap(({ target }) => backendsOf(target)));
  return backends.filter((name) => named.has(name));
}

export function backendsOf(target: RouteTarget): readonly string[] {
  if (target.kind === 'passdb') return [];
  return target.kind === 'spread' ? target.backends : [target.backend];
}

/** The route for people: `-> mail1`, `-> one of mail1, mail2 by name`. */
export function formatTarget(target: RouteTarget): string {
  switch (target.kind) {
    case 'backend':
      return target.backend;
    case 'spread':
      return `one of ${target.backends.join(', ')} by the user's name`;
    case 'passdb':
      return `what the passdb at ${target.socket} says`;
    default:
      return target satisfies never;
  }
}
