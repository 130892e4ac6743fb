// The commands that a doveadm-server of each series takes over the wire, found by name or by the words of a line; and a spotter of
// lines in a text that a server could take for commands. A command that is not here does not exist and must be refused.
import type { CommandSpotter } from '../../protocol/text.js';
import { catalogSources, commandTable } from './data.js';

/** Releases that read command lines alike. `2.3`: 2.3.0 to 2.3.21.1. `2.4`: 2.4.0 and newer. */
export type Series = keyof typeof catalogSources;

/** Oldest first. */
export const allSeries: readonly Series[] = ['2.3', '2.4'];

/** What a command does, weakest first: reads; ends sessions; changes; changes the server or rights; destroys. */
export const allEffects = ['read', 'session', 'write', 'admin', 'destroy'] as const;

/** One of `allEffects`. Of a command alone it is the least that it does; `effectOf` adds what its arguments do. */
export type Effect = (typeof allEffects)[number];

/** The stronger of two effects. */
export function strongerEffect(one: Effect, other: Effect): Effect {
  return allEffects.indexOf(one) >= allEffects.indexOf(other) ? one : other;
}

/** What a value of a parameter can name; what a rule, a redaction and a route look at. A role is never renamed. */
export const allRoles = [
  'acl-id',
  'acl-right',
  'all-users',
  'args',
  'auth-info',
  'cache-fields',
  'config-filter',
  'content-file',
  'dict-key',
  'dict-uri',
  'director-tag',
  'file-path',
  'file-path-write',
  'flag-remote',
  'fs-args',
  'fs-driver',
  'fs-path',
  'guid',
  'host',
  'instance-name',
  'internal',
  'ip',
  'keyword',
  'language',
  'mail-flags',
  'mail-location',
  'mailbox',
  'mailbox-guid',
  'mailbox-mask',
  'metadata-key',
  'metadata-value',
  'metric-name',
  'name',
  'namespace',
  'net-mask',
  'output-fields',
  'port',
  'remote-destination',
  'search-query',
  'secret',
  'service-name',
  'setting-override',
  'sieve-script',
  'socket',
  'source-user',
  'stats-exporter',
  'stats-fields',
  'stats-filter',
  'sub-commands',
  'sync-state',
  'text',
  'user',
  'user-file',
  'user-mask',
  'user-mask-or-ip',
  'userdb-field',
  'value',
  'var-expansion',
] as const;

/** One of `allRoles`; a parameter without one has a value that names nothing (a count, a switch). */
export type Role = (typeof allRoles)[number];

/**
 * How a server takes a value: `bool` takes none, `int` digits, `array` may be given again, `istream` names a file.
 */
export const allParameterTypes = ['bool', 'str', 'int', 'array', 'istream'] as const;

/** One of `allParameterTypes`. */
export type ParameterType = (typeof allParameterTypes)[number];

/** One parameter of a command as the server's own table has it; frozen. */
export interface Parameter {
  /** The long name. Also a positional may be given as `--name=value`. */
  readonly name: string;
  /** One character, without the dash. */
  readonly short: string | undefined;
  /** `istream` opens a file of the server, as its root or as the mail user. */
  readonly type: ParameterType;
  readonly isPositional: boolean;
  readonly isOptional: boolean;
  readonly isUnsigned: boolean;
  /** 2.4: the word that stands before the value among the positionals, `copy DEST user WHO ...`. */
  readonly key: string | undefined;
  readonly role: Role | undefined;
}

/** `dot`: reads a dot-stream after the line unless a file is named; `duplex`: the rest of the connection is its own. */
export const allInputKinds = ['none', 'dot', 'duplex'] as const;

/** One of `allInputKinds`; what may follow the line, not what does (see `inputOf` of the reader of arguments). */
export type InputKind = (typeof allInputKinds)[number];

/** Whether a rule may allow it by a mask, only by name, or only by name and saying that it amounts to root. */
export const allGrants = ['normal', 'explicit', 'never'] as const;

/** One of `allGrants`; `never` is the one that amounts to root. */
export type Grant = (typeof allGrants)[number];

/**
 * A command of one series, frozen, the same object at each look-up. Two series have an object each, also for equal
 * names.
 */
export interface Command {
  /** Its words joined by one blank; what goes upstream as one field. */
  readonly name: string;
  readonly words: readonly string[];
  /** `user`: acts for the user field of the command line. `server`: ignores that field. */
  readonly scope: 'user' | 'server';
  /** Of the command alone; parameters can raise it. */
  readonly effect: Effect;
  readonly grant: Grant;
  readonly input: InputKind;
  /** In the order of Dovecot's own table, which is the order of the canonical form. */
  readonly params: readonly Parameter[];
  /** Options may follow positionals. False: the first positional ends the options. */
  readonly permutes: boolean;
}

const parameterWord =
  /^(?<positional><)?(?:(?<short>[A-Za-z0-9])\/)?(?<name>[a-z0-9-]+):(?<type>[a-z]+)(?<optional>\?)?(?<unsigned>\+)?(?:@(?<key>[a-z]+))?(?:=(?<role>[a-z-]+))?$/;

const byLongName = new WeakMap<Command, ReadonlyMap<string, Parameter>>();
const byName = new Map<Series, ReadonlyMap<string, Command>>();
const inOrder = new Map<Series, readonly Command[]>();
for (const series of allSeries) {
  const commands = commandTable
    .trim()
    .split('\n')
    .map((line) => line.split(' | '))
    .filter(([of]) => of?.includes(series))
    .map(([, ...entry]) => commandOf(entry, catalogSources[series].mailParams));
  inOrder.set(series, Object.freeze(commands));
  byName.set(series, new Map(commands.map((command) => [command.name, command])));
}

/**
 * The commands that dovegate answers itself. No server knows them: they are in no series, no rule can name them, and they never
 * go upstream. `dovegate` as a first word is reserved for them.
 */
export const ownCommands: readonly Command[] = Object.freeze([
  commandOf(['dovegate can', 'server session normal none']),
  commandOf([
    'dovegate explain',
    'server session normal none ordered',
    'u/user:str?=user <command:array=sub-commands',
  ]),
]);

/** Names the tables that commands were judged by: half of each series' SHA-256, in hex. */
export const catalogHash: string = allSeries
  .map((series) => catalogSources[series].hash.slice(0, 64 / allSeries.length))
  .join('');

/** The Dovecot releases that the tables of a series come from, for people. */
export function catalogSource(series: Series): string {
  return catalogSources[series].dovecot;
}

/** The command of exactly this full name (`mailbox cache purge`), case and blanks included. */
export function commandNamed(series: Series, name: string): Command | undefined {
  return byName.get(series)?.get(name);
}

/** Every command of the series, by name. */
export function commandsOf(series: Series): readonly Command[] {
  return inOrder.get(series) ?? [];
}

/** The parameter of that long name. */
export function parameterNamed(command: Command, name: string): Parameter | undefined {
  return byLongName.get(command)?.get(name);
}

/**
 * The list option that a text positional is another spelling of: `fetch` takes `--field uid --field flags` and `"uid flags"`
 * in front of its query. Undefined for every other parameter.
 */
export function listOfText(command: Command, parameter: Parameter): Parameter | undefined {
  if (parameter.name !== 'fieldstr' && parameter.name !== 'flagstr') return undefined;
  return parameter.isPositional ? parameterNamed(command, parameter.name.slice(0, -'str'.length)) : undefined;
}

/** The text positional that is another spelling of a list option. */
export function textOfList(command: Command, parameter: Parameter): Parameter | undefined {
  if (parameter.name !== 'field' && parameter.name !== 'flag') return undefined;
  const text = parameterNamed(command, `${parameter.name}str`);
  return text?.isPositional === true ? text : undefined;
}

function commandOf([name = '', traits = '', params = '']: readonly string[], mailParams = ''): Command {
  const [scope, effect, grant, input, order] = traits.split(' ');
  if (scope !== 'user' && scope !== 'server') throw new Error(`catalog data: scope of ${name}`);
  const words = scope === 'user' ? `${mailParams} ${params}` : params;
  const parameters = words.split(' ').filter(Boolean).map(parameterOf);
  const command = Object.freeze({
    name,
    words: Object.freeze(name.split(' ')),
    scope,
    effect: oneOf(allEffects, effect, name),
    grant: oneOf(allGrants, grant, name),
    input: oneOf(allInputKinds, input, name),
    params: Object.freeze(parameters),
    permutes: order !== 'ordered',
  });
  byLongName.set(command, new Map(parameters.map((parameter) => [parameter.name, parameter])));
  return command;
}

function parameterOf(word: string): Parameter {
  const parts = parameterWord.exec(word)?.groups;
  const name = parts?.['name'];
  if (parts === undefined || name === undefined) throw new Error(`catalog data: parameter ${word}`);
  return Object.freeze({
    name,
    short: parts['short'],
    type: oneOf(allParameterTypes, parts['type'], name),
    isPositional: parts['positional'] !== undefined,
    isOptional: parts['optional'] !== undefined,
    isUnsigned: parts['unsigned'] !== undefined,
    key: parts['key'],
    role: parts['role'] === undefined ? undefined : oneOf(allRoles, parts['role'], name),
  });
}

function oneOf<T extends string>(all: readonly T[], word: string | undefined, where: string): T {
  const found = all.find((one) => one === word);
  if (found === undefined) throw new Error(`catalog data: ${word} in ${where}`);
  return found;
}

// Which command the words of a line name. As the server does it: the first registered name that the leading words use up
// completely, whether a word holds one of its words or several. No abbreviation, no folding of case. No name is the
// beginning of another (a test holds that), so the order of registration does not matter.
const byFirstWord = new Map<Series, Map<string, Command[]>>();
for (const series of allSeries) {
  const index = new Map<string, Command[]>();
  for (const command of commandsOf(series)) {
    const first = command.words[0] ?? '';
    const commands = index.get(first);
    if (commands === undefined) index.set(first, [command]);
    else commands.push(command);
  }
  byFirstWord.set(series, index);
}

/**
 * The command that `words` (everything after the user field) begins with, and the words behind its name. Undefined: the
 * server would answer "unknown command". `mailbox`, `cache purge` and `mailbox cache purge` spell the same; an empty word, a
 * second blank or a blank at an end matches nothing.
 */
export function resolveCommand(
  series: Series,
  words: readonly string[],
): { command: Command; args: readonly string[] } | undefined {
  const first = words[0];
  if (first === undefined || first === '') return undefined;
  const blank = first.indexOf(' ');
  const candidates = byFirstWord.get(series)?.get(blank === -1 ? first : first.slice(0, blank)) ?? [];
  for (const command of candidates) {
    const used = wordsUsed(command.name, words);
    if (used !== undefined) return { command, args: words.slice(used) };
  }
  return undefined;
}

/** The same for a command of our own, which no series has. */
export function resolveOwnCommand(
  words: readonly string[],
): { command: Command; args: readonly string[] } | undefined {
  for (const command of ownCommands) {
    const used = wordsUsed(command.name, words);
    if (used !== undefined) return { command, args: words.slice(used) };
  }
  return undefined;
}

/** How many leading words spell the name out to its end; undefined when they do not. */
function wordsUsed(name: string, words: readonly string[]): number | undefined {
  let at = 0;
  let used = 0;
  while (at < name.length) {
    const word = words[used];
    if (word === undefined || word === '' || !name.startsWith(word, at)) return undefined;
    const end = at + word.length;
    if (end !== name.length && name[end] !== ' ') return undefined;
    at = end + 1;
    used += 1;
  }
  return used;
}

const TAB = 0x09;
const LF = 0x0a;
const firstWords = new Set(
  allSeries.flatMap((series) => commandsOf(series).map(({ words }) => words[0] ?? '')),
);
/** So much of a field says whether it begins with one. */
const headBytesMax = 1 + Math.max(...[...firstWords].map((word) => word.length));

/**
 * Looks for lines in a text that a server would carry out if it began to read commands in the middle of them: a TAB, something, a TAB,
 * the name of a command. For transports that may cut a text anywhere. Rather one too many than one too few: flags may take more fields,
 * so every field from the third on is looked at.
 */
export function createCommandSpotter(): CommandSpotter {
  /** Of the line that is not over yet, as far as they count. */
  let tabs = 0;
  /** Of the field that is not over yet. */
  let head = '';

  return {
    spots(piece) {
      let from = 0;
      while (from <= piece.length) {
        const tab = piece.indexOf(TAB, from);
        const stop = tab < 0 ? piece.length : tab;
        const rest = piece.subarray(from, stop);
        const line = rest.indexOf(LF);
        head += rest.toString('latin1', 0, Math.min(line < 0 ? rest.length : line, headBytesMax));
        const isOver = line >= 0 || tab >= 0;
        if (tabs >= 2 && isCommand(head, isOver)) return true;
        head = isOver ? '' : head.slice(0, headBytesMax);
        if (line >= 0) tabs = 0;
        if (tab >= 0) tabs += 1;
        from = stop + 1;
      }
      return false;
    },
  };
}

/** An escape may spell any word; behind its name a command has a blank, or its field ends. */
function isCommand(head: string, isOver: boolean): boolean {
  if (head.includes('\x01')) return true;
  const end = head.search(/[ \r\0]/);
  if (end < 0) return isOver && firstWords.has(head);
  return firstWords.has(head.slice(0, end));
}
