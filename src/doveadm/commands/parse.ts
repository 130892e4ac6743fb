// Parses the arguments of a command exactly as doveadm-server of a series does: options, positionals in table order, key and value, and the
// older series' treatment of the flat list; assigns every value to its parameter. Refuses arguments that the server would refuse, that
// would end its process, and that are ambiguous.
//
// The rule that a reader must not break: no value may be accepted here that the server could assign to another parameter.

import { bounds } from '../../host/bounds/bounds.js';
import { foldAscii } from '../../host/words/text.js';
import type { NamedParameter } from '../protocol/command.js';
import {
  type Command,
  listOfText,
  type Parameter,
  parameterNamed,
  type Role,
  type Series,
} from './catalog.js';
import { type Given, readArguments, type Unparsable, unparsable } from './getopt.js';
import { readNamed } from './named.js';
import {
  conditionsIn,
  conditionsOfAll,
  mailboxesMax,
  mayExpunge,
  parseSearchQuery,
  type SearchNode,
} from './search-query.js';
import { foldFlag, type Reading, refuseFatal, refuseUnknownWords } from './values.js';

export interface ParsedArguments {
  readonly kind: 'parsed';
  readonly command: Command;
  readonly series: Series;
  /**
   * By the parameter's long name, in table order; only given ones. A bool is `['true']`; a number is decimal without leading zeros. `field`
   * and `flag` have one word an entry in any spelling, an empty one none (`fieldstr` and `flagstr` never occur, except the
   * `fieldstr` of `mailbox cache decision`, with one word an entry too); `copy` and `move` have `source-user` and never `source-type`.
   */
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly query: SearchNode | undefined;
}

/** Bytes of a mailbox name, or of a pattern for them. Dovecot accepts longer names (4096); a pattern is compared with those of rules. */
const mailboxBytesMax = bounds.mailboxNameBytes;
const userBytesMax = bounds.userArgumentBytes;
export const listWordsMax = bounds.listWords;

/** The longest value of such a role, in bytes; for an ACL subject including the word before the name. */
const bytesMaxOf: ReadonlyMap<Role | undefined, number> = new Map<Role | undefined, number>([
  ['mailbox', mailboxBytesMax],
  ['mailbox-mask', mailboxBytesMax],
  ['namespace', mailboxBytesMax],
  ['user', userBytesMax],
  ['source-user', userBytesMax],
  ['user-mask', userBytesMax],
  ['user-mask-or-ip', userBytesMax],
  ['acl-id', userBytesMax + 'group-override='.length],
]);

interface Draft extends ParsedArguments, Reading {
  readonly values: Map<string, readonly string[]>;
  query: SearchNode | undefined;
}

/** Each step may change values of the line, or refuse it. */
const steps: readonly ((line: Draft) => Unparsable | undefined)[] = [
  refuseLong,
  joinTwins,
  splitCacheFields,
  readSourceUser,
  demandPositionals,
  foldNames,
  refuseUnknownWords,
  refuseFatal,
  readQuery,
];

/** `isTyped`: as in {@link readArguments}. */
export function parseArguments(
  series: Series,
  command: Command,
  args: readonly string[],
  isTyped = false,
): ParsedArguments | Unparsable {
  return settle(series, command, readArguments(command, args, isTyped));
}

/** Parses named parameters for a server of that series, with the same result as `parseArguments` for equivalent words. */
export function parseNamed(
  series: Series,
  command: Command,
  parameters: readonly NamedParameter[],
): ParsedArguments | Unparsable {
  return settle(series, command, readNamed(series, command, parameters));
}

function settle(series: Series, command: Command, given: Given | Unparsable): ParsedArguments | Unparsable {
  if (!(given instanceof Map)) return given;
  const values = new Map<string, readonly string[]>();
  for (const parameter of command.params) {
    const list = given.get(parameter);
    if (list !== undefined) values.set(parameter.name, list);
  }
  const line: Draft = { kind: 'parsed', command, series, values, query: undefined };
  for (const step of steps) {
    const refusal = step(line);
    if (refusal !== undefined) return refusal;
  }
  return line;
}

/**
 * The input after the command line. `dot`: the server reads a dot-stream before it answers. `duplex`: it answers and then both sides stream
 * until the connection ends. `unclear`: a command with input that does not parse, or names a file: the server reads no input, but a client
 * may send it all the same, and the server would run it as command lines.
 */
export type ExpectedInput = 'none' | 'dot' | 'duplex' | 'unclear';

export function inputOf(command: Command, read: ParsedArguments | Unparsable): ExpectedInput {
  if (command.input !== 'dot') return command.input;
  return read.kind === 'parsed' && !read.values.has('file') ? 'dot' : 'unclear';
}

/** The same arguments without some parameters (for example a `-u` that repeats the wire user). */
export function withoutParameters(parsed: ParsedArguments, names: readonly string[]): ParsedArguments {
  if (!names.some((name) => parsed.values.has(name))) return parsed;
  const { kind, command, series } = parsed;
  const values = new Map([...parsed.values].filter(([name]) => !names.includes(name)));
  return { kind, command, series, values, query: values.has('query') ? parsed.query : undefined };
}

/** Names and patterns beyond any real length: comparing them costs their length times the number of patterns. */
function refuseLong({ command, values }: Draft): Unparsable | undefined {
  const tooMany = (what: string): Unparsable =>
    unparsable('too-many', `"${command.name}" ${what}; use several commands`);
  for (const parameter of command.params) {
    const { name } = parameter;
    const list = values.get(name);
    if (list === undefined) continue;
    const { valuesMax, bytesMax } = limitsOf(parameter);
    if (list.length > valuesMax)
      return tooMany(
        valuesMax === mailboxesMax
          ? `names more than ${valuesMax} mailboxes`
          : `is given more than ${valuesMax} of ${name}`,
      );
    if (list.some((value) => isLonger(value, bytesMax))) return tooLong(name, bytesMax);
  }
  return undefined;
}

/** How many values a parameter takes, and of how many bytes each. The keys of a query have limits of their own. */
export function limitsOf({ role }: Parameter): { readonly valuesMax: number; readonly bytesMax: number } {
  const valuesMax =
    role === 'search-query'
      ? Infinity
      : role === 'mailbox' || role === 'mailbox-mask'
        ? mailboxesMax
        : bounds.parameterValues;
  return { valuesMax, bytesMax: bytesMaxOf.get(role) ?? Infinity };
}

function isLonger(text: string, bytesMax: number): boolean {
  return Buffer.byteLength(text) > bytesMax;
}

function tooLong(what: string, bytesMax: number): Unparsable {
  return unparsable('too-long', `${what} has more than ${bytesMax} bytes; nothing so long is taken`);
}

/** `field` and `fieldstr`, `flag` and `flagstr` are equivalent; 2.3 puts both on its flat list, 2.4 drops the positional. */
function joinTwins({ series, command, values }: Draft): Unparsable | undefined {
  for (const parameter of command.params) {
    const name = listOfText(command, parameter)?.name;
    if (name === undefined) continue;
    const list = values.get(name);
    const text = values.get(parameter.name)?.[0];
    if (list !== undefined && text !== undefined) {
      return unparsable(
        'ambiguous-argument',
        `"${command.name}" is given both --${name} and the positional for it; write them all as one positional, joined by blanks`,
      );
    }
    if (list?.some((word) => word === '' || word.includes(' ')) === true)
      return unparsable('ambiguous-argument', `--${name} takes one word at a time, without a blank`);
    const words = list ?? text?.split(' ').filter(Boolean);
    if (words === undefined) continue;
    if (words.length > listWordsMax) {
      return unparsable(
        'too-many',
        `"${command.name}" is given more than ${listWordsMax} ${name}s; use several commands`,
      );
    }
    // 2.3 reads a double blank as an empty flag, and fails; an empty text is an empty list (measured on 2.3.19.1).
    if (series === '2.3' && name === 'flag' && text !== '' && text?.split(' ').includes('') === true)
      return unparsable('fields-invalid', `the flags of "${command.name}" are separated by one blank each`);
    // Measured on 2.3.19.1 and 2.4.5: it ends the process of `mailbox status`, and `fetch` finds nothing to print.
    if (words.length === 0 && command.name === 'mailbox status')
      return unparsable('argument-missing', `"${command.name}" is given an empty list of ${name}s`);
    values.delete(parameter.name);
    // Servers accept the fields of `fetch` in any case.
    values.set(name, command.name === 'fetch' ? words.map(foldAscii) : words);
  }
  return undefined;
}

/** `mailbox cache decision` takes its fields as one text; both series split it at blanks and commas. */
function splitCacheFields({ command, values }: Draft): Unparsable | undefined {
  for (const { name, role } of command.params) {
    const text = role === 'cache-fields' ? values.get(name)?.[0] : undefined;
    const words = text?.split(/[ ,]/).filter(Boolean) ?? [];
    if (words.length > listWordsMax) {
      const most = `is given more than ${listWordsMax} fields`;
      return unparsable('too-many', `"${command.name}" ${most}; use several commands`);
    }
    if (words.length > 0) values.set(name, words);
  }
  return undefined;
}

/**
 * `copy` and `move`. 2.3 parses the flat list of its positionals again: only if the word after the destination is `user`, in any case, is
 * the next one the source user. For 2.4 the key of the parameter has settled that. 2.4 clients write `source-user`.
 */
function readSourceUser({ series, command, values }: Draft): Unparsable | undefined {
  if (parameterNamed(command, 'source-user')?.isPositional !== true) return undefined;
  if (series === '2.3') {
    const flat = ['source-type', 'source-user', 'query'].flatMap((name) => values.get(name) ?? []);
    for (const name of ['source-type', 'source-user', 'query']) values.delete(name);
    const [key, user] = flat;
    const isNamed = user !== undefined && (foldAscii(key ?? '') === 'user' || key === 'source-user');
    if (isNamed) values.set('source-user', [user]);
    const query = isNamed ? flat.slice(2) : flat;
    if (query.length > 0) values.set('query', query);
  }
  // Not a search key, and in canonical form it would be taken for the key of the source user.
  const first = foldAscii(values.get('query')?.[0] ?? '');
  if (first !== 'user' && first !== 'source-user') return undefined;
  return unparsable('query-invalid', `the query of "${command.name}" begins with the word for a source user`);
}

/** Required parameters are given, and no positional is empty while a later one is set: that has no canonical form. */
function demandPositionals({ command, values }: Draft): Unparsable | undefined {
  let gap: Parameter | undefined;
  for (const parameter of command.params) {
    const { name, isPositional, isOptional } = parameter;
    if (!isPositional || name === 'source-type' || name === 'source-user') continue;
    const isThere = values.has(name) || values.has(listOfText(command, parameter)?.name ?? '');
    if (!isThere && !isOptional) return unparsable('argument-missing', `"${command.name}" needs ${name}`);
    if (isThere && gap !== undefined)
      return unparsable('ambiguous-argument', `"${command.name}" is given ${name} without ${gap.name}`);
    if (!isThere) gap = parameter;
  }
  return undefined;
}

/** Values that servers fold get one spelling, so that no other one bypasses a rule: INBOX, keys of metadata, system flags. */
function foldNames({ series, command, values }: Draft): Unparsable | undefined {
  for (const { name, role } of command.params) {
    const list = values.get(name);
    if (list === undefined) continue;
    if (role === 'mailbox' || role === 'mailbox-mask') {
      const folded = list.map(foldMailbox);
      if (!list.every((mailbox) => isComposed(series, mailbox))) return notComposed(name);
      // Together with another mask the server takes this one literally, and finds nothing (both series, measured).
      if (role === 'mailbox-mask' && list.length > 1 && folded.some((mask, at) => mask !== list[at]))
        return unparsable('ambiguous-argument', `INBOX is written in capitals among several ${name}s`);
      values.set(name, folded);
    } else if (role === 'metadata-key') {
      values.set(name, list.map(foldAscii));
    } else if (name === 'flag') {
      values.set(name, list.map(foldFlag));
    }
  }
  return undefined;
}

/**
 * INBOX in capitals: a server that opens it by name accepts it in any case. Names below it stay unchanged. Their case matters in a query,
 * and elsewhere unless the namespace's separator follows: mdbox with `/` can have both `inbox.x` and `INBOX.x`.
 */
function foldMailbox(name: string): string {
  return /^inbox$/i.test(name) ? 'INBOX' : name;
}

/**
 * Whether the server opens the mailboxes of a query by name. It lists mailboxes instead, and compares `inbox` with INBOX literally, if a
 * mailbox is a mask or under NOT or OR (both series, measured).
 */
function opensByName(query: SearchNode): boolean {
  const inAll = new Set(conditionsOfAll(query));
  return conditionsIn(query).every(
    (condition) =>
      condition.key.name !== 'mailbox' || (inAll.has(condition) && !/[*%]/.test(condition.values[0] ?? '')),
  );
}

/** 2.4 composes names (NFC) before a look-up, and would change some: a Kelvin sign to a K, for example. */
function isComposed(series: Series, name: string): boolean {
  return series !== '2.4' || name === name.normalize('NFC');
}

function notComposed(where: string): Unparsable {
  return unparsable(
    'text-invalid',
    `a mailbox name in ${where} is not in Unicode normal form C, which servers turn it into`,
  );
}

/** The tree of a query, and its words, with INBOX in capitals where that selects the same mails. */
function readQuery(line: Draft): Unparsable | undefined {
  const { series, command, values } = line;
  const parameter = command.params.find((one) => one.role === 'search-query');
  const given = values.get(parameter?.name ?? '');
  if (parameter === undefined || given === undefined) return undefined;
  const read = parseSearchQuery(series, given);
  if (read.kind === 'unparsable') return read;
  const words = [...given];
  const isFolded = opensByName(read);
  for (const {
    key,
    values: [name = ''],
    at,
  } of conditionsIn(read)) {
    if (key.name !== 'mailbox') continue;
    if (isLonger(name, mailboxBytesMax)) return tooLong('a mailbox of the query', mailboxBytesMax);
    if (!isComposed(series, name)) return notComposed('the query');
    if (isFolded) words[at + 1] = foldMailbox(name);
  }
  const query = parseSearchQuery(series, words);
  if (query.kind === 'unparsable') return query;
  // Servers end the process for a query of these that could empty an account by accident.
  if ((command.name === 'expunge' || command.name === 'move') && !mayExpunge(query)) {
    return unparsable(
      'query-invalid',
      `the query of "${command.name}" must name a mailbox, and something besides ("all"), in every branch`,
    );
  }
  values.set(parameter.name, words);
  line.query = query;
  return undefined;
}
