// The commands that a doveadm-server of each series takes over the wire, found by name or by the words of a line; what their parameters
// name and which of them are dangerous; the fields of mails and mailboxes; and a spotter of lines in a text that a server could take for
// commands. A command that is not here does not exist and must be refused.
import type { CommandSpotter } from '../protocol/text.js';
import { accessArguments, allVerbs, verbRow } from '../verbs/verbs.js';
import { catalogSources, commandTable, holdReasons } from './data.js';

/** Releases that read command lines alike. `2.3`: 2.3.0 to 2.3.21.1. `2.4`: 2.4.0 and newer. */
export type Series = keyof typeof catalogSources;

/** Oldest first. */
export const allSeries: readonly Series[] = ['2.3', '2.4'];

/** The effects of commands, weakest first: reads; ends sessions; changes; changes the server or rights; destroys. */
export const allEffects = ['read', 'session', 'write', 'admin', 'destroy'] as const;

/** For a command alone it is the weakest possible one; parameters can raise it. */
export type Effect = (typeof allEffects)[number];

export function strongerEffect(one: Effect, other: Effect): Effect {
  return allEffects.indexOf(one) >= allEffects.indexOf(other) ? one : other;
}

/**
 * Kinds of parameter values, grouped by the statement that a rule must make to permit them; rules, redaction and routes use them. A role is
 * never renamed. `named` reach beyond the mailboxes of the user: files, sockets, programs, other hosts, other users, other settings. A file
 * of users is read as root and appears line by line in the log; `internal` controls the server's internals.
 */
const rolesByCaution = {
  free: [
    'acl-id acl-right cache-fields dict-key director-tag guid host instance-name ip keyword language mail-flags mailbox',
    'mailbox-guid mailbox-mask metadata-key metadata-value metric-name name namespace net-mask output-fields port',
    'search-query secret service-name sieve-script stats-exporter stats-fields stats-filter sync-state text user',
    'user-mask user-mask-or-ip value',
  ],
  named: [
    'args auth-info config-filter content-file dict-uri file-path file-path-write flag-remote fs-args fs-driver fs-path',
    'mail-location remote-destination setting-override socket source-user sub-commands userdb-field var-expansion',
  ],
  'all-users': ['all-users'],
  never: ['internal user-file'],
} as const;

/**
 * `free`: a rule for the command permits it. `named`: only a rule that names the parameter does. `all-users`: only a rule that grants all
 * users does. `never`: no rule can.
 */
export type Caution = keyof typeof rolesByCaution;

type WordsOf<Text extends string> = Text extends `${infer First} ${infer Rest}`
  ? First | WordsOf<Rest>
  : Text;

/** A parameter without a role has a plain value (a count, a switch). */
export type Role = WordsOf<(typeof rolesByCaution)[Caution][number]>;

const cautionOfRole = new Map<string, Caution>();
for (const caution of ['free', 'named', 'all-users', 'never'] as const) {
  for (const role of rolesByCaution[caution].join(' ').split(' ')) cautionOfRole.set(role, caution);
}

export const allRoles: readonly string[] = [...cautionOfRole.keys()];

export const userRoles: ReadonlySet<Parameter['role']> = new Set([
  'user',
  'user-mask',
  'user-mask-or-ip',
  'source-user',
]);

/** Roles of locations on a server: files, sockets, mail locations, other hosts. Patterns for them follow the rules in `glob.ts`. */
export const locationRoles: ReadonlySet<Parameter['role']> = new Set([
  'content-file',
  'dict-uri',
  'file-path',
  'file-path-write',
  'fs-args',
  'fs-path',
  'mail-location',
  'remote-destination',
  'socket',
]);

function isRole(word: string): word is Role {
  return cautionOfRole.has(word);
}

/** The effect of a parameter beyond its command (Dovecot's manual pages). */
interface Danger {
  readonly effect: Effect;
  /** For people; continues a sentence after "it". */
  readonly why: string;
}

/** COMMANDS | PARAMETER | EFFECT | WHY. */
const dangerTable = `
expunge | delete-empty-mailbox | destroy | deletes mailboxes that the expunge has emptied
mailbox delete | recursive | destroy | deletes everything below as well
mailbox delete | unsafe | destroy | deletes without locking, as fast as it can
deduplicate | by-msgid | destroy | takes mails for equal whose Message-ID, which a sender chooses, is equal
stats dump | reset | destroy | sets the counters back after showing them
kick | force | session | also ends the sessions of others in the same process
kick,proxy kick | dest-host | session | ends the sessions of everybody on that host
proxy kick | host | session | ends the sessions of everybody on that host
director flush | force-flush | session | ends connections at once instead of moving them
sieve put | activate | write | makes the script take effect on the next mail
sieve delete | ignore-active | destroy | deletes the script that is in use
force-resync | fsck | write | rebuilds what it thinks is broken
fs delete,mail fs delete | recursive | destroy | deletes everything below as well
mailbox cryptokey generate | force | destroy | replaces keys: mail encrypted with the old ones may be lost
mailbox cryptokey generate | re-encrypt-box-keys | admin | encrypts every mailbox key anew
mailbox cryptokey generate | user-key-only | admin | makes a new key for the user
mailbox cryptokey password | clear-password | admin | leaves the private key without a password
mailbox cryptokey export | user-key | read | prints the user's private key
sync,backup | purge-remote | destroy | deletes what the other side does not have
sync,backup | reverse-sync | destroy | makes this side like the other one
instance list | show-config | read | prints configuration
mailbox metadata get,mailbox metadata list | allow-empty-mailbox-name | read | reaches the attributes of the whole account
mailbox metadata set,mailbox metadata unset | allow-empty-mailbox-name | read | reaches the attributes of the whole account
user | expand-field | read | expands variables, also of the environment of the server
user | field | read | prints a field of the userdb, which can be a password
`;

const dangers = new Map<string, Danger>();
for (const [commands = '', parameter, effect, why = ''] of rowsOf(dangerTable)) {
  for (const command of commands.split(',')) {
    const danger = { effect: oneOf(allEffects, effect, commands), why };
    dangers.set(`${command} ${parameter}`, Object.freeze(danger));
  }
}

function rowsOf(table: string): string[][] {
  const lines = table.trim().split('\n');
  return lines.map((line) => line.split(' | '));
}

/** How a server parses a value: `bool` takes none, `int` digits, `array` may be repeated, `istream` names a file of the server. */
const allParameterTypes = ['bool', 'str', 'int', 'array', 'istream'] as const;

/** One parameter of a command as the server's own table has it; frozen. */
export interface Parameter {
  /** The long name. A positional may also be given as `--name=value`. */
  readonly name: string;
  /** One character, without the dash. */
  readonly short: string | undefined;
  readonly type: (typeof allParameterTypes)[number];
  readonly isPositional: boolean;
  readonly isOptional: boolean;
  readonly isUnsigned: boolean;
  /** 2.4: the word before the value among the positionals, `copy DEST user WHO ...`. */
  readonly key: string | undefined;
  readonly role: Role | undefined;
  /** The statement that a rule must make to permit it. */
  readonly caution: Caution;
  readonly danger: Danger | undefined;
}

/** `dot`: reads a dot-stream after the line unless a file is named; `duplex`: uses the rest of the connection. */
const allInputKinds = ['none', 'dot', 'duplex'] as const;

/** Whether a rule may allow it by a pattern, only by name, or only by name and saying that it amounts to root. */
const allGrants = ['normal', 'explicit', 'never'] as const;

/**
 * The users whose mail a command may destroy, hide, move or change; a hold on their mailbox prevents it. `keeps`: none. `into`: the user
 * of its line. `named`: all users that it names, also in its arguments. `all`: they are unknown, so it counts for all users.
 */
export const allHolds = ['keeps', 'into', 'named', 'all'] as const;

/** A command of one series, frozen, the same object at each look-up. Two series have an object each, also for equal names. */
export interface Command {
  /** Its words joined by one blank; sent upstream as one field. */
  readonly name: string;
  readonly words: readonly string[];
  /** `user`: acts for the user field of the command line. `server`: ignores that field. */
  readonly scope: 'user' | 'server';
  readonly effect: Effect;
  readonly grant: (typeof allGrants)[number];
  readonly hold: (typeof allHolds)[number];
  /** The possible input after the line; `inputOf` decides. */
  readonly input: (typeof allInputKinds)[number];
  /** In the order of Dovecot's own table, which is the order of the canonical form. */
  readonly params: readonly Parameter[];
  /** Options may follow positionals. False: the first positional ends the options. */
  readonly permutes: boolean;
  /** From a file of the site, see {@link AddedCommands}: what it touches is known as far as that file says. */
  readonly isAdded: boolean;
}

const parameterWord =
  /^(?<positional><)?(?:(?<short>[A-Za-z0-9])\/)?(?<name>[a-z0-9-]+):(?<type>[a-z]+)(?<optional>\?)?(?<unsigned>\+)?(?:@(?<key>[a-z]+))?(?:=(?<role>[a-z-]+))?$/;

const parametersByName = new WeakMap<Command, ReadonlyMap<string, Parameter>>();
interface Table {
  readonly rows: ReadonlyMap<string, readonly string[]>;
  readonly read: Map<string, Command>;
  /** Almost every first word belongs to a few commands only. */
  readonly byFirstWord: ReadonlyMap<string, readonly string[]>;
}

const tables = new Map<Series, Table>();

/** Tables and commands are parsed on demand: otherwise each start of a process or thread would parse all of them, and few need many. */
function tableOf(series: Series): Table {
  const found = tables.get(series) ?? readTable(series, commandTable);
  tables.set(series, found);
  return found;
}

/**
 * Commands of plugins and other editions that files of the site add. The caller has checked that no name of the catalog equals one of them,
 * begins one, or begins with one, so they can only add names. Functions that take them use the catalog alone by default.
 */
export class AddedCommands {
  /** As the rows of the catalog's own table. */
  readonly table: string;
  readonly #tables = new Map<Series, Table>();

  constructor(table: string) {
    this.table = table;
    for (const series of table === '' ? [] : allSeries) this.#tables.set(series, readTable(series, table));
  }

  /** The added command of exactly this full name; the same object at each look-up. */
  named(series: Series, name: string): Command | undefined {
    const { rows, read } = this.#tables.get(series) ?? noTable;
    const row = rows.get(name);
    const command =
      read.get(name) ?? (row && commandOf(name, row[2], row[3], catalogSources[series].mailParams, true));
    if (command !== undefined) read.set(name, command);
    return command;
  }

  has(name: string): boolean {
    return allSeries.some((series) => this.named(series, name) !== undefined);
  }

  names(series: Series): readonly string[] {
    return [...(this.#tables.get(series) ?? noTable).rows.keys()];
  }

  begunBy(series: Series, word: string): readonly string[] {
    return (this.#tables.get(series) ?? noTable).byFirstWord.get(word) ?? noTable.names;
  }
}

const noTable = {
  rows: new Map<string, readonly string[]>(),
  read: new Map<string, Command>(),
  byFirstWord: new Map<string, readonly string[]>(),
  names: [],
};

function readTable(series: Series, table: string): Table {
  const rows = new Map<string, readonly string[]>();
  const byFirstWord = new Map<string, string[]>();
  for (const row of rowsOf(table)) {
    const [of, name = ''] = row;
    if (of?.includes(series) !== true) continue;
    rows.set(name, row);
    const first = firstWordOf(name);
    byFirstWord.set(first, [...(byFirstWord.get(first) ?? []), name]);
  }
  return { rows, read: new Map(), byFirstWord };
}

function firstWordOf(name: string): string {
  return name.split(' ', 1)[0] ?? '';
}

function commandOf(name = '', traits = '', params = '', mailParams = '', isAdded = false): Command {
  const [scope, effect, grant, hold, input, order] = traits.split(' ');
  if (scope !== 'user' && scope !== 'server') throw new Error(`catalog data: scope of ${name}`);
  const words = scope === 'user' ? `${mailParams} ${params}` : params;
  const parameters = words
    .split(' ')
    .filter(Boolean)
    .map((word) => (isAdded ? addedParameter(word, scope) : parameterOf(word, name, scope)));
  const command = Object.freeze({
    name,
    words: Object.freeze(name.split(' ')),
    scope,
    effect: oneOf(allEffects, effect, name),
    grant: oneOf(allGrants, grant, name),
    hold: oneOf(allHolds, hold, name),
    input: oneOf(allInputKinds, input, name),
    params: Object.freeze(parameters),
    permutes: order !== 'ordered',
    isAdded,
  });
  parametersByName.set(command, new Map(parameters.map((parameter) => [parameter.name, parameter])));
  return command;
}

/** By scope and word: all commands for users begin with the same six. */
const plainParameters = new Map<string, Parameter>();

function parameterOf(word: string, command: string, scope: Command['scope']): Parameter {
  const key = `${scope} ${word}`;
  const plain = plainParameters.get(key) ?? readParameter(word, scope);
  plainParameters.set(key, plain);
  const danger = dangers.get(`${command} ${plain.name}`);
  if (danger === undefined) return plain;
  return Object.freeze({ ...plain, caution: plain.caution === 'free' ? 'named' : plain.caution, danger });
}

/** It is unknown what a parameter without a role reaches, so a rule must name it. */
function addedParameter(word: string, scope: Command['scope']): Parameter {
  const plain = readParameter(word, scope);
  return plain.role === undefined ? Object.freeze({ ...plain, caution: 'named' }) : plain;
}

function readParameter(word: string, scope: Command['scope']): Parameter {
  const parts = parameterWord.exec(word)?.groups;
  const name = parts?.['name'];
  const role = parts?.['role'];
  if (parts === undefined || name === undefined || (role !== undefined && !isRole(role)))
    throw new Error(`catalog data: parameter ${word}`);
  return Object.freeze({
    name,
    short: parts['short'],
    type: oneOf(allParameterTypes, parts['type'], name),
    isPositional: parts['positional'] !== undefined,
    isOptional: parts['optional'] !== undefined,
    isUnsigned: parts['unsigned'] !== undefined,
    key: parts['key'],
    role,
    // Another socket of the mail server could belong to any service.
    caution: role === 'socket' && scope === 'user' ? 'never' : (cautionOfRole.get(role ?? '') ?? 'free'),
    danger: undefined,
  });
}

function oneOf<T extends string>(all: readonly T[], word: string | undefined, where: string): T {
  const found = all.find((one) => one === word);
  if (found === undefined) throw new Error(`catalog data: ${word} in ${where}`);
  return found;
}

/** The parameters in front of those of every command for users. */
export function mailParametersOf(series: Series): readonly Parameter[] {
  return catalogSources[series].mailParams.split(' ').map((word) => readParameter(word, 'user'));
}

/** Makes a token with which the owner of a mailbox reads who looked: for keys of the HTTP API only. */
export const reportCommand = 'dovegate mailbox-report';

/** dovegate's own commands: in no series, never named by rules or sent upstream. `dovegate` as a first word is reserved for them. */
export const ownCommands: readonly Command[] = Object.freeze([
  commandOf('dovegate can', 'server session normal keeps none'),
  commandOf(reportCommand, 'server session normal keeps none', 'u/user:str=user'),
  ...['dovegate explain', 'dovegate dry-run'].map((name) =>
    commandOf(
      name,
      'server session normal keeps none ordered',
      'u/user:str?=user <command:array=sub-commands',
    ),
  ),
  ...allVerbs.map((verb) =>
    commandOf(
      `dovegate ${verb}`,
      'server session normal keeps none ordered',
      verbRow(verb)
        .takes.map((name) => accessArguments[name].word)
        .join(' '),
    ),
  ),
]);

/** Identifies the tables used for judgements: half of each series' SHA-256, in hex. */
export const catalogHash: string = allSeries
  .map((series) => catalogSources[series].hash.slice(0, 64 / allSeries.length))
  .join('');

export const noneAdded = new AddedCommands('');

/** The command of exactly this full name (`mailbox cache purge`), case and blanks included. */
export function commandNamed(series: Series, name: string, added = noneAdded): Command | undefined {
  const { rows, read } = tableOf(series);
  const known = read.get(name);
  if (known !== undefined) return known;
  const row = rows.get(name);
  if (row === undefined) return added.named(series, name);
  const command = commandOf(name, row[2], row[3], catalogSources[series].mailParams);
  read.set(name, command);
  return command;
}

/**
 * A command outside of the catalog that a gate or server may have: nothing of it is known, so it counts as one that may change anything.
 */
export function commandOfOthers(name: string): Command {
  return commandOf(name, 'server admin explicit all none', '', '', true);
}

export function commandsNamed(name: string, added?: AddedCommands): readonly Command[] {
  return allSeries.flatMap((series) => commandNamed(series, name, added) ?? []);
}

/** Every command of the series, by name; the added ones last. */
export function commandsOf(series: Series, added = noneAdded): readonly Command[] {
  const all = [...tableOf(series).rows.keys(), ...added.names(series)];
  return all.flatMap((name) => commandNamed(series, name, added) ?? []);
}

let reasons: ReadonlyMap<string, string> | undefined;

/** Why a command is not `keeps`, for people; continues a sentence after its name. */
export function whyNotKept({ name }: Pick<Command, 'name'>): string {
  reasons ??= new Map(rowsOf(holdReasons).map(([command = '', why = '']) => [command, why]));
  return reasons.get(name) ?? 'can change mail';
}

let names: ReadonlySet<string> | undefined;

/** The names of all commands of Dovecot, those of the older series first. */
export function commandNames(): ReadonlySet<string> {
  names ??= new Set(allSeries.flatMap((series) => [...tableOf(series).rows.keys()]));
  return names;
}

export function parameterNamed(command: Command, name: string): Parameter | undefined {
  return parametersByName.get(command)?.get(name);
}

export function optionName(parameter: Parameter): string {
  return parameter.short === undefined ? `--${parameter.name}` : `-${parameter.short}`;
}

/** The list option of which a text positional is another spelling: `fetch "uid flags"` is `--field uid --field flags`; else undefined. */
export function listOfText(command: Command, parameter: Parameter): Parameter | undefined {
  if (parameter.name !== 'fieldstr' && parameter.name !== 'flagstr') return undefined;
  return parameterNamed(command, parameter.name.slice(0, -'str'.length));
}

/** The text positional that is another spelling of a list option. */
export function textOfList(command: Command, parameter: Parameter): Parameter | undefined {
  if (parameter.name !== 'field' && parameter.name !== 'flag') return undefined;
  return parameterNamed(command, `${parameter.name}str`);
}

export interface ResolvedCommand {
  readonly command: Command;
  readonly args: readonly string[];
}

/** Commands that real doveadm runs itself: they read the machine's configuration or ask its auth service. No server has them. */
const localCommand =
  /^(?:config|dump|exec|help|pw|zlibconnect|compress-connect|auth (?:test|login|lookup|cache status)|mailbox mutf7)(?= |$)/;

/** Why words that name a command of the real doveadm program alone are not sent; undefined: they name no such command. */
export function whyLocal(words: readonly string[]): string | undefined {
  const [name] = localCommand.exec(words.slice(0, 3).join(' ')) ?? [];
  return name === undefined ? undefined : `"${name}" works only on Dovecot's own machine: no server has it`;
}

/**
 * The command at the beginning of `words` (everything after the user field). Undefined: the server would answer "unknown command". As on
 * the server: the first registered name that the leading words match completely, whether a word contains one of its words or several. No
 * abbreviations, no case folding: an empty word, a second blank or a blank at an end matches nothing. No name is a prefix of another (a
 * test checks that), so the order of registration does not matter.
 */
export function resolveCommand(
  series: Series,
  words: readonly string[],
  added = noneAdded,
): ResolvedCommand | undefined {
  const [first = ''] = words;
  const blank = first.indexOf(' ');
  const word = blank === -1 ? first : first.slice(0, blank);
  const { byFirstWord } = tableOf(series);
  for (const among of [byFirstWord.get(word) ?? [], added.begunBy(series, word)]) {
    for (const name of among) {
      const used = wordsUsed(name, words);
      const command = used === undefined ? undefined : commandNamed(series, name, added);
      if (command !== undefined) return { command, args: words.slice(used) };
    }
  }
  return undefined;
}

/** The same for dovegate's own commands, which no series has. */
export function resolveOwnCommand(words: readonly string[]): ResolvedCommand | undefined {
  if (words[0]?.startsWith('dovegate') !== true) return undefined;
  for (const command of ownCommands) {
    const used = wordsUsed(command.name, words);
    if (used !== undefined) return { command, args: words.slice(used) };
  }
  return undefined;
}

/** How many leading words make up the whole name; undefined: they do not. */
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

const plainFields = new Set(
  (
    'user mailbox mailbox-guid seq uid guid flags modseq size.physical size.virtual date.received date.sent date.saved ' +
    'date.received.unixtime date.sent.unixtime date.saved.unixtime pop3.uidl pop3.order refcount storageid'
  ).split(' '),
);
const contentFields = new Set(
  'hdr body body.preview body.snippet text text.utf8 imap.envelope imap.body imap.bodystructure'.split(' '),
);
const headerFilters = new Set(['utf8', 'address', 'address_name', 'address_name.utf8']);

/**
 * The class of a `fetch` field, in lower case: `plain`: about the mail as an object. `content`: shows text, headers, addresses or
 * structure. Undefined: the series does not have it.
 */
export function fetchFieldClass(series: Series, field: string): 'plain' | 'content' | undefined {
  if (plainFields.has(field)) return 'plain';
  if (contentFields.has(field) || (series === '2.4' && field === 'mime.parts')) return 'content';
  const header = /^hdr\.([!-\-/-9;-~]+)(?:\.(.+))?$/.exec(field);
  if (header !== null) return header[2] === undefined || headerFilters.has(header[2]) ? 'content' : undefined;
  const part = /^(?:body|binary)\.(?:\d+(?:\.\d+)*(?:\.(?:mime|header|text))?|header|text)$/;
  return part.test(field) ? 'content' : undefined;
}

/** The fields of `mailbox status` in the order of the cells; `doveadm/protocol/releases` has those that older servers lack. */
export const statusFields: readonly string[] =
  'messages recent deleted uidnext uidvalidity unseen highestmodseq vsize guid firstsaved'.split(' ');

/** Fields of `mailbox status` that `-t` can sum up. */
export const statusTotals: readonly string[] = ['messages', 'recent', 'unseen', 'vsize'];

const TAB = 0x09;
const LF = 0x0a;

/**
 * Detects lines in a text that a server would run if it began to read commands in the middle: a TAB, any text, a TAB, the name of a
 * command. For transports that may cut a text anywhere. It prefers false alarms: flags may take more fields, so every field from the third
 * on is checked.
 */
export function createCommandSpotter(added = noneAdded): CommandSpotter {
  const firstWords = new Set(
    allSeries.flatMap((series) => [
      ...tableOf(series).byFirstWord.keys(),
      ...added.names(series).map(firstWordOf),
    ]),
  );
  const headBytesMax = 1 + Math.max(...[...firstWords].map((word) => word.length));
  let tabs = 0;
  let head = '';

  return {
    spots(piece) {
      let from = 0;
      while (from <= piece.length) {
        const tab = piece.indexOf(TAB, from);
        const stop = tab < 0 ? piece.length : tab;
        const rest = piece.subarray(from, stop);
        const line = rest.indexOf(LF);
        // No more of a field than this is kept, however the text is cut.
        const stopOfHead = Math.min(line < 0 ? rest.length : line, headBytesMax - head.length);
        head += rest.toString('latin1', 0, stopOfHead);
        const isOver = line >= 0 || tab >= 0;
        if (tabs >= 2 && isCommand(firstWords, head, isOver)) return true;
        if (isOver) head = '';
        if (line >= 0) tabs = 0;
        if (tab >= 0) tabs += 1;
        from = stop + 1;
      }
      return false;
    },
  };
}

/** An escape may spell any word; after its name a command has a blank, or its field ends. */
function isCommand(firstWords: ReadonlySet<string>, head: string, isOver: boolean): boolean {
  if (head.includes('\x01')) return true;
  const end = head.search(/[ \r\0]/);
  if (end < 0) return isOver && firstWords.has(head);
  return firstWords.has(head.slice(0, end));
}
