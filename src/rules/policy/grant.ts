// A grant: one rule of `on_request` that a second person opened to a principal for a time. The caller knows who holds one, and until when.
// A grant never allows more than its rule, or other users. Commands with input, for masks or for all users have no grant.
import { type CanonicalWord, canonicalWords } from '../../doveadm/meaning/canonical.js';
import type { Attempt } from './attempt.js';
import { type Asked, matches } from './match.js';
import type { Obligations, Policy, RequestRule } from './policy.js';

export interface GrantTerms {
  readonly id: string;
  /** Hash of its rule. */
  readonly rule: string;
  readonly scope: 'command' | 'user';
  /** In normal form. */
  readonly users: readonly string[];
  /** Digest of the granted command line; undefined: scope `user`. */
  readonly line: string | undefined;
  readonly maxMatches: number | undefined;
}

/** The live grants of a principal. `all`: as under a grant of any rule, for policy tests. */
export interface GrantsAtHand {
  readonly grants: readonly GrantTerms[] | 'all';
  /** The keyed digest of {@link lineOf}. */
  readonly digest: (text: string) => string;
}

/** For questions that suppose a grant of the fitting rule. */
export const underAnyGrant: GrantsAtHand = { grants: 'all', digest: (text) => text };

/** The text of a canonical command line. No word contains a NUL: the protocol refuses them. */
export function lineOf(command: string, args: readonly CanonicalWord[]): string {
  return [command, ...args.map(({ text }) => text)].join('\0');
}

export function hasGrants(at: GrantsAtHand | undefined): at is GrantsAtHand {
  return at !== undefined && at.grants.length > 0;
}

/** The rules of `on_request` that could allow the attempt: it names its users one by one, and is one line that ends with itself. */
export function offeredRules({ mode, onRequestByCommand }: Policy, attempt: Attempt): readonly RequestRule[] {
  const { command, masks, everybody } = attempt;
  const isPlain = masks.length === 0 && everybody === 'none' && command.input === 'none';
  return mode === 'enforce' && isPlain ? (onRequestByCommand.get(command.name) ?? none) : none;
}

const none: readonly never[] = [];

/** The first rule of `on_request` that the attempt matches. Only for attempts that neither a `deny` nor the policy's users refuse. */
export function requestableAmong(asked: Asked): RequestRule | undefined {
  return offeredRules(asked.policy, asked.attempt).find((rule) => matches(rule, asked));
}

export interface Granted {
  readonly rule: RequestRule;
  /** Empty: a grant of the rule was only supposed. */
  readonly id: string;
  /** The obligations of the rule, and no more mails than were counted at the approval. */
  readonly obligations: Obligations;
}

/** Whether a grant of an offered rule is for these users: a quick look before a whole judgement. */
export function mayBeOfGrant(policy: Policy, attempt: Attempt, { grants }: GrantsAtHand): boolean {
  if (grants === 'all') return true;
  const rules = offeredRules(policy, attempt);
  return grants.some(
    ({ rule, users }) =>
      rules.some(({ hash }) => hash === rule) && attempt.users.every((user) => users.includes(user)),
  );
}

export function grantFor(asked: Asked, at: GrantsAtHand): Granted | undefined {
  const rules = offeredRules(asked.policy, asked.attempt);
  if (rules.length === 0) return undefined;
  if (at.grants === 'all') {
    const rule = rules.find((each) => matches(each, asked));
    return rule && { rule, id: '', obligations: rule.obligations };
  }
  const { aliases, parsed, command } = asked.attempt;
  // An alias may lead to another mailbox than when the grant was approved, so the grant must cover it too.
  const users = [...asked.attempt.users, ...aliases];
  let digest: string | undefined;
  for (const { id, rule: hash, scope, users: granted, line, maxMatches } of at.grants) {
    const rule = rules.find((each) => each.hash === hash);
    if (rule === undefined || !users.every((user) => granted.includes(user))) continue;
    if (scope === 'command') {
      digest ??= at.digest(lineOf(command.name, canonicalWords(parsed)));
      if (line === undefined || digest !== line) continue;
    } else if (rule.terms.scope !== 'user' || users.length === 0) {
      continue;
    }
    if (matches(rule, asked)) return { rule, id, obligations: approvedFor(rule.obligations, maxMatches) };
  }
  return undefined;
}

function approvedFor(obligations: Obligations, counted: number | undefined): Obligations {
  return counted === undefined ? obligations : { ...obligations, approvedMatches: counted };
}
