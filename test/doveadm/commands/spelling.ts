// Arguments for any command of the catalog, made from values that are known beforehand, in random but legal spellings.
import type { Command, Parameter } from '../../../src/doveadm/commands/catalog.js';
import { pick, type Random } from '../../kit/plain/chunkings.js';

const odd = 'x|INBOX||-|--|-u|-rs|--user=bob|user|source-user|a b|=|ü|\t|\n|*|0|-1'.split('|');
/** Parameters of which servers take only some values, and of those only these belong into a random line. */
const special: Readonly<Record<string, readonly string[]>> = {
  'mailbox create guid': ['0123456789abcdef0123456789abcdef'],
  'mailbox update mailbox-guid': ['0123456789abcdef0123456789abcdef'],
  'mailbox path type': ['dir', 'index', 'alt-mailbox'],
  'mailbox cache decision decision': ['yes', 'temp', 'no'],
  'save received-date': ['30d', '2026-01-31'],
  ...Object.fromEntries(
    ['sync', 'backup'].flatMap((name) => [
      [`${name} sync-since-time`, ['30d', '2026-01-31']],
      [`${name} sync-until-time`, ['1w', '1769817600']],
      [`${name} sync-max-size`, ['10M', '0']],
      [`${name} sync-flags`, ['', '-Seen']],
      [`${name} mailbox-guid`, ['0123456789abcdef0123456789abcdef']],
    ]),
  ),
  'stats dump fields': ['count', 'sum %95', ' x'],
  'oldstats dump type': ['global', 'user'],
  'oldstats dump filter': ['', 'user=*', 'ip=192.0.2.0/24', 'since=1\tuser=x'],
  'kick dest-host': ['192.0.2.1', '::1'],
  'proxy kick dest-host': ['192.0.2.1', '::1'],
};
const numberTexts = /^(?:max-recent|min-highest-[a-z-]+|min-next-uid|uid-validity)$/;
const scripts = ['x', '-', '--', 'a b', 'ü', '*', 'user'];
/** Needed whatever else there is, or only beside another. */
const always = new Set([
  'auth cache flush user',
  'auth cache flush user-mask',
  'mailbox cache decision fieldstr',
  'proxy kick user',
]);
const never = new Set(['mailbox update min-first-recent-uid']);

const queries = [
  ['mailbox', 'INBOX', 'all'],
  ['mailbox', 'Trash', 'savedbefore', '30d'],
  ['(', 'mailbox', 'A', 'OR', 'mailbox-guid', 'B', ')', 'NOT', 'seen'],
  ['mailbox', '--', 'subject', '-u'],
];
const metadata: Readonly<Record<string, string>> = {
  mailbox: 'INBOX',
  key: '/private/x',
  'key-prefix': '/shared',
};
const listWords: Readonly<Record<string, readonly string[]>> = {
  fetch: ['uid', 'flags', 'hdr.subject', 'size.physical'],
  'mailbox status': ['messages', 'unseen', 'vsize', 'all'],
  flags: ['\\Seen', '\\Flagged', 'work'],
};

/** Values for a random choice of the command's parameters, by name, as ParsedArguments.values has them. */
export function randomValues(random: Random, command: Command): Map<string, readonly string[]> {
  const values = new Map<string, readonly string[]>();
  const names = new Set(command.params.map((parameter) => parameter.name));
  for (const parameter of command.params) {
    const { name } = parameter;
    if (name === 'source-type' || (parameter.isPositional && /^(?:field|flag)str$/.test(name))) continue;
    const isList = names.has(`${name}str`);
    // An optional positional only when the one before it is there; one that is missing ends them.
    const place = `${command.name} ${name}`;
    const isWanted = isList || always.has(place) || !parameter.isOptional || random() < 0.4;
    if (
      !isWanted ||
      never.has(place) ||
      name === 'tag' ||
      name === 'userdb-only' ||
      name === 'ask-old-password'
    )
      continue;
    if (isList) values.set(name, several(random, listWords[command.name] ?? listWords['flags'] ?? []));
    else if (parameter.role === 'search-query') values.set(name, pick(random, queries));
    else if (parameter.role === 'cache-fields')
      values.set(name, several(random, ['flags', 'hdr.subject', 'hdr.from']));
    else if (parameter.type === 'bool') values.set(name, ['true']);
    else if (parameter.type === 'int')
      values.set(name, [
        pick(random, [
          '0',
          '7',
          '4294967295',
          ...(parameter.isUnsigned || /^(?:trans-flags|timeout|lock-timeout)$/.test(name) ? [] : ['-8']),
        ]),
      ]);
    else if (numberTexts.test(name)) values.set(name, [pick(random, ['0', '7', '4294967295'])]);
    else if (special[place] !== undefined) values.set(name, [pick(random, special[place])]);
    else if (parameter.role === 'auth-info')
      values.set(name, several(random, ['service=', 'rip=192.0.2.1', 'lport=1']));
    else if (parameter.role === 'sieve-script') {
      values.set(name, parameter.type === 'array' ? several(random, scripts) : [pick(random, scripts)]);
    } else if (parameter.role === 'content-file')
      values.set(name, [pick(random, ['x', '--', '/etc/passwd'])]);
    else if (/^(?:proxy )?kick$/.test(command.name) && (name === 'mask' || name === 'user'))
      values.set(name, [pick(random, odd)]);
    else if (parameter.role === 'acl-right') values.set(name, several(random, ['read', '-admin', 'all']));
    else if (command.name === 'mailbox path' && name === 'mailbox') values.set(name, [pick(random, odd)]);
    else if (parameter.type === 'array') values.set(name, several(random, odd));
    else if (command.name.startsWith('mailbox metadata'))
      values.set(name, [metadata[name] ?? pick(random, odd)]);
    else if (parameter.role === 'acl-id')
      values.set(name, [pick(random, ['user=bob', 'anyone', 'group=x y'])]);
    else values.set(name, [pick(random, odd)]);
  }
  if (command.scope === 'server') withoutControls(values, command);
  return values;
}

/** What server commands are refused for; see refuseFatal. */
function withoutControls(values: Map<string, readonly string[]>, { params }: Command): void {
  for (const { name, role } of params) {
    const given = values.get(name);
    if (given === undefined || /^(?:args|stats-filter|sub-commands|text|value)$/.test(role ?? '')) continue;
    values.set(
      name,
      given.map((value) => value.replaceAll(/[\t\n]/g, '')),
    );
  }
}

/** Spells the values out: any order of options, clusters, attached values, long and short, with or without `--`. */
export function spell(
  random: Random,
  command: Command,
  values: ReadonlyMap<string, readonly string[]>,
): string[] {
  const before: string[][] = [];
  const operands: string[] = [];
  let flags = '';
  const names = new Set(command.params.map((parameter) => parameter.name));
  for (const parameter of command.params) {
    const isText =
      parameter.name.endsWith('str') && parameter.isPositional && names.has(parameter.name.slice(0, -3));
    const given = values.get(isText ? parameter.name.slice(0, -3) : parameter.name);
    if (given === undefined || names.has(`${parameter.name}str`)) continue;
    // Two blanks are none to the fields, but a nameless flag to 2.3.
    if (isText) operands.push(given.join(parameter.name === 'flagstr' ? ' ' : pick(random, [' ', '  '])));
    else if (parameter.isPositional) {
      if (parameter.role === 'source-user') operands.push('user');
      operands.push(...given);
    } else if (parameter.type === 'bool' && parameter.short !== undefined && random() < 0.5)
      flags += parameter.short;
    else
      scatter(
        random,
        before,
        // One text holds them all.
        (parameter.role === 'cache-fields' ? [given.join(pick(random, [' ', ',', ', ']))] : given).map(
          (value) => asOption(random, parameter, value),
        ),
      );
  }
  if (flags !== '') {
    const first = before.find((words) => words.length === 2 && /^-[A-Za-z0-9]$/.test(words[0] ?? ''));
    if (first !== undefined && random() < 0.5) first[0] = `-${flags}${(first[0] ?? '').slice(1)}`;
    else before.push([`-${flags}`]);
  }
  const needsEnd = operands.some((word) => word.length > 1 && word.startsWith('-'));
  if (needsEnd || !command.permutes || random() < 0.5) return [...before.flat(), '--', ...operands];
  // Options between positionals: what permutes takes them anywhere.
  const mixed: string[][] = operands.map((word) => [word]);
  scatter(random, mixed, before);
  return mixed.flat();
}

function asOption(random: Random, parameter: Parameter, value: string): string[] {
  const { name, short, type } = parameter;
  if (type === 'bool') return short === undefined || random() < 0.5 ? [`--${name}`] : [`-${short}`];
  if (short === undefined || random() < 0.4)
    return random() < 0.5 ? [`--${name}=${value}`] : [`--${name}`, value];
  return value !== '' && random() < 0.5 ? [`-${short}${value}`] : [`-${short}`, value];
}

function several(random: Random, words: readonly string[]): string[] {
  return Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(random, words));
}

/** Puts the items anywhere between what is there, in their own order. */
function scatter(random: Random, list: string[][], items: string[][]): void {
  let from = 0;
  for (const item of items) {
    const at = from + Math.floor(random() * (list.length - from + 1));
    list.splice(at, 0, item);
    from = at + 1;
  }
}
