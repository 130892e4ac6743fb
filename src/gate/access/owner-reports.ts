// Tokens with which the owner of a mailbox, or a panel for them, reads the report of that mailbox: made by a key with `owner_reports`,
// valid for some minutes and some readings, for one user. Only digests of tokens are held, in memory: a restart ends all of them. Each use
// is judged by the configuration in force, so a token ends with its key, with the key's right, and where its policy no longer covers the
// user. No token opens anything but that one report.

import { bounds } from '../../host/bounds/bounds.js';
import type { Clock } from '../../host/ports/machine.js';
import { sha256Hex } from '../../host/values/digest.js';
import { formatTime } from '../../host/words/instants.js';
import type { Human } from '../../rules/identity/human.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { Lockable } from './lock.js';
import { type Refused, refused } from './result.js';

/** The key that asked for the token; at each use it must be unchanged, and valid at this address. */
export interface ReportKey {
  readonly listener: string;
  readonly name: string;
  readonly stamp: string;
  readonly address: string | undefined;
  readonly principal: string;
  readonly human: Human;
}

export interface OwnerReportsParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs'>;
  readonly isLocked: (what: Lockable) => boolean;
  /** A new token, of 256 random bits. */
  readonly newToken: () => string;
  /** The policy of a key that may ask for such tokens now. */
  readonly policyOf: (key: ReportKey) => Policy | undefined;
}

/** What a token opens. `by`: the principal whose key made it. */
export interface OpenedReport {
  readonly user: string;
  readonly by: string;
  readonly until: string;
}

interface Token {
  readonly key: ReportKey;
  readonly user: string;
  readonly endsMs: number;
  readonly until: string;
  readsLeft: number;
}

export class OwnerReports {
  readonly #parts: OwnerReportsParts;
  /** By digest, in the order of their ends. */
  readonly #tokens = new Map<string, Token>();

  constructor(parts: OwnerReportsParts) {
    this.#parts = parts;
  }

  /** `user`: in its normal form. */
  make(key: ReportKey, user: string): Refused | { readonly token: string; readonly until: string } {
    const why = this.#whyNot(key, user);
    if (why !== undefined) return refused('access-denied', why);
    const { clock, newToken } = this.#parts;
    const nowMs = clock.now();
    for (const [digest, { endsMs, readsLeft }] of this.#tokens)
      if (endsMs <= nowMs || readsLeft === 0) this.#tokens.delete(digest);
    const own = [...this.#tokens.values()].filter((token) => token.key.principal === key.principal).length;
    if (own >= bounds.reportTokensOfKey || this.#tokens.size >= bounds.reportTokens)
      return refused('access-limit', 'too many tokens for reports are valid at once');
    const token = newToken();
    const until = formatTime(clock.wallMs() + bounds.reportTokenMs);
    const endsMs = nowMs + bounds.reportTokenMs;
    this.#tokens.set(sha256Hex(token), { key, user, endsMs, until, readsLeft: bounds.reportTokenReads });
    return { token, until };
  }

  /** Uses up one reading. Undefined: the token is unknown, used up, or over. */
  open(token: string): OpenedReport | undefined {
    const found = this.#tokens.get(sha256Hex(token));
    if (found === undefined || found.readsLeft === 0 || !this.isOpen(token)) return undefined;
    const { key, user, until } = found;
    found.readsLeft -= 1;
    return { user, by: key.principal, until };
  }

  /** Whether its time and the right of its key still hold, regardless of readings. */
  isOpen(token: string): boolean {
    const { key, user, endsMs = 0 } = this.#tokens.get(sha256Hex(token)) ?? {};
    const isInTime = this.#parts.clock.now() < endsMs;
    return isInTime && key !== undefined && user !== undefined && this.#whyNot(key, user) === undefined;
  }

  #whyNot(key: ReportKey, user: string): string | undefined {
    const policy = this.#parts.policyOf(key);
    if (policy === undefined) return 'only a key with owner_reports: true may ask for the report of an owner';
    if (!policy.users.matches(user) || policy.except.matches(user))
      return `policy "${policy.name}" does not cover this user`;
    const { human, listener } = key;
    return this.#parts.isLocked({ human, listener, policy }) ? 'the key is locked' : undefined;
  }
}
