// Rules as sentences: what `can` lists and `explain` names. It knows no policy as a whole and judges nothing.
// Values are told as the configuration has them: who shows them makes what a terminal obeys visible.

import { formatTime } from '../audit/record.js';
import { formatDuration } from './duration.js';
import type { KeyCondition, KeyTest, QueryTest } from './query.js';
import type { Rate, Rule } from './rule.js';
import type { ValueTest } from './value-test.js';

/** `20 an hour`. */
export function formatRate({ count, windowMs }: Rate): string {
  const periods: Readonly<Record<number, string>> = {
    1000: 'a second',
    60_000: 'a minute',
    3_600_000: 'an hour',
  };
  return `${count} ${periods[windowMs] ?? 'a day'}`;
}

/** What must hold for the rule to allow its command, a sentence each; none for a rule that is a name only. */
export function describeRule(rule: Rule): string[] {
  return [...whereOf(rule), ...usersOf(rule), ...reachOf(rule), ...termsOf(rule)];
}

function whereOf({ where, query }: Rule): string[] {
  if (where === undefined) return [];
  const tests = where.map(({ parameter, test }) => `${parameter}: ${describeTest(test)}`);
  return [...tests, ...(query === undefined ? [] : [`query: ${describeQuery(query)}`]), 'no other options'];
}

function describeTest(test: ValueTest): string {
  switch (test.kind) {
    case 'any':
      return 'any value, or none';
    case 'present':
      return 'given';
    case 'absent':
      return 'not given';
    case 'one-of':
      return orAbsent(listOr(test.globs.texts), test.isOptional);
    case 'equals':
      return orAbsent(
        `exactly ${test.values.map((value) => JSON.stringify(value)).join(' ')}`,
        test.isOptional,
      );
    case 'number':
      return orAbsent(describeBounds(test.atLeast, test.atMost, String), test.isOptional);
    case 'regex':
      return orAbsent(`matches ${test.regex.source}`, test.isOptional);
    default:
      return test satisfies never;
  }
}

function orAbsent(text: string, isOptional: boolean): string {
  return isOptional ? `${text}, or not given` : text;
}

function listOr(texts: readonly string[]): string {
  const last = texts.at(-1) ?? '';
  return texts.length < 2 ? last : `${texts.slice(0, -1).join(', ')} or ${last}`;
}

function describeBounds<Value>(
  atLeast: Value | undefined,
  atMost: Value | undefined,
  format: (value: Value) => string,
): string {
  const bounds = [
    ...(atLeast === undefined ? [] : [`at least ${format(atLeast)}`]),
    ...(atMost === undefined ? [] : [`at most ${format(atMost)}`]),
  ];
  return bounds.join(', ');
}

function describeQuery(query: QueryTest): string {
  switch (query.kind) {
    case 'any':
      return 'any';
    case 'equals':
      return `exactly ${query.words.join(' ')}`;
    case 'regex':
      return `matches ${query.regex.source}`;
    case 'keys': {
      const groups = query.anyOf.map((group) => `(${describeKeys(group)})`);
      const parts = [...query.conditions.map(describeKey), ...(groups.length === 0 ? [] : [listOr(groups)])];
      return parts.length === 0 ? 'any' : `every mail it selects has ${parts.join(' and ')}`;
    }
    default:
      return query satisfies never;
  }
}

function describeKeys(conditions: readonly KeyCondition[]): string {
  return conditions.map(describeKey).join(' and ');
}

function describeKey({ key, test }: KeyCondition): string {
  return test.kind === 'absent' ? `no ${key}` : `${key} ${describeKeyTest(test)}`.trimEnd();
}

function describeKeyTest(test: Exclude<KeyTest, { readonly kind: 'absent' }>): string {
  switch (test.kind) {
    case 'present':
      return '';
    case 'one-of':
      return listOr(test.globs.texts);
    case 'age':
      return describeBounds(test.atLeast, test.atMost, (seconds) => formatDuration(seconds * 1000));
    case 'size':
      return describeBounds(test.atLeast, test.atMost, (bytes) => `${bytes} bytes`);
    default:
      return test satisfies never;
  }
}

function usersOf({ users }: Rule): string[] {
  return users === undefined ? [] : [`only for ${listOr(users.texts)}`];
}

/** What the rule opens beyond the mailboxes of users named one by one. */
function reachOf(rule: Rule): string[] {
  return [
    ...(rule.rootEquivalent ? ['amounts to root on the mail server'] : []),
    ...(rule.allUsers ? ['also for all users at once'] : []),
    ...(rule.masks ? ['also for masks of users'] : []),
    ...(rule.shared ? ['also in mailboxes that others share'] : []),
    ...(rule.content ? [rule.command === 'user' ? 'also secrets of the userdb' : 'also what mails say'] : []),
  ];
}

function termsOf({ obligations, expiresMs, maxUsers }: Rule): string[] {
  const { reason, limit, maxMatches, emergency } = obligations;
  return [
    ...(reason ? ['the client must say why'] : []),
    ...(limit === undefined ? [] : [`at most ${formatRate(limit)}`]),
    ...(maxMatches === undefined ? [] : [`at most ${maxMatches} mails at once`]),
    ...(maxUsers === undefined ? [] : [`at most ${maxUsers} users in one command`]),
    ...(expiresMs === undefined ? [] : [`until ${formatTime(expiresMs)}`]),
    ...(emergency ? ['also while the audit disk is almost full'] : []),
  ];
}
