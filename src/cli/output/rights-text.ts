// Rights as `can` prints them, for people and for scripts. It does not know where they come from; where rules were written is shown
// only if whoever asks has read it from the files himself.

import type { Right, Rights } from '../../domain/policy/rights.js';
import { formatColumns, plain } from './output.js';

/** Where things were written, safe to show; lists go with those of the rights. */
export interface RightsPlaces {
  /** The socket, and whom it lets in. */
  readonly listener: string;
  readonly policy: string;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** Several lines, without the last LF. */
export function formatRights(rights: Rights, places?: RightsPlaces): string {
  const { principal, isObserving, users, except, limits } = rights;
  const mode = isObserving ? ', observes only: other ordinary commands are allowed too, and recorded' : '';
  const head = [
    ['listener', `${plain(rights.listener)}${places === undefined ? '' : ` ${places.listener}`}`],
    ...(principal === undefined ? [] : [['asked by', plain(principal)]]),
    ['policy', `${plain(rights.policy)}${places === undefined ? '' : ` (${places.policy})`}${mode}`],
    ['for users', plain(users.join(' ')) || 'nobody'],
    ...(except.length === 0 ? [] : [['except', plain(except.join(' '))]]),
    ...(limits.length === 0 ? [] : [['at most', plain(limits.join(', '))]]),
    ['log lines', logsOf(rights)],
  ];
  return [
    formatColumns(head),
    '',
    rights.allow.length === 0 ? 'may run nothing.' : 'may run:',
    ...rulesOf(rights.allow, places?.allow),
    ...(rights.deny.length === 0 ? [] : ['', 'and never:', ...rulesOf(rights.deny, places?.deny)]),
    '',
    'What is not listed is denied. So is an argument that names a file, a socket, another user, a program or a',
    'remote place, or that destroys more than its command does, unless a rule above names that parameter.',
  ].join('\n');
}

const logsShown: Readonly<Record<string, string>> = {
  none: 'no log lines of the backend',
  filtered: 'why a command failed, in words of dovegate',
  full: 'log lines of the backend as they are',
};

function logsOf({ logs, debug }: Rights): string {
  return `${logsShown[logs] ?? plain(logs)}${debug ? ', and debug lines for who asks' : ''}`;
}

/** The rules of each command below one another, the commands in the order of the file. */
function rulesOf(rules: readonly Right[], places: readonly string[] | undefined): string[] {
  const names = [...new Set(rules.map((rule) => rule.command))];
  const heads = rules.map((rule, at) => [plain(rule.command), plain(rule.effect), places?.[at] ?? '']);
  const lines = formatColumns(heads, '  ').split('\n');
  const shown = rules.map(({ says }, at) => [lines[at] ?? '', ...says.map((text) => `      ${plain(text)}`)]);
  return names.flatMap((name) => shown.filter((_, at) => rules[at]?.command === name).flat());
}
