// Commands and parameters by their names in JSON, as /doveadm/v1 takes them: `mailboxStatus`, `mailbox status` and `mailbox-status` are one
// command, and so with parameters. Gives each value its parameter, beside getopt.ts, which does it for the words of a line.
//
// Defined by Dovecot in src/doveadm/client-connection-http.c and doveadm-util.c (i_strccdascmp). No abbreviations and no short names.
// `false` is absent, never set. A value of another type is refused, never converted. What Dovecot answers with 400 is found before anything
// of a request runs.

import { bounds } from '../../host/bounds/bounds.js';
import { foldAscii } from '../../host/words/text.js';
import { isMask } from '../names/glob.js';
import { nearestName } from '../names/nearest-name.js';
import { type CommandLine, isJson, type JsonValue, type NamedParameter } from '../protocol/command.js';
import {
  type AddedCommands,
  allSeries,
  type Command,
  commandNames,
  commandsNamed,
  listOfText,
  noneAdded,
  type Parameter,
  parameterNamed,
  type Series,
  textOfList,
} from './catalog.js';
import { addValue, boolGiven, type Given, type Unparsable, unparsable } from './getopt.js';

export type NamedReading =
  /** To be judged like a line from the wire; `input`: the place of the text of its parameter `file` in the body, if it has one. */
  | { readonly kind: 'line'; readonly line: CommandLine; readonly input: Span | undefined }
  /** The text of a 400, which covers the whole request. */
  | { readonly kind: 'bad'; readonly text: string };

export type Span = Extract<JsonValue, { readonly kind: 'span' }>;

/** Limits for one command: values, and UTF-16 units of text. A line of the wire has such limits too. */
const valuesMax = bounds.jsonValues;
const textMax = bounds.jsonTextChars;

/** `auth cache flush` of 2.3 and of 2.4 before 2.4.3 has `user`, later ones have `user-mask`: both mean the same. */
const flushCommand = 'auth cache flush';
const flushNames: readonly string[] = ['user', 'user-mask'];

/** Longer names are refused. No command and no parameter has such a name. */
const nameMax = 64;

/** The name as words with a blank between; other spellings are converted. An upper-case letter begins a word. Empty: it is too long. */
function spelled(name: string): string {
  if (name.length > nameMax) return '';
  return name.replace(/[-A-Z]/g, (one) => (one === '-' ? ' ' : ` ${one.toLowerCase()}`));
}

/** The spelling that Dovecot itself prints. */
export function jsonName(name: string): string {
  return name.replace(/[- ]([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Made when the first is asked for: programs load this file, and most never read such a command. */
const commandsBySpelling = new Map<string, string>();
const parametersBySpelling = new WeakMap<Command, ReadonlyMap<string, Parameter>>();

function commandSpelled(name: string, added: AddedCommands): string | undefined {
  if (commandsBySpelling.size === 0)
    for (const one of commandNames()) commandsBySpelling.set(spelled(one), one);
  const spelling = spelled(name);
  return (
    commandsBySpelling.get(spelling) ??
    allSeries.flatMap((series) => added.names(series)).find((one) => spelled(one) === spelling)
  );
}

function spellingsOf({ name: command, params }: Command): Map<string, Parameter> {
  const found = new Map(params.map((parameter) => [spelled(parameter.name), parameter]));
  const flush = params.find(({ name }) => command === flushCommand && flushNames.includes(name));
  if (flush !== undefined) for (const name of flushNames) found.set(spelled(name), flush);
  return found;
}

function parameterSpelled(command: Command, name: string): Parameter | undefined {
  if (!parametersBySpelling.has(command)) parametersBySpelling.set(command, spellingsOf(command));
  return parametersBySpelling.get(command)?.get(spelled(name));
}

/**
 * Parses one command of a request. An unknown command becomes a line too, judged as `command-unknown`. The text of its parameter `file` is
 * `input`, to be sent as the input of the line.
 */
export function readNamedCommand(
  asked: {
    readonly name: string;
    readonly parameters: readonly NamedParameter[];
  },
  added = noneAdded,
): NamedReading {
  const { parameters } = asked;
  const name = commandSpelled(asked.name, added);
  const commands = commandsNamed(name ?? '', added);
  const text = commands.length === 0 ? undefined : badParameter(commands, parameters);
  if (text !== undefined) return { kind: 'bad', text };
  let user = '';
  let input: Span | undefined;
  for (const { name: given, value } of commands.length === 0 ? [] : parameters) {
    if (spelled(given) === 'user' && commands[0]?.scope === 'user') user = wireUser(value);
    if (isJson(value, 'span') && commands[0]?.input === 'dot') input = value;
  }
  const line: CommandLine = {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    user,
    words: [name ?? asked.name],
    fault: undefined,
    named: parameters,
  };
  return { kind: 'line', line, input };
}

/** The user of the line. Empty: there is none, or the command is for all users, or it is refused when judged. */
function wireUser(value: JsonValue): string {
  const text = textOf(value);
  return text === undefined || isMask(text) ? '' : text;
}

/** The text of a 400 for parameters that Dovecot 2.4 refuses, in each series that has them; it ignores all after an unknown one. */
function badParameter(
  commands: readonly Command[],
  parameters: readonly NamedParameter[],
): string | undefined {
  const seen = new Set<Parameter>();
  for (const { name, value } of parameters) {
    const found = commands.flatMap((command) => parameterSpelled(command, name) ?? []);
    const [parameter] = found;
    if (parameter === undefined) return undefined;
    if (seen.has(parameter)) return `Parameter \`${parameter.name}' is duplicated`;
    seen.add(parameter);
    for (const each of found) {
      const text = badValue(each, value);
      if (text !== undefined && found.every((other) => other.type === each.type)) return text;
    }
  }
  return undefined;
}

function badValue({ name, type }: Parameter, value: JsonValue): string | undefined {
  switch (type) {
    case 'bool': {
      if (readBool(value) !== undefined) return undefined;
      const must = `Parameter \`${name}' must be \`true' or \`false'`;
      const shown = textOf(value) ?? (isJson(value, 'null') ? value.kind : undefined);
      return shown === undefined ? must : `${must}, not \`${shown.slice(0, nameMax)}'`;
    }
    case 'array':
      // The blank is missing in Dovecot's text too.
      if (isJson(value, 'other') && value.what === 'list')
        return 'Command parameter array can only containstring values';
      return ['string', 'list', 'span'].includes(value.kind)
        ? undefined
        : `Parameter \`${name}' must be string or array`;
    case 'istream':
      return ['string', 'span'].includes(value.kind) ? undefined : `Parameter \`${name}' must be a string`;
    case 'int':
    case 'str':
      return undefined;
    default:
      return type satisfies never;
  }
}

function readBool(value: JsonValue): boolean | undefined {
  const word = isJson(value, 'string') ? value.text : value.kind;
  return word === 'true' ? true : word === 'false' ? false : undefined;
}

function textOf(value: JsonValue): string | undefined {
  return 'text' in value ? value.text : undefined;
}

/**
 * The values of each parameter as on a server of the command's series, from named parameters; `readArguments` does this for words. The user
 * of a mail command is excluded: it is in the line, or becomes `all-users`.
 */
export function readNamed(
  series: Series,
  command: Command,
  parameters: readonly NamedParameter[],
): Given | Unparsable {
  const given: Given = new Map();
  let hasUser = false;
  let mask: string | undefined;
  let isEmpty = false;
  let isFileGiven = false;
  let values = 0;
  let size = 0;
  for (const { name, value } of parameters) {
    const parameter = parameterSpelled(command, name);
    if (parameter === undefined) return noParameter(command, name);
    const { role } = parameter;
    if (given.has(parameter) || (role === 'content-file' && isFileGiven)) return givenTwice(parameter);
    if (role === 'content-file') {
      if (!isJson(value, 'span')) return wrongType(parameter);
      isFileGiven = true;
      continue;
    }
    const listed = textsOf(parameter, value);
    if (listed === undefined) return wrongType(parameter);
    const texts = series === '2.3' ? joinedWords(command, parameter, listed) : listed;
    values += texts.length;
    for (const text of texts) size += text.length;
    if (values > valuesMax)
      return unparsable('too-many', `"${command.name}" is given more than ${valuesMax} values`);
    if (size > textMax) return unparsable('too-long', `the values of "${command.name}" are too long`);
    if (texts.some((text) => text.includes('\0')))
      return unparsable('text-invalid', `a value of ${parameter.name} of "${command.name}" holds a NUL`);
    if (role === 'user' && command.scope === 'user') {
      const [user = ''] = texts;
      if (hasUser) return givenTwice(parameter);
      hasUser = true;
      isEmpty = user === '';
      if (isMask(user)) mask = user;
      continue;
    }
    // An empty list of flags is a value: it removes all flags.
    if (texts.length === 0 && textOfList(command, parameter) !== undefined) given.set(parameter, []);
    for (const text of texts) {
      const refusal = addValue(given, parameter, text);
      if (refusal !== undefined) return refusal;
    }
  }
  const all = parameterNamed(command, 'all-users');
  if (command.scope === 'user' && (all === undefined || !given.has(all))) {
    if (!hasUser || all === undefined)
      return unparsable('argument-missing', `"${command.name}" needs a user`);
    if (isEmpty) return unparsable('user-unknown', 'the user name is empty');
    if (mask !== undefined && !isEverybody.test(mask) && !onlyReads(command, given))
      return unparsable('not-over-http', `"${command.name}" changes something, and names a mask of users`);
    if (mask !== undefined) given.set(all, [boolGiven]);
  }
  if (command.input === 'duplex')
    return unparsable('kills-server', `"${command.name}" speaks both ways, which JSON cannot`);
  if (command.input === 'dot' && !isFileGiven)
    return unparsable('argument-missing', `"${command.name}" needs file`);
  return settleSourceUser(command, given) ?? given;
}

const isEverybody = /^\*+$/;

function onlyReads({ effect }: Command, given: Given): boolean {
  return (
    effect === 'read' &&
    [...given.keys()].every(({ danger }) => danger === undefined || danger.effect === effect)
  );
}

/**
 * The mask of users in a line, in lower case. The wire has no masks, so a reading command is sent for all users, and rows of others are
 * left out of the answer. Undefined: a line for one user, for all, or from the wire.
 */
export function userMaskOf({ words, named }: CommandLine): string | undefined {
  if (named === undefined || !commandsNamed(words[0] ?? '').some(({ scope }) => scope === 'user'))
    return undefined;
  let mask: string | undefined;
  for (const { name, value } of named) {
    const spelling = spelled(name);
    if (spelling === 'all users' && readBool(value) === true) return undefined;
    if (spelling === 'user') mask = textOf(value);
  }
  return mask !== undefined && isMask(mask) && !isEverybody.test(mask) ? foldAscii(mask) : undefined;
}

/** The values as words would give them; empty: treated as absent. Undefined: wrong type. */
function textsOf({ type }: Parameter, value: JsonValue): readonly string[] | undefined {
  switch (type) {
    case 'bool': {
      const isSet = readBool(value);
      return isSet === undefined ? undefined : isSet ? [boolGiven] : [];
    }
    case 'array':
      if (isJson(value, 'list')) return value.items;
      return isJson(value, 'string') ? [value.text] : undefined;
    case 'istream':
      return isJson(value, 'string') ? [value.text] : undefined;
    case 'int':
    case 'str': {
      const text = textOf(value);
      return text === undefined ? undefined : [text];
    }
    default:
      return type satisfies never;
  }
}

/**
 * 2.3 joins the words of `field` and `flag` by blanks before parsing, so `["uid flags"]` is two; in 2.4 it is one name. In 2.3 an empty
 * field is ignored; one empty flag is an empty list, several fail.
 */
function joinedWords(command: Command, parameter: Parameter, texts: readonly string[]): readonly string[] {
  if (textOfList(command, parameter) === undefined) return texts;
  const words = texts.flatMap((text) => text.split(' '));
  return parameter.name === 'field' || words.length === 1 ? words.filter(Boolean) : words;
}

/** `copy` and `move` of 2.3 take the word `user` and the source user from the start of their query, whatever their origin. */
function settleSourceUser(command: Command, given: Given): Unparsable | undefined {
  const type = parameterNamed(command, 'source-type');
  const user = parameterNamed(command, 'source-user');
  const query = parameterNamed(command, 'query');
  if (type === undefined || user === undefined || query === undefined) return undefined;
  const kind = given.get(type)?.[0];
  if (kind !== undefined && (foldAscii(kind) !== 'user' || !given.has(user)))
    return unparsable('ambiguous-argument', `source-type of "${command.name}" is "user", beside source-user`);
  const first = foldAscii(given.get(query)?.[0] ?? '');
  if (!given.has(user) && (first === 'user' || first === 'source-user'))
    return unparsable(
      'query-invalid',
      `the query of "${command.name}" begins with the word for a source user`,
    );
  if (given.has(user)) given.set(type, ['user']);
  return undefined;
}

function wrongType({ name, type }: Parameter): Unparsable {
  const wanted = {
    bool: 'true or false',
    int: 'a number',
    str: 'a string',
    array: 'an array of strings',
    istream: 'a string',
  };
  return unparsable('value-type', `${name} must be ${wanted[type]}`);
}

function givenTwice({ name }: Parameter): Unparsable {
  return unparsable('repeated-option', `${name} is given twice`);
}

/** Named only if it is safe to show: a name with other letters, or a long text, is not a misspelled name. */
function noParameter(command: Command, name: string): Unparsable {
  if (name.length > nameMax || !/^[\w -]+$/.test(name))
    return unparsable('unknown-option', `"${command.name}" has no parameter of a name that is given`);
  const known = command.params.flatMap((parameter) =>
    listOfText(command, parameter) === undefined ? [jsonName(parameter.name)] : [],
  );
  const meant = nearestName(name, known);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return unparsable('unknown-option', `"${command.name}" has no parameter "${name}"${hint}`);
}

/** The `type` of the error for an unparsable command; `exitCode` comes with 64, the others with 0. */
export function errorTypeOf(code: string): 'unknownMethod' | 'invalidRequest' | 'exitCode' {
  if (code === 'command-unknown') return 'unknownMethod';
  return code === 'unknown-option' || code === 'value-type' || code === 'number-invalid'
    ? 'invalidRequest'
    : 'exitCode';
}

/** A key of named parameters for caches: different lists have different keys. The text of a span is not included. */
export function keyOfNamed(parameters: readonly NamedParameter[]): string {
  let key = '';
  for (const { name, value } of parameters) {
    key += `\0${name}\0${value.kind}`;
    switch (value.kind) {
      case 'list':
        key += `\0${value.items.length}${value.items.map((item) => `\0${item}`).join('')}`;
        break;
      case 'other':
        key += value.what;
        break;
      case 'string':
      case 'number':
        key += `\0${value.text}`;
        break;
      case 'true':
      case 'false':
      case 'null':
      case 'span':
        break;
      default:
        value satisfies never;
    }
  }
  return key;
}

/** Whether the command has a text, in its parameter `file`. */
export function hasFile(parameters: readonly NamedParameter[]): boolean {
  return parameters.some(({ value }) => isJson(value, 'span'));
}
