// Owns the whole way from the words of a command line to a decision: resolve, parse, settle the user, judge; for one series or,
// while a backend's series is not known, for both. Used by policy tests, explain, and whoever has a line and a policy.
// It does not ask resolvers of users, count limits, or send anything.
// The rule: what is not known is judged in every way that it can be, and refused unless all of them allow it.
import { canonicalArguments } from '../commands/canonical.js';
import { allSeries, resolveCommand, type Series } from '../commands/catalog.js';
import type { UnparsableCode } from '../commands/getopt.js';
import type { MailboxNames } from '../commands/mailbox-names.js';
import { parseArguments } from '../commands/parse.js';
import { reconcileUserOptions } from '../commands/users.js';
import type { UserNames } from '../identity/user-name.js';
import { type Attempt, attemptOf } from './attempt.js';
import { type Decision, decide } from './decide.js';
import type { Policy, Rule } from './rule.js';

/** A command line and who sends it. */
export interface Line {
  readonly listener: string;
  readonly principal: string;
  /** The user field; empty: none. */
  readonly user: string;
  readonly words: readonly string[];
  /** Minor that the client announced. */
  readonly clientMinor: number;
  /** Other names of its users, where the userdb was asked. */
  readonly aliases?: readonly string[] | undefined;
}

/** What is known of where it would go. */
export interface Destination {
  readonly series: 'auto' | Series;
  readonly sharedNamespaces: readonly string[] | undefined;
  /** Undefined: its namespaces are not said. */
  readonly mailboxNames?: MailboxNames | undefined;
}

/** Why a line is not understood. */
export type UnreadCode = UnparsableCode | 'command-unknown' | 'series-differ';

/** One series' answer. `unparsable`: the line has no meaning there, or none that is sure; `code` is the catalog's, or one of these. */
export type Judgement =
  | {
      readonly kind: 'judged';
      readonly series: Series;
      readonly attempt: Attempt;
      readonly decision: Decision;
      /** The command's name and its arguments as they would be sent. */
      readonly canonical: readonly string[];
      /** The client expects the user's name in front of each row. */
      readonly wantsUsernameCell: boolean;
    }
  | {
      readonly kind: 'unparsable';
      readonly series: Series;
      readonly code: UnreadCode;
      readonly message: string;
    };

/** Judges the line as a server of one series would read it. */
export function judgeLine(
  policy: Policy,
  line: Line,
  series: Series,
  sharedNamespaces: readonly string[] | undefined,
  userNames: UserNames,
  nowMs: number,
  mailboxNames?: MailboxNames,
): Judgement {
  const refuse = (code: UnreadCode, message: string): Judgement => ({
    kind: 'unparsable',
    series,
    code,
    message,
  });
  const resolved = resolveCommand(series, line.words);
  if (resolved === undefined) return refuse('command-unknown', `Dovecot ${series} has no such command`);
  const parsed = parseArguments(series, resolved.command, resolved.args);
  if (parsed.kind === 'unparsable') return refuse(parsed.code, parsed.message);
  // Before anything compares it: it may be as long as the line.
  const wire = line.user === '' ? undefined : userNames.normalise(line.user);
  if (wire?.kind === 'refused') return refuse('user-invalid', wire.message);
  const normalise = (user: string): string => {
    const result = userNames.normalise(user);
    return result.kind === 'name' ? result.name : user;
  };
  const settled = reconcileUserOptions(parsed, line.user, line.clientMinor, normalise);
  if (settled.kind === 'unparsable') return refuse(settled.code, settled.message);
  const from = {
    listener: line.listener,
    principal: line.principal,
    wireUser: line.user,
    userNames,
    sharedNamespaces,
    mailboxNames,
    aliases: line.aliases,
    ruleUsersMax: mostUsers(policy.allowByCommand.get(resolved.command.name)),
  };
  const result = attemptOf(from, settled.parsed);
  if (result.kind !== 'attempt') return refuse(result.kind, result.message);
  const { attempt } = result;
  return {
    kind: 'judged',
    series,
    attempt,
    decision: decide(policy, attempt, nowMs),
    canonical: [attempt.command.name, ...canonicalArguments(attempt.parsed)],
    wantsUsernameCell: settled.wantsUsernameCell,
  };
}

function mostUsers(rules: readonly Rule[] | undefined): number | undefined {
  let most: number | undefined;
  for (const { maxUsers } of rules ?? []) {
    if (maxUsers !== undefined && maxUsers > (most ?? 0)) most = maxUsers;
  }
  return most;
}

/** The refusal of a line that two series read in two ways, where nobody knows yet which of them will read it. */
export const seriesDiffer = {
  code: 'series-differ',
  message: 'Dovecot 2.3 and 2.4 read it differently, and which one the backend is, is not known yet',
} as const;

/**
 * Judges the line in every series that the destination may be of. The first answer that refuses comes first; where the series
 * would be sent different words, all of them refuse.
 */
export function judgeEverywhere(
  policy: Policy,
  line: Line,
  destination: Destination,
  userNames: UserNames,
  nowMs: number,
): readonly Judgement[] {
  const which = destination.series === 'auto' ? allSeries : [destination.series];
  const { sharedNamespaces, mailboxNames } = destination;
  const all = which.map((series) =>
    judgeLine(policy, line, series, sharedNamespaces, userNames, nowMs, mailboxNames),
  );
  const forms = new Set(all.map((each) => (each.kind === 'judged' ? each.canonical.join('\0') : undefined)));
  if (forms.size > 1 && !forms.has(undefined)) {
    return all.map(({ series }) => ({ kind: 'unparsable', series, ...seriesDiffer }));
  }
  return [...all.filter((each) => !isAllowed(each)), ...all.filter(isAllowed)];
}

/** Whether this answer lets the line through. */
export function isAllowed(judgement: Judgement): boolean {
  return judgement.kind === 'judged' && judgement.decision.kind === 'allow';
}
