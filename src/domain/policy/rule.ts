// Owns what a policy is: rules with their places, users, and what else holds for a team.
// It does not know YAML; config builds these values, and nobody changes them afterwards.
// The rule: a policy is immutable. A changed configuration makes a new one, with another version.
import { allSeries, commandNamed, type Parameter } from '../commands/catalog.js';
import type { GlobList } from '../names/glob.js';
import type { QueryTest } from './query.js';
import type { ValueTest } from './value-test.js';

/** Where a rule was written, for every answer that names it. Lines and columns count from 1. */
export interface RulePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What one parameter must be. In an `allow` all values must pass, in a `deny` one is enough. */
export interface ParameterTest {
  /** The catalog's long name. */
  readonly parameter: string;
  readonly test: ValueTest;
}

/** So many in any span of `windowMs`. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** What is still to be done before an allowed command is sent; none of it changes the judgement. */
export interface Obligations {
  /** The client must say why. */
  readonly reason: boolean;
  /** Per principal; counted under `limitKey`, which survives a reload that leaves the rule's meaning as it was. */
  readonly limit?: Rate;
  readonly limitKey: string;
  /** Of another rule that holds too: what was judged in two series is counted by the rules of both. */
  readonly alsoLimit?: { readonly limit: Rate; readonly limitKey: string };
  /** A search with the same query must not find more mails than this. */
  readonly maxMatches?: number;
  /** Served even while the audit disk has only its reserve left. */
  readonly emergency: boolean;
}

/** Whether two rules ask for the same besides. The limits of two rules are never one, however they read. */
export function areSameTerms(one: Obligations | undefined, other: Obligations | undefined): boolean {
  return (
    one?.reason === other?.reason &&
    one?.limit === other?.limit &&
    one?.alsoLimit?.limit === other?.alsoLimit?.limit &&
    one?.maxMatches === other?.maxMatches &&
    one?.emergency === other?.emergency
  );
}

/** What satisfies both: for a command that is judged in two series and allowed by two rules, while it is not known which of them counts. */
export function stricterTerms(one: Obligations, other: Obligations): Obligations {
  const counts = [one.maxMatches, other.maxMatches].filter((count) => count !== undefined);
  const { limit, limitKey } = one.limit === undefined ? other : one;
  const isSecondLimit =
    one.limit !== undefined && other.limit !== undefined && one.limitKey !== other.limitKey;
  return {
    reason: one.reason || other.reason,
    ...(limit === undefined ? {} : { limit }),
    limitKey,
    ...(isSecondLimit && other.limit !== undefined
      ? { alsoLimit: { limit: other.limit, limitKey: other.limitKey } }
      : {}),
    ...(counts.length === 0 ? {} : { maxMatches: Math.min(...counts) }),
    emergency: one.emergency && other.emergency,
  };
}

/** One line of `allow` or `deny`. */
export interface Rule {
  readonly place: RulePlace;
  /** Full name of the command. */
  readonly command: string;
  /** The rule as plain values in one spelling; for people, and for the version of its policy. A daemon that reloads does without. */
  readonly meaning?: unknown;
  /** Undefined: the rule has no `where`. Empty: it has one that names nothing, so that every option must be absent. */
  readonly where: readonly ParameterTest[] | undefined;
  readonly query: QueryTest | undefined;
  /** Narrows the policy's users for this rule; undefined: it does not. */
  readonly users: GlobList | undefined;
  readonly rootEquivalent: boolean;
  readonly masks: boolean;
  readonly shared: boolean;
  readonly allUsers: boolean;
  readonly content: boolean;
  /** Users that one command line may name; undefined: as many as `limits.users` says. */
  readonly maxUsers: number | undefined;
  /** The rule ends here, in Unix milliseconds. */
  readonly expiresMs: number | undefined;
  readonly obligations: Obligations;
}

/** What holds for a team besides its rules. */
export interface PolicyTraits {
  readonly mode: 'enforce' | 'observe';
  /** What of the backend's log lines reaches the client. */
  readonly logs: 'none' | 'filtered' | 'full';
  /** Whether the client may ask for debug lines. */
  readonly debug: boolean;
  /** Turns of each of its principals among those who wait for the same backend; 1 is usual. */
  readonly weight: number;
  readonly limits: { readonly rate?: Rate; readonly distinctUsers?: Rate; readonly atOnce?: number };
}

/** What one team may do. Made by {@link createPolicy}. */
export interface Policy extends PolicyTraits {
  readonly name: string;
  readonly place: RulePlace;
  /** Patterns on users in normal form (so: lower case). */
  readonly users: GlobList;
  readonly usersPlace: RulePlace;
  readonly except: GlobList;
  readonly exceptPlace: RulePlace;
  /** Whether it holds for everybody: no user is outside, none is excepted. */
  readonly isForEverybody: boolean;
  /** In the order of the file. */
  readonly allow: readonly Rule[];
  readonly deny: readonly Rule[];
  /** The same rules by command, each list in the order of the file. */
  readonly allowByCommand: ReadonlyMap<string, readonly Rule[]>;
  readonly denyByCommand: ReadonlyMap<string, readonly Rule[]>;
  /** A candidate that is judged beside this one and only recorded. */
  readonly shadow?: Policy;
  /** The policy with everything that it takes from elsewhere written out. */
  readonly effectiveText: string;
  /** The hash of the effective text. */
  readonly version: string;
}

/** A policy without what follows from the rest of it. */
export type PolicyParts = Omit<Policy, 'isForEverybody' | 'allowByCommand' | 'denyByCommand'>;

export function createPolicy(parts: PolicyParts): Policy {
  return Object.freeze({
    ...parts,
    isForEverybody: parts.users.isEverything && parts.except.texts.length === 0,
    allowByCommand: byCommand(parts.allow),
    denyByCommand: byCommand(parts.deny),
  });
}

function byCommand(rules: readonly Rule[]): ReadonlyMap<string, readonly Rule[]> {
  const map = new Map<string, Rule[]>();
  for (const rule of rules) {
    const list = map.get(rule.command);
    if (list === undefined) map.set(rule.command, [rule]);
    else list.push(rule);
  }
  return map;
}

/** The parameters of a command, of every series that has it, by name. Where series differ, the newest one's. */
export function parametersOf(command: string): ReadonlyMap<string, Parameter> {
  const all = allSeries.flatMap((series) => commandNamed(series, command)?.params ?? []);
  return new Map(all.map((parameter) => [parameter.name, parameter]));
}

/** Why a rule for the command cannot name the parameter, and what to write instead; undefined: it can, or there is none. */
export function whyUnnamable(command: string, name: string): string | undefined {
  if (name === 'fieldstr' || name === 'flagstr')
    return `write ${name.slice(0, -3)}, which covers every spelling of it`;
  if (name === 'source-type') return 'write source-user; the word before it is part of it';
  for (const series of allSeries) {
    const found = commandNamed(series, command);
    const parameter = found?.params.find((each) => each.name === name);
    if (found === undefined || parameter === undefined) continue;
    const caution = parameter.caution;
    if (caution === 'never') return 'is never allowed, and no rule can change that; take it out';
    if (caution === 'all-users') return 'write all_users: true beside command: instead';
    if (name === 'user' && found.scope === 'user') {
      return 'the user of a mail command is judged by users and except; take it out';
    }
  }
  return undefined;
}

/** So many visible characters must be there: a ticket number has them, a blank or an invisible character does not. */
export const reasonVisibleMin = 3;

/**
 * Letters, digits, punctuation and symbols. Not counted: blanks, controls and format characters (zero-width, bidirectional), marks that
 * only combine with a letter, unassigned and private characters, all that Unicode calls ignorable by default (as the Hangul fillers),
 * and two symbols that are blank: the empty Braille pattern and the null notehead.
 */
const visible = /(?!\p{Default_Ignorable_Code_Point}|\u2800|\ufffc|\u{1d159})[\p{L}\p{N}\p{P}\p{S}]/gu;

/** Whether `reason` has enough visible characters; undefined: none was stated. */
export function saysWhy(reason: string | undefined): boolean {
  return (reason?.match(visible)?.length ?? 0) >= reasonVisibleMin;
}

const howToSayWhy = 'dovegate send --reason TEXT, or DOVEGATE_REASON=TEXT with dovegate as doveadm';

/** Why a command is refused whose rule demands a reason. */
export function whyNoReason(reason: string | undefined): string {
  if (reason === undefined || reason === '') return `the client must say why: ${howToSayWhy}`;
  return `the client must say why, in at least ${reasonVisibleMin} visible characters`;
}
