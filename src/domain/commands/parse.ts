// Reads the arguments of a command exactly as doveadm-server of a series does: options, positionals in table order, key and
// value, and what its older series makes of the flat list; gives every value its parameter. Refuses what the server would
// refuse, what would kill its process, and whatever two readers could read differently.
//
// The rule that a reader must not break: nothing may be accepted here that the server could give to another parameter.

import { bounds } from '../../bounds/bounds.js';
import type { NamedParameter } from '../../protocol/command.js';
import { foldAscii } from '../identity/user-name.js';
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

export { boolGiven, type Unparsable, type UnparsableCode, unparsable } from './getopt.js';
export {
  errorTypeOf,
  hasFile,
  jsonName,
  keyOfNamed,
  type NamedReading,
  readNamedCommand,
  type Span,
  userMaskOf,
} from './named.js';

/** What the server will do with the arguments. */
export interface ParsedArguments {
  readonly kind: 'parsed';
  readonly command: Command;
  readonly series: Series;
  /**
   * By the parameter's long name, in table order; only those that are given. A bool is `['true']`; a number is decimal
   * without leading zeros. `field` and `flag` hold one word an entry however they were spelled (`fieldstr` and `flagstr` never
   * occur, but for the `fieldstr` of `mailbox cache decision`, with one word an entry too); `copy` and `move` have `source-user` and never `source-type`.
   */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** What the parameter of role search-query says, if the command has one and it is given. */
  readonly query: SearchNode | undefined;
}

/** Bytes of a mailbox name, or of a pattern for them. Dovecot takes longer names (4096); a pattern is compared with those of rules. */
const mailboxBytesMax = bounds.mailboxNameBytes;
/** Bytes of a user's name, or of a mask for them. */
const userBytesMax = bounds.userArgumentBytes;
/** Words of one list of fields or flags. */
const listWordsMax = bounds.listWords;
/** Values of any other parameter that takes several. */
const valuesMax = bounds.parameterValues;

/** The longest that a value of such a role may be, in bytes; of an ACL subject with the word in front of the name. */
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

/** A line while it is read. Becomes its ParsedArguments. */
interface Draft extends ParsedArguments, Reading {
  readonly values: Map<string, readonly string[]>;
  query: SearchNode | undefined;
}

/** Each may change values of the line, or refuses it. */
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

/** Reads `args`, the words that follow the command's name, for a server of that series. */
export function parseArguments(
  series: Series,
  command: Command,
  args: readonly string[],
): ParsedArguments | Unparsable {
  return settle(series, command, readArguments(command, args));
}

/** Reads parameters by name, for a server of that series: as `parseArguments` reads the words that say the same. */
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
 * What follows the command line. `dot`: the server reads a dot-stream before it answers. `duplex`: it answers and then
 * speaks both ways until the connection ends. `unclear`: a command with input that does not parse, or names a file: the server
 * reads none, but a client may send it all the same, and the server would run it as command lines.
 */
export type ExpectedInput = 'none' | 'dot' | 'duplex' | 'unclear';

export function inputOf(command: Command, read: ParsedArguments | Unparsable): ExpectedInput {
  if (command.input !== 'dot') return command.input;
  return read.kind === 'parsed' && !read.values.has('file') ? 'dot' : 'unclear';
}

/** The same arguments without some parameters (a `-u` that only repeats the wire user, say). */
export function withoutParameters(parsed: ParsedArguments, names: readonly string[]): ParsedArguments {
  if (!names.some((name) => parsed.values.has(name))) return parsed;
  const { kind, command, series } = parsed;
  const values = new Map([...parsed.values].filter(([name]) => !names.includes(name)));
  return { kind, command, series, values, query: values.has('query') ? parsed.query : undefined };
}

/** Names and patterns that nobody needs so long: comparing them costs their length times the number of patterns. */
function refuseLong({ command, values }: Draft): Unparsable | undefined {
  const tooMany = (what: string): Unparsable =>
    unparsable('too-many', `"${command.name}" ${what}; use several commands`);
  for (const { name, role } of command.params) {
    const list = values.get(name);
    if (list === undefined) continue;
    if (role !== 'search-query' && list.length > valuesMax)
      return tooMany(`is given more than ${valuesMax} of ${name}`);
    if ((role === 'mailbox' || role === 'mailbox-mask') && list.length > mailboxesMax)
      return tooMany(`names more than ${mailboxesMax} mailboxes`);
    const bytesMax = bytesMaxOf.get(role) ?? Infinity;
    if (list.some((value) => isLonger(value, bytesMax))) return tooLong(name, bytesMax);
  }
  return undefined;
}

/** Whether a text has more bytes; one of so many characters has, whatever they are. */
function isLonger(text: string, bytesMax: number): boolean {
  return text.length > bytesMax || (text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax);
}

function tooLong(what: string, bytesMax: number): Unparsable {
  return unparsable('too-long', `${what} has more than ${bytesMax} bytes; nothing so long is taken`);
}

/** `field` and `fieldstr`, `flag` and `flagstr` say the same; 2.3 puts both on its flat list, 2.4 drops the positional. */
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
    // 2.3 takes nothing between two blanks for a flag, and fails (measured on 2.3.19.1).
    if (series === '2.3' && name === 'flag' && text?.split(' ').includes('') === true)
      return unparsable('fields-invalid', `the flags of "${command.name}" are separated by one blank each`);
    if (words.length === 0)
      return unparsable('argument-missing', `"${command.name}" is given an empty list of ${name}s`);
    values.delete(parameter.name);
    // Servers take the fields of `fetch` in any case.
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
 * `copy` and `move`. 2.3 reads the flat list of its positionals again: only if the word after the destination is `user`, in
 * any case, is the next one the source user. 2.4 has done it by key. `source-user` is how 2.4 clients write it.
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
  // Not a search key, and written out again it would be taken for the key of the source user.
  const first = foldAscii(values.get('query')?.[0] ?? '');
  if (first !== 'user' && first !== 'source-user') return undefined;
  return unparsable('query-invalid', `the query of "${command.name}" begins with the word for a source user`);
}

/** What must be there is there, and no positional is empty while a later one is set: it could not be written out again. */
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

/**
 * Values that the server folds are written in one spelling, so that a rule on their text cannot be passed by another: INBOX,
 * keys of metadata, system flags.
 */
function foldNames({ series, command, values }: Draft): Unparsable | undefined {
  for (const { name, role } of command.params) {
    const list = values.get(name);
    if (list === undefined) continue;
    if (role === 'mailbox' || role === 'mailbox-mask') {
      const folded = list.map(foldMailbox);
      if (!list.every((mailbox) => isComposed(series, mailbox))) return notComposed(name);
      // Beside another mask the server takes this one as it stands, and finds nothing (both series, measured).
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
 * The INBOX in capitals: a server that opens it by name takes it in any case. Names below it stay as they are. Their case counts in a
 * query, and elsewhere unless the namespace's separator follows: mdbox with `/` can hold both `inbox.x` and `INBOX.x`.
 */
function foldMailbox(name: string): string {
  return /^inbox$/i.test(name) ? 'INBOX' : name;
}

/**
 * Whether the server opens the mailboxes of a query by their names. It lists mailboxes instead, and compares `inbox` with INBOX letter by
 * letter, where a mailbox is a mask or stands under NOT or OR (both series, measured).
 */
function opensByName(query: SearchNode): boolean {
  const inAll = new Set(conditionsOfAll(query));
  return conditionsIn(query).every(
    (condition) =>
      condition.key.name !== 'mailbox' || (inAll.has(condition) && !/[*%]/.test(condition.values[0] ?? '')),
  );
}

/** 2.4 composes names (NFC) before it looks for them, and would change some: a Kelvin sign to a K, say. */
function isComposed(series: Series, name: string): boolean {
  return series !== '2.4' || name === name.normalize('NFC');
}

function notComposed(where: string): Unparsable {
  return unparsable(
    'text-invalid',
    `a mailbox name in ${where} is not in Unicode normal form C, which servers turn it into`,
  );
}

/** The tree of a query, and its words with the INBOX in capitals where that selects the same mails. */
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
  // Their servers end the process for a query that could empty an account by accident.
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
