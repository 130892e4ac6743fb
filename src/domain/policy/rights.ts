// What a policy lets somebody do, in words: what `can` says, whether it reads the configuration or asks the daemon.
// It judges no command. The rule: it holds nothing of other policies, other listeners or the machine, so that it may be told to
// whoever the policy is for.

import { allSeries, commandNamed, type Effect, strongerEffect } from '../commands/catalog.js';
import {
  type AnswerPart,
  type AnswerRow,
  moreOf,
  partsOf,
  type RuleInWords,
  rowsOfRule,
  valuesOf,
} from './answer.js';
import { describeRule, formatRate } from './describe-rule.js';
import type { Policy, Rule } from './rule.js';

/** A rule of a policy, and what its command does. */
export interface Right extends RuleInWords {
  readonly effect: string;
}

/** What somebody may do at a listener. */
export interface Rights {
  readonly listener: string;
  /** `NAME@LISTENER`; undefined: nobody in particular. */
  readonly principal: string | undefined;
  readonly policy: string;
  /** Other ordinary commands are allowed too, and recorded. */
  readonly isObserving: boolean;
  /** Patterns of the users that it holds for, and of those that it does not. */
  readonly users: readonly string[];
  readonly except: readonly string[];
  /** `60 a minute`. */
  readonly limits: readonly string[];
  readonly logs: string;
  readonly debug: boolean;
  readonly allow: readonly Right[];
  readonly deny: readonly Right[];
}

/** Of a policy, for a principal. */
export function rightsOf(policy: Policy, listener: string, principal: string | undefined): Rights {
  const { rate, distinctUsers, atOnce } = policy.limits;
  return {
    listener,
    principal,
    policy: policy.name,
    isObserving: policy.mode === 'observe',
    users: policy.users.texts,
    except: policy.except.texts,
    limits: [
      ...(rate === undefined ? [] : [formatRate(rate)]),
      ...(distinctUsers === undefined ? [] : [`${formatRate(distinctUsers)} of different users`]),
      ...(atOnce === undefined ? [] : [`${atOnce} at once`]),
    ],
    logs: policy.logs,
    debug: policy.debug,
    allow: policy.allow.map(rightOf),
    deny: policy.deny.map(rightOf),
  };
}

function rightOf(rule: Rule): Right {
  return { command: rule.command, effect: effectOfName(rule.command), says: describeRule(rule) };
}

/** Of the command alone, in the series where it does most. */
export function effectOfName(name: string): Effect {
  return allSeries
    .map((series) => commandNamed(series, name)?.effect ?? 'read')
    .reduce((most, effect) => strongerEffect(most, effect));
}

/** The rights as an answer. */
export function rowsOfRights(rights: Rights): AnswerRow[] {
  const each = (what: string, values: readonly string[]): AnswerRow[] =>
    values.map((value): AnswerRow => [what, value]);
  const rule = (what: string, right: Right): AnswerRow[] => {
    const [head, ...more] = rowsOfRule(what, right);
    return head === undefined ? [] : [head, ['effect', right.effect], ...more];
  };
  return [
    ['listener', rights.listener],
    ...(rights.principal === undefined ? [] : each('principal', [rights.principal])),
    ['policy', rights.policy],
    ['mode', rights.isObserving ? 'observe' : 'enforce'],
    ...each('user', rights.users),
    ...each('except', rights.except),
    ...each('limit', rights.limits),
    ['logs', rights.logs],
    ...(rights.debug ? each('debug', ['yes']) : []),
    ...rights.allow.flatMap((right) => rule('allow', right)),
    ...rights.deny.flatMap((right) => rule('deny', right)),
  ];
}

/** An answer read back. Undefined: it is none. */
export function rightsOfRows(rows: readonly AnswerRow[]): Rights | undefined {
  const parts = partsOf(rows, ['effect', 'if']);
  const first = (what: string): string | undefined => valuesOf(parts, what)[0];
  const policy = first('policy');
  const listener = first('listener');
  if (policy === undefined || listener === undefined) return undefined;
  const rules = (what: string): Right[] => parts.filter((part) => part.what === what).map(rightOfPart);
  return {
    listener,
    principal: first('principal'),
    policy,
    isObserving: first('mode') === 'observe',
    users: valuesOf(parts, 'user'),
    except: valuesOf(parts, 'except'),
    limits: valuesOf(parts, 'limit'),
    logs: first('logs') ?? '',
    debug: first('debug') === 'yes',
    allow: rules('allow'),
    deny: rules('deny'),
  };
}

function rightOfPart(part: AnswerPart): Right {
  return { command: part.value, effect: moreOf(part, 'effect')[0] ?? '', says: moreOf(part, 'if') };
}
