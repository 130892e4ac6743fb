// A grant: one rule of `on_request` that a second person opened to a principal for a time. Who holds one, and until when, is known to the
// caller; whether it allows an attempt is decided in decide.ts.
import type { CanonicalWord } from '../meaning/canonical.js';
import type { Attempt } from './attempt.js';
import { ask, matches } from './match.js';
import type { Policy, RequestRule } from './policy.js';

/** The part of a live grant that a decision depends on. */
export interface GrantTerms {
  readonly id: string;
  /** Hash of its rule. */
  readonly rule: string;
  readonly scope: 'command' | 'user';
  /** In normal form. */
  readonly users: readonly string[];
  /** Digest of the granted command line; undefined: scope `user`. */
  readonly line: string | undefined;
  /** The number of mails counted at approval. */
  readonly maxMatches: number | undefined;
}

/** The live grants of a principal. `all`: as under a grant of any rule, for policy tests. */
export interface GrantsAtHand {
  readonly grants: readonly GrantTerms[] | 'all';
  /** The keyed digest of {@link lineOf}. */
  readonly digest: (text: string) => string;
}

/** The text of a canonical command line. No word contains a NUL: the protocol refuses them. */
export function lineOf(command: string, args: readonly CanonicalWord[]): string {
  return [command, ...args.map(({ text }) => text)].join('\0');
}

/** The first rule of `on_request` that the attempt matches. */
export function requestableRule(policy: Policy, attempt: Attempt, nowMs: number): RequestRule | undefined {
  const rules = policy.onRequestByCommand.get(attempt.command.name);
  if (rules === undefined || policy.mode !== 'enforce') return undefined;
  const asked = ask(policy, attempt, nowMs);
  return rules.find((rule) => matches(rule, asked));
}
