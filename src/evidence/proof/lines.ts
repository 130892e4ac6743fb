// Command lines that a rule might allow: the shortest first, then lines with other values. `assess` decides whether the rule allows them.

import type { Command, Parameter, Series } from '../../doveadm/commands/catalog.js';
import { listOfText, optionName, statusFields, userRoles } from '../../doveadm/commands/catalog.js';
import type { SearchKey } from '../../doveadm/commands/search-query.js';
import { userSign } from '../../doveadm/names/glob.js';
import {
  isKeyTest,
  isQueryTest,
  type KeyCondition,
  type QueryTest,
  wordsOfKey,
} from '../../rules/conditions/query-test.js';
import {
  comparesValues,
  isValueTest,
  kindOf,
  passes,
  type ValueTest,
} from '../../rules/conditions/value-test.js';
import type { Rule } from '../../rules/policy/policy.js';
import { exampleOf } from '../../rules/policy/regex.js';

export interface LineWish {
  readonly command: Command;
  readonly series: Series;
  /** Undefined: lines that an observing policy serves without a rule. */
  readonly rule: Rule | undefined;
  /** The user of the line, or of its arguments that name a user. */
  readonly user: string;
  /** Parameters that must be given. */
  readonly given: readonly string[];
  readonly isAboutContent: boolean;
  /** Rules whose values are worth a try, too: a denial may be about them. */
  readonly others: readonly Rule[];
  /** Further values by their parameter. */
  readonly values?: ReadonlyMap<string, string>;
}

/** Values of one parameter; undefined: it is not given. */
type Choice = readonly string[] | undefined;

/** Lines that are tried for one rule. */
const linesMax = 400;

/** Returns lines, each as a list of words. */
export function linesFor(wish: LineWish): readonly (readonly string[])[] {
  const { command } = wish;
  const choices = command.params.map((parameter) => choicesOf(parameter, wish));
  if (choices.some((each) => each.length === 0)) return [];
  const lines = new Map<string, readonly string[]>();
  const take = (picks: ReadonlyMap<number, number>): boolean => {
    const words = wordsOf(
      command,
      choices.map((each, at) => each[picks.get(at) ?? 0]),
    );
    lines.set(words.join('\0'), words);
    return lines.size < linesMax;
  };
  take(new Map());
  const others = choices.flatMap((each, at) => each.slice(1).map((_, pick) => [at, pick + 1] as const));
  for (const one of others) if (!take(new Map([one]))) break;
  for (const [index, one] of others.entries()) {
    for (const two of others.slice(index + 1))
      if (two[0] !== one[0] && !take(new Map([one, two]))) return [...lines.values()];
  }
  return [...lines.values()];
}

/** The name as one word, options, `--` where a word needs it, positionals. */
function wordsOf(command: Command, picks: readonly Choice[]): string[] {
  const options: string[] = [];
  const positionals: string[] = [];
  for (const [at, parameter] of command.params.entries()) {
    const values = picks[at];
    if (values === undefined) continue;
    const { name, short, type, isPositional, key } = parameter;
    if (isPositional)
      positionals.push(
        ...(key === undefined ? [] : [key]),
        ...(listOfText(command, parameter) === undefined ? values : [values.join(' ')]),
      );
    else if (type === 'bool') options.push(optionName(parameter));
    else
      for (const value of values)
        options.push(...(short === undefined ? [`--${name}=${value}`] : [optionName(parameter), value]));
  }
  const needsEnd = positionals.some((word) => word.startsWith('-'));
  return [...command.words, ...options, ...(needsEnd ? ['--'] : []), ...positionals];
}

function choicesOf(parameter: Parameter, wish: LineWish): readonly Choice[] {
  const { command, rule, given, others } = wish;
  const { name, role, caution, isPositional, isOptional } = parameter;
  const list = listOfText(command, parameter);
  // Not given: the same list in its other form, and options that are decided before rules.
  const isTwin =
    (name === 'field' || name === 'flag') && command.params.some((each) => each.name === `${name}str`);
  if (
    isTwin ||
    caution === 'all-users' ||
    caution === 'never' ||
    (role === 'user' && command.scope === 'user')
  )
    return [undefined];
  if (name === 'source-type') return given.includes('source-user') ? [['user']] : [undefined];
  if (role === 'search-query') return queriesOf(wish);
  const meant = list?.name ?? name;
  const testOf = (each: Rule | undefined): ValueTest | undefined =>
    each?.where?.find((one) => one.parameter === meant)?.test;
  const test = testOf(rule);
  const isWanted = given.includes(name) || (!isOptional && (isPositional || parameter.type !== 'bool'));
  if (isValueTest(test, 'absent')) return isWanted ? [] : [undefined];
  const extra = wish.values?.get(meant);
  const usual = [
    ...(extra === undefined ? [] : [extra]),
    ...usualValues(parameter, wish),
    ...others.flatMap((each) => valuesOf(testOf(each), wish.user)),
  ];
  const own = valuesOf(test, wish.user).filter((values) => passesAlone(test, values, wish));
  const values = [
    ...own,
    ...usual
      .map((value) => (typeof value === 'string' ? [value] : value))
      .filter((each) => passesAlone(test, each, wish)),
  ];
  const isDemanded = test !== undefined && !passes(test, undefined);
  const isUseful = needed.has(`${command.name} ${name}`);
  if (isWanted || isDemanded) return values;
  return isUseful ? [...values, undefined] : [undefined, ...values.slice(0, 1)];
}

/** Optional parameters without which a server refuses the command. */
const needed = new Set([
  'proxy kick user',
  'proxy kick mask',
  'auth cache flush user',
  'auth cache flush user-mask',
  'mailbox cache decision all',
  'kick mask',
  'who mask',
  'mailbox list mailbox-mask',
]);

function passesAlone(
  test: ValueTest | undefined,
  values: readonly string[],
  { user, command }: LineWish,
): boolean {
  return test === undefined || passes(test, values, command.scope === 'user' ? user : undefined);
}

/** Values that have the form of the test. */
function valuesOf(test: ValueTest | undefined, user: string): readonly (readonly string[])[] {
  return comparesValues(test) ? kindOf(test).examples(test, (text) => filled(text, user)) : [];
}

/** A pattern with something in place of its stars, and as it is: it may be meant as a mask. */
function filled(pattern: string, user: string): string[] {
  const text = pattern.replaceAll(userSign, user);
  if (!text.includes('*')) return [text];
  const plain =
    text === '*' || text === '**' ? [] : [text.replaceAll(/\*+/g, 'x'), text.replaceAll(/\*+/g, '')];
  return [...plain.filter(Boolean), text];
}

const usualWords: Readonly<Record<string, readonly string[]>> = {
  mailbox: ['Work', 'Trash', 'INBOX'],
  'mailbox-mask': ['Work', 'INBOX', '*'],
  'mailbox-guid': ['0123456789abcdef0123456789abcdef'],
  guid: ['0123456789abcdef0123456789abcdef'],
  'acl-id': ['owner', 'anyone'],
  'acl-right': ['lookup'],
  'metadata-key': ['/private/comment', '/shared/comment'],
  'mail-flags': ['\\Seen', '\\Deleted', 'work'],
  'sieve-script': ['main'],
  'cache-fields': ['flags'],
  'auth-info': ['service=imap'],
  'net-mask': ['192.0.2.1'],
  ip: ['192.0.2.1'],
  host: ['192.0.2.1'],
  port: ['143'],
  'mail-location': ['mdbox:/srv/x'],
  'remote-destination': ['tcp:192.0.2.1:1'],
  'dict-uri': ['file:/srv/x'],
  'file-path': ['/srv/x'],
  'file-path-write': ['/srv/x'],
  'fs-path': ['x'],
  'stats-filter': ['event=x'],
  'dict-key': ['priv/x'],
};

const keywords: Readonly<Record<string, readonly string[]>> = {
  'mailbox path type': ['dir'],
  'mailbox cache decision decision': ['no'],
  'oldstats dump type': ['global', 'user'],
  'stats dump fields': ['count'],
  'save received-date': ['1d'],
  'stats dump socket-path': ['/run/x'],
};

const fetchFields = ['uid', 'flags', 'guid', 'date.saved', 'size.physical', 'mailbox'];
const contentFields = ['text', 'hdr', 'body', 'hdr.subject', 'text.utf8', 'imap.envelope', 'body.snippet'];

function usualValues({ name, role, type }: Parameter, wish: LineWish): readonly string[] {
  const { command, user, isAboutContent } = wish;
  if (type === 'bool') return ['true'];
  if (userRoles.has(role)) return [user];
  const known = keywords[`${command.name} ${name}`];
  if (role === 'output-fields') {
    if (command.name === 'fetch')
      return isAboutContent ? [...contentFields, ...fetchFields] : [...fetchFields, ...contentFields];
    return command.name === 'mailbox status'
      ? ['messages', ...statusFields, 'all']
      : (known ?? ['home', 'pass']);
  }
  if (type === 'int') return ['1', '0'];
  return known ?? usualWords[role ?? ''] ?? ['x', '1'];
}

/** Queries to try: `expunge` and `move` need a mailbox and another key. */
function queriesOf(wish: LineWish): readonly Choice[] {
  const { rule, others, isAboutContent } = wish;
  const content = ['text', 'subject', 'body', 'from', 'header'].map((key) =>
    keyWords({ key, test: { kind: 'present' } }),
  );
  const ends = isAboutContent ? [...content, ['all'], []] : [['all'], ['seen'], [], ...content];
  const mailboxes = others.flatMap(({ query }) => (isQueryTest(query, 'keys') ? query.conditions : []));
  const starts = [
    ['mailbox', 'Work'],
    ['mailbox', 'INBOX'],
    ['mailbox', 'Trash'],
    ...mailboxes.map(keyWords),
    [],
  ];
  const plain = starts.flatMap((start) => ends.map((end) => [...start, ...end]));
  return builtQueries(rule?.query, plain, ends).filter((words) => words.length > 0);
}

function builtQueries(
  test: QueryTest | undefined,
  plain: readonly string[][],
  ends: readonly string[][],
): readonly (readonly string[])[] {
  switch (test?.kind) {
    case 'equals':
      return [test.words];
    case 'regex': {
      const words = exampleOf(test.regex.source)?.split(' ');
      return [...(words === undefined ? [] : [words]), ...plain];
    }
    case 'keys': {
      const groups = test.anyOf.length === 0 ? [[]] : test.anyOf;
      return groups.flatMap((group) => {
        const keys = [...test.conditions, ...group];
        const variants = variantsOf(keys);
        const hasPlace = keys.some(
          ({ key, test: each }) => key.startsWith('mailbox') && !isKeyTest(each, 'absent'),
        );
        const starts = hasPlace ? [[]] : [['mailbox', 'Work'], []];
        return variants.flatMap((words) =>
          starts.flatMap((start) => ends.map((end) => [...start, ...words, ...end])),
        );
      });
    }
    case 'any':
    case undefined:
      return plain;
    default:
      return test satisfies never;
  }
}

/** One list of words for each alternative of a condition; the other conditions use their first alternative. */
function variantsOf(keys: readonly KeyCondition[]): string[][] {
  const base = keys.flatMap(keyWords);
  const others = keys.flatMap((condition, at) =>
    alternativesOf(condition)
      .slice(1)
      .map((words) => keys.flatMap((each, index) => (index === at ? words : keyWords(each)))),
  );
  return [base, ...others];
}

function alternativesOf(condition: KeyCondition): string[][] {
  return wordsOfKey(condition, (text) => filled(text, ''), narrowing);
}

function keyWords(condition: KeyCondition): string[] {
  return alternativesOf(condition)[0] ?? [];
}

/** A value that narrows a search: the first one of `header` is a name. */
function narrowing(type: SearchKey['values'][number], key: string, at: number): string {
  switch (type) {
    case 'text':
      return key === 'header' && at === 0 ? 'Subject' : key === 'mailbox' ? 'Work' : 'invoice';
    case 'atom':
      return 'work';
    case 'time':
      return '1d';
    case 'interval':
      return '86400';
    case 'size':
      return '1000';
    case 'set':
      return '1:5';
    case 'modseq':
      return '7';
    default:
      return type satisfies never;
  }
}
