// Writes policies as readable YAML: maps and lists in one line, comments above their rule. The text of a value or a comment cannot end a
// line, a quote or a comment, whatever a client put there.

import { printable } from '../../host/words/text.js';
import type { PolicyTest } from '../config/settings.js';

export type Plain = string | number | boolean | readonly Plain[] | { readonly [key: string]: Plain };

export interface WrittenRule {
  readonly comments: readonly string[];
  /** With its key `command`; a rule that has no other is written as the name alone. */
  readonly rule: { readonly [key: string]: Plain };
  /** Written as a comment, so that it is not granted by accident. */
  readonly isCommentedOut: boolean;
}

export interface WrittenPolicy {
  readonly name: string;
  readonly comments: readonly string[];
  /** Keys besides `allow`, in the order in which they are written. */
  readonly traits: { readonly [key: string]: Plain };
  /** Comments below one of those keys. */
  readonly notes?: { readonly [key: string]: readonly string[] };
  readonly allow: readonly WrittenRule[];
  readonly remarks: readonly string[];
}

/** The text below `policies:`, with that line, ending in LF. */
export function formatPolicy(policy: WrittenPolicy): string {
  const active = policy.allow.filter((each) => !each.isCommentedOut);
  return [
    ...policy.comments.map((text) => formatComment(text)),
    'policies:',
    `  ${formatValue(policy.name)}:`,
    ...linesOfTraits(policy),
    active.length === 0 ? '    allow: []' : '    allow:',
    ...policy.allow.flatMap((written) => linesOfRule(written).map((line) => `      ${line}`)),
    ...policy.remarks.map((text) => `    ${formatComment(text)}`),
    '',
  ].join('\n');
}

export function linesOfTraits({ traits, notes = {} }: Pick<WrittenPolicy, 'traits' | 'notes'>): string[] {
  return Object.entries(traits).flatMap(([key, value]) => [
    `    ${key}: ${formatValue(value)}`,
    ...(notes[key] ?? []).map((text) => `    ${formatComment(text)}`),
  ]);
}

export function linesOfRule({ comments, rule, isCommentedOut }: WrittenRule): string[] {
  const { command = '', ...keys } = rule;
  const more = Object.entries(keys);
  const lines =
    more.length === 0
      ? [`- ${formatValue(command)}`]
      : [
          `- command: ${formatValue(command)}`,
          ...more.map(([key, value]) => `  ${key}: ${formatValue(value)}`),
        ];
  return [...comments.map(formatComment), ...lines.map((line) => (isCommentedOut ? `# ${line}` : line))];
}

export function formatComment(text: string): string {
  return `# ${printable(text)}`;
}

/** A case for the list `tests` of a configuration, ending in LF. */
export function formatTest(test: Omit<PolicyTest, 'place'>): string {
  const { listener, as, user, words, granted, expect } = test;
  const { name, account, groups = [] } = as ?? {};
  const who: { readonly [key: string]: Plain } = {
    ...(name === undefined ? {} : { user: name }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(account === undefined ? {} : { account }),
  };
  const rows: readonly (readonly [string, Plain])[] = [
    ['listener', listener],
    ...(as === undefined ? [] : [['as', who] as const]),
    ...(user === '' ? [] : [['user', user] as const]),
    ['command', words],
    ...(granted === true ? [['granted', granted] as const] : []),
    ['expect', expect],
  ];
  const lines = rows.map(([key, value], at) => `  ${at === 0 ? '- ' : '  '}${key}: ${formatValue(value)}`);
  return ['tests:', ...lines, ''].join('\n');
}

/** A value in the flow style of YAML, on one line. */
export function formatValue(value: Plain): string {
  if (typeof value === 'string') return formatText(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (isList(value)) return `[${value.map(formatValue).join(', ')}]`;
  const members = Object.entries(value).map(([key, each]) => `${formatText(key)}: ${formatValue(each)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

function isList(value: readonly Plain[] | { readonly [key: string]: Plain }): value is readonly Plain[] {
  return Array.isArray(value);
}

/** Words that some version of YAML does not read as text. */
const notText = /^(?:true|false|yes|no|on|off|y|n|null|nan|inf)$/i;

/** Plain if it has only one meaning; else in double quotes, without terminal controls. */
function formatText(text: string): string {
  if (/^[A-Za-z](?:[\w ./@+-]*[\w/@+])?$/.test(text) && !notText.test(text)) return text;
  // 30d, 1024B, 60/minute.
  if (/^\d+(?:[a-df-zA-DF-Z][A-Za-z]*|\/[a-z]+)$/.test(text)) return text;
  return JSON.stringify(text).replace(/[^ -~]/gu, (character) =>
    printable(character) === character ? character : escape(character.codePointAt(0) ?? 0),
  );
}

function escape(code: number): string {
  return code > 0xffff
    ? `\\U${code.toString(16).padStart(8, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}
