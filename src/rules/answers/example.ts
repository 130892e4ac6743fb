// Writes a shell line that asks for what a rule of `on_request` offers. Where the rule demands a value, the line has one that satisfies
// it. Words in capitals are for the reader to replace.

import { commandsNamed, type Parameter } from '../../doveadm/commands/catalog.js';
import { requestWords } from '../../host/words/asking.js';
import { formatWords } from '../../host/words/text.js';
import { isQueryTest, type QueryTest, wordsOfKey } from '../conditions/query-test.js';
import { comparesValues, kindOf, passes } from '../conditions/value-test.js';
import type { Policy, RequestRule } from '../policy/policy.js';
import { exampleOf } from '../policy/regex.js';

export function exampleOfRequest(rule: RequestRule, policy: Pick<Policy, 'users' | 'added'>): string {
  const command = commandsNamed(rule.command, policy.added).at(-1);
  const [first = '*'] = (rule.users ?? policy.users).texts;
  const user = command?.scope === 'server' ? undefined : plainText(first.replace(/^\*+/, 'USER'), 'USER');
  const params = command?.params ?? [];
  const words = [false, true].flatMap((isPositional) =>
    params.filter((each) => each.isPositional === isPositional).flatMap((each) => wordsOf(each, rule)),
  );
  return formatWords([
    ...requestWords(user, rule.terms.reason?.source),
    ...rule.command.split(' '),
    ...words,
  ]);
}

function wordsOf(parameter: Parameter, { where = [], query }: RequestRule): readonly string[] {
  const { name, short, type, isPositional, isOptional, key, role } = parameter;
  if (role === 'search-query') return queryWords(query);
  // `fieldstr` is the protocol's spelling of the list that people type as `field`.
  const meant = name === 'fieldstr' ? 'field' : name;
  const test = where.find((each) => each.parameter === meant)?.test;
  if (name === 'field' && !isPositional) return [];
  // Without the parameter the rule does not match.
  const isDemanded = test !== undefined && !passes(test, undefined);
  if (isOptional && !isDemanded) return [];
  const placeholder = meant.toUpperCase();
  const [value = [placeholder]] = comparesValues(test)
    ? kindOf(test).examples(test, (pattern) => [plainText(pattern, placeholder)])
    : [];
  if (isPositional) return key === undefined ? value : [key, ...value];
  const option = short === undefined ? `--${name}` : `-${short}`;
  return type === 'bool' ? [option] : [option, ...value];
}

function queryWords(query: QueryTest | undefined): readonly string[] {
  if (isQueryTest(query, 'equals')) return query.words;
  if (isQueryTest(query, 'regex')) return exampleOf(query.regex.source)?.split(' ') ?? ['QUERY'];
  const keys = isQueryTest(query, 'keys') ? [...query.conditions, ...(query.anyOf[0] ?? [])] : [];
  if (keys.length === 0) return ['QUERY'];
  // A mailbox alone is no query for a command that destroys.
  const all = keys.every(({ key }) => key.startsWith('mailbox')) ? ['all'] : [];
  const fill = (pattern: string): string[] => [plainText(pattern, 'VALUE')];
  return [...keys.flatMap((each) => wordsOfKey(each, fill, () => 'VALUE')[0] ?? []), ...all];
}

/** A pattern is no value: the placeholder stands for it. */
function plainText(text: string, placeholder: string): string {
  return /[*?\\]|<user>/.test(text) ? placeholder : text;
}
