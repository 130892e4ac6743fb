// Reads the arguments of a command exactly as doveadm-server of a series does: options, positionals in table order, key and
// value, and what its older series makes of the flat list; gives every value its parameter. Refuses what the server would
// refuse, what would kill its process, and whatever two readers could read differently. Knows no policy.
//
// The rule that a reader must not break: nothing may be accepted here that the server could give to another parameter.

import { foldAscii } from '../identity/user-name.js';
import {
  type Command,
  listOfText,
  type Parameter,
  parameterNamed,
  type Role,
  type Series,
} from './catalog.js';
import { readArguments, type Unparsable, unparsable } from './getopt.js';
import { conditionsIn, mailboxesMax, mayExpunge, parseSearchQuery, type SearchNode } from './search-query.js';
import { checkListWords, foldFlag, refuseFatal } from './values.js';

export { boolGiven, type Unparsable, type UnparsableCode, unparsable } from './getopt.js';

/** What the server will do with the arguments. */
export interface ParsedArguments {
  readonly kind: 'parsed';
  readonly command: Command;
  readonly series: Series;
  /**
   * By the parameter's long name, in table order; only those that are given. A bool is `['true']`; a number is decimal
   * without leading zeros. `field` and `flag` hold one word an entry however they were spelled (`fieldstr` and `flagstr` never
   * occur); `copy` and `move` have `source-user` and never `source-type`.
   */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** What the parameter of role search-query says, if the command has one and it is given. */
  readonly query: SearchNode | undefined;
  /** Whether the parameter of that long name is given. */
  hasOption(name: string): boolean;
}

/** Bytes of a mailbox name, or of a pattern for them. Dovecot takes longer names (4096); a pattern is compared with those of rules. */
export const mailboxBytesMax = 1024;
/** Bytes of a user's name, or of a mask for them. */
const userBytesMax = 320;
/** Words of one list of fields or flags. */
const listWordsMax = 256;
/** Values of any other parameter that takes several. */
const valuesMax = 1000;

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

const lowerCaseFields: ReadonlySet<string> = new Set(['fetch']);
/** Their servers end the process for a query that could empty an account by accident. */
const expunging: ReadonlySet<string> = new Set(['expunge', 'move']);

/** Reads `args`, the words behind the command's name, for a server of that series. */
export function parseArguments(
  series: Series,
  command: Command,
  args: readonly string[],
): ParsedArguments | Unparsable {
  const given = readArguments(series, command, args);
  if (!(given instanceof Map)) return given;
  const values = normalise(series, command, given);
  if (!(values instanceof Map)) return values;
  const parameter = command.params.find((one) => one.role === 'search-query');
  const words = parameter === undefined ? undefined : values.get(parameter.name);
  if (parameter === undefined || words === undefined)
    return parsedArguments(series, command, values, undefined);
  const query = readQuery(series, command, words);
  if (query.kind === 'unparsable') return query;
  values.set(parameter.name, query.words);
  return parsedArguments(series, command, values, query.root);
}

type Query = { kind: 'query'; words: readonly string[]; root: SearchNode };

/** The tree of a query, and its words with the names of mailboxes in their one spelling. */
function readQuery(series: Series, command: Command, given: readonly string[]): Query | Unparsable {
  const read = parseSearchQuery(series, given);
  if (read.kind === 'unparsable') return read;
  const words = [...given];
  for (const { key, values, at } of conditionsIn(read)) {
    if (key.name !== 'mailbox') continue;
    if (isLonger(values[0] ?? '', mailboxBytesMax)) return tooLong('a mailbox of the query', mailboxBytesMax);
    const name = foldMailbox(series, values[0] ?? '');
    if (name === undefined) return notComposed('the query');
    words[at + 1] = name;
  }
  const root = parseSearchQuery(series, words);
  if (root.kind === 'unparsable') return root;
  if (expunging.has(command.name) && !mayExpunge(root)) {
    return unparsable(
      'query-invalid',
      `the query of "${command.name}" must name a mailbox, and something besides ("all"), in every branch`,
    );
  }
  return { kind: 'query', words, root };
}

/** Whether the command line is followed by input: see inputOf. */
export type ExpectedInput = 'none' | 'dot' | 'duplex' | 'unclear';

/**
 * What stands behind the command line. `dot`: the server reads a dot-stream before it answers. `duplex`: it answers and then
 * speaks both ways until the connection ends. `unclear`: a command with input that does not parse, or names a file: the server
 * reads none, but a client may send it all the same, and the server would run it as command lines.
 */
export function inputOf(command: Command, read: ParsedArguments | Unparsable): ExpectedInput {
  if (command.input !== 'dot') return command.input;
  return read.kind === 'parsed' && !read.hasOption('file') ? 'dot' : 'unclear';
}

/** The same arguments without some parameters (a `-u` that only repeats the wire user, say). */
export function withoutParameters(parsed: ParsedArguments, names: readonly string[]): ParsedArguments {
  if (!names.some((name) => parsed.values.has(name))) return parsed;
  const values = new Map([...parsed.values].filter(([name]) => !names.includes(name)));
  return parsedArguments(
    parsed.series,
    parsed.command,
    values,
    values.has('query') ? parsed.query : undefined,
  );
}

function parsedArguments(
  series: Series,
  command: Command,
  values: ReadonlyMap<string, readonly string[]>,
  query: SearchNode | undefined,
): ParsedArguments {
  return { kind: 'parsed', command, series, values, query, hasOption: (name) => values.has(name) };
}

function normalise(
  series: Series,
  command: Command,
  given: ReadonlyMap<Parameter, readonly string[]>,
): Map<string, readonly string[]> | Unparsable {
  const values = new Map<string, readonly string[]>();
  for (const parameter of command.params) {
    const list = given.get(parameter);
    if (list !== undefined) values.set(parameter.name, list);
  }
  for (const step of [
    refuseLong,
    joinTwins,
    readSourceUser,
    demandPositionals,
    foldNames,
    checkListWords,
    refuseFatal,
  ]) {
    const refusal = step(series, command, values);
    if (refusal !== undefined) return refusal;
  }
  return values;
}

/** Names and patterns that nobody needs so long: comparing them costs their length times the number of patterns. */
function refuseLong(
  _series: Series,
  command: Command,
  values: ReadonlyMap<string, readonly string[]>,
): Unparsable | undefined {
  for (const { name, role } of command.params) {
    if (role !== 'search-query' && (values.get(name)?.length ?? 0) > valuesMax) {
      return unparsable(
        'too-many',
        `"${command.name}" is given more than ${valuesMax} of ${name}; use several commands`,
      );
    }
    const bytesMax = bytesMaxOf.get(role);
    if (bytesMax === undefined) continue;
    const isOfMailboxes = role === 'mailbox' || role === 'mailbox-mask';
    if (isOfMailboxes && (values.get(name)?.length ?? 0) > mailboxesMax) {
      return unparsable(
        'too-many',
        `"${command.name}" names more than ${mailboxesMax} mailboxes; use several commands`,
      );
    }
    if (values.get(name)?.some((value) => isLonger(value, bytesMax)) === true) return tooLong(name, bytesMax);
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
function joinTwins(
  series: Series,
  command: Command,
  values: Map<string, readonly string[]>,
): Unparsable | undefined {
  for (const parameter of command.params) {
    const listName = listOfText(command, parameter)?.name;
    if (listName === undefined) continue;
    const list = values.get(listName);
    const text = values.get(parameter.name)?.[0];
    if (list !== undefined && text !== undefined) {
      return unparsable(
        'ambiguous-argument',
        `"${command.name}" is given both --${listName} and the positional for it; write them all as one positional, joined by blanks`,
      );
    }
    if (list !== undefined && list.some((word) => word === '' || word.includes(' '))) {
      return unparsable('ambiguous-argument', `--${listName} takes one word at a time, without a blank`);
    }
    const words = list ?? text?.split(' ').filter(Boolean);
    if (words === undefined) continue;
    if (words.length > listWordsMax) {
      return unparsable(
        'too-many',
        `"${command.name}" is given more than ${listWordsMax} ${listName}s; use several commands`,
      );
    }
    if (series === '2.3' && listName === 'flag' && text?.split(' ').includes('') === true) {
      // 2.3 takes nothing between two blanks for a flag, and fails (measured on 2.3.19.1).
      return unparsable('fields-invalid', `the flags of "${command.name}" are separated by one blank each`);
    }
    if (words.length === 0) {
      return unparsable('argument-missing', `"${command.name}" is given an empty list of ${listName}s`);
    }
    values.delete(parameter.name);
    values.set(listName, lowerCaseFields.has(command.name) ? words.map(foldAscii) : words);
  }
  return undefined;
}

/**
 * `copy` and `move`. 2.3 reads the flat list of its positionals again: only if the word behind the destination is `user`, in
 * any case, is the next one the source user. 2.4 has done it by key. `source-user` is how 2.4 clients write it.
 */
function readSourceUser(
  series: Series,
  command: Command,
  values: Map<string, readonly string[]>,
): Unparsable | undefined {
  if (parameterNamed(command, 'source-user')?.isPositional !== true) return undefined;
  if (series === '2.3') {
    const flat = [
      ...(values.get('source-type') ?? []),
      ...(values.get('source-user') ?? []),
      ...(values.get('query') ?? []),
    ];
    for (const name of ['source-type', 'source-user', 'query']) values.delete(name);
    const [key, user] = flat;
    const isNamed = user !== undefined && (foldAscii(key ?? '') === 'user' || key === 'source-user');
    if (isNamed) values.set('source-user', [user]);
    const query = isNamed ? flat.slice(2) : flat;
    if (query.length > 0) values.set('query', query);
  }
  // Not a search key, and written out again it would be taken for the key of the source user.
  const first = foldAscii(values.get('query')?.[0] ?? '');
  if (first === 'user' || first === 'source-user') {
    return unparsable(
      'query-invalid',
      `the query of "${command.name}" begins with the word for a source user`,
    );
  }
  return undefined;
}

/**
 * Values that the server folds are written in one spelling, so that a rule on their text cannot be passed by another: INBOX,
 * keys of metadata, system flags.
 */
function foldNames(
  series: Series,
  command: Command,
  values: Map<string, readonly string[]>,
): Unparsable | undefined {
  for (const { name, role } of command.params) {
    const list = values.get(name);
    if (list === undefined) continue;
    if (role === 'mailbox' || role === 'mailbox-mask') {
      const folded = list.map((mailbox) => foldMailbox(series, mailbox));
      if (folded.includes(undefined)) return notComposed(name);
      // Beside another mask the server takes this one as it stands, and finds nothing (both series, measured).
      if (role === 'mailbox-mask' && list.length > 1 && folded.some((mask, at) => mask !== list[at])) {
        return unparsable('ambiguous-argument', `INBOX is written in capitals among several ${name}s`);
      }
      values.set(
        name,
        folded.filter((mailbox) => mailbox !== undefined),
      );
    } else if (role === 'metadata-key') {
      values.set(name, list.map(foldAscii));
    } else if (name === 'flag') {
      values.set(name, list.map(foldFlag));
    }
  }
  return undefined;
}

/**
 * INBOX is upper case to the server in any case, also in front of what lies below it. 2.4 composes names (NFC) before it
 * looks for them: a name that this would change, a Kelvin sign for a K say, is undefined here.
 */
function foldMailbox(series: Series, name: string): string | undefined {
  if (series === '2.4' && name !== name.normalize('NFC')) return undefined;
  return name.replace(/^inbox(?=$|[/.])/i, 'INBOX');
}

function notComposed(where: string): Unparsable {
  return unparsable(
    'text-invalid',
    `a mailbox name in ${where} is not in Unicode normal form C, which servers turn it into`,
  );
}

/** What must be there is there, and no positional is empty while a later one is set: it could not be written out again. */
function demandPositionals(
  _series: Series,
  command: Command,
  values: Map<string, readonly string[]>,
): Unparsable | undefined {
  let gap: Parameter | undefined;
  for (const parameter of command.params) {
    if (!parameter.isPositional || parameter.name === 'source-type' || parameter.name === 'source-user')
      continue;
    const isThere = values.has(parameter.name) || values.has(listOfText(command, parameter)?.name ?? '');
    if (!isThere && !parameter.isOptional) {
      return unparsable('argument-missing', `"${command.name}" needs ${parameter.name}`);
    }
    if (isThere && gap !== undefined) {
      return unparsable(
        'ambiguous-argument',
        `"${command.name}" is given ${parameter.name} without ${gap.name}`,
      );
    }
    if (!isThere) gap = parameter;
  }
  return undefined;
}
