// What a line is judged in, and a line judged as a server of one series reads it, with the words as they would be sent.

import type { Series } from '../../../src/doveadm/commands/catalog.js';
import type { MailboxNames } from '../../../src/doveadm/names/mailbox-names.js';
import { createUserNames, type UserNames } from '../../../src/doveadm/names/user-name.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import type { GrantsAtHand } from '../../../src/rules/policy/grant.js';
import { type JudgeContext, type Judged, type Judgement, judge } from '../../../src/rules/policy/judge.js';
import type { Policy } from '../../../src/rules/policy/policy.js';

const userNames = createUserNames({ characters: 'A-Za-z0-9._+=@-', defaultRealm: 'example.com' });

/** As anna asks it with a new client, of a backend that shares no namespace; the realm of users is example.com. */
export function judgeContext(policy: Policy, more: Partial<JudgeContext> = {}): JudgeContext {
  const who = { listener: 'support', principal: 'anna@support', clientMinor: 4 };
  return { ...who, policy, userNames, sharedNamespaces: [], nowMs: 0, ...more };
}

export interface AskedLine {
  readonly listener: string;
  readonly principal: string;
  /** Empty: none. */
  readonly user: string;
  readonly words: readonly string[];
  readonly clientMinor: number;
  readonly grants?: GrantsAtHand;
}

export type LineJudgement =
  | Extract<Judgement, { kind: 'unparsable' }>
  | (Omit<Judged, 'series'> & { readonly series: Series; readonly canonical: readonly string[] });

export function judgeLine(
  policy: Policy,
  asked: AskedLine,
  series: Series,
  sharedNamespaces: readonly string[] | undefined,
  names: UserNames,
  nowMs: number,
  mailboxNames?: MailboxNames,
): LineJudgement {
  const { user, words, ...who } = asked;
  const context = { ...who, policy, userNames: names, sharedNamespaces, mailboxNames, nowMs };
  const judgement = judge(plainLine(user, words), [series], context);
  if (judgement.kind === 'unparsable') return judgement;
  const canonical = [judgement.attempt.command.name, ...judgement.args.map(({ text }) => text)];
  return { ...judgement, series, canonical };
}
