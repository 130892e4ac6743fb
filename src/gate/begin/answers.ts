// The five answers of `dovegate init`: each is one line of words, from an option or from a terminal. An answer without a meaning
// is refused with one sentence, before anything is written.

import { basename, dirname, join, resolve } from 'node:path';
import { nearestName } from '../../doveadm/names/nearest-name.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { ownSocketName, socketName } from '../../rules/setup/doveconf.js';
import { type Answers, type BackendPlace, type TcpBackend, type Team, type UnixBackend } from './draft.js';
import type { Machine } from './machine.js';

/** As typed; undefined: not given. */
export interface InitOptions {
  readonly directory?: string;
  /** Each with `=` and the patterns of its mail users, if there are several. */
  readonly backend?: readonly string[];
  /** Each a name, or NAME=MEMBERS. */
  readonly team?: readonly string[];
  /** Users, and groups with a leading `%`. */
  readonly members?: string;
  readonly observe?: boolean;
  readonly preset?: string;
  /** Each NAME=VALUE. */
  readonly with?: readonly string[];
  readonly mailUsers?: string;
  readonly journal?: string;
  readonly runAs?: string;
  readonly tls?: 'starttls' | 'implicit';
  readonly ca?: string;
  readonly serverName?: string;
  /** One for all backends, or one for each. */
  readonly passwordFile?: readonly string[];
  /** `none`, or the prefixes. */
  readonly sharedNamespaces?: string;
}

const systemPlaces = {
  directory: '/etc/dovegate',
  state: '/var/lib/dovegate',
  journal: '/var/lib/dovegate/audit',
  run: '/run/dovegate',
} as const;

/** A question with its default answer; `fallback` undefined: an answer is required. */
export interface Question {
  readonly option: 'directory' | 'backend' | 'team' | 'preset' | 'journal';
  readonly text: string;
  readonly help: readonly string[];
  readonly fallback: string | undefined;
  /** Why there is no default, and what to answer. */
  readonly whyNone?: string;
}

export const wrong = (text: string): CommandFault => new CommandFault(exitCodes.usage, text);
const wordsOf = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

/** The five questions in order. `directory`: the answer to the first one, if known. */
export function questionsFor(machine: Machine, directory: string | undefined): readonly Question[] {
  const { dovecot, noDovecot, isRoot, mailUsers, presets } = machine;
  const at = directory ?? (isRoot ? systemPlaces.directory : resolve('dovegate'));
  const version = dovecot === undefined ? '' : `Dovecot ${dovecot.version}`;
  const whose = mailUsers.length === 0 ? undefined : mailUsers.join(' ');
  const whyNobody = whose === undefined ? whoseMailboxes(machine) : undefined;
  return [
    {
      option: 'directory',
      text: 'Where shall the configuration lie?',
      help: [],
      fallback: isRoot ? systemPlaces.directory : resolve('dovegate'),
    },
    {
      option: 'backend',
      text: 'Which Dovecot?',
      help: [
        dovecot === undefined
          ? (noDovecot ?? '')
          : `local: ${version} on this machine, over a UNIX socket, without certificate and password`,
        'HOST:PORT: one on another machine, over TLS',
        'several: each with its mail users, as mail1.example.com:24245=*@example.com mail2.example.com:24245=*@example.net',
      ],
      fallback: dovecot === undefined ? undefined : 'local',
    },
    {
      option: 'team',
      text: 'Who may use it? The name of a team, then its users, or its groups with % in front',
      help: ['for example: support anna bert, or: support %helpdesk'],
      fallback: defaultTeam(machine),
    },
    {
      option: 'preset',
      text: 'What may they do, in whose mailboxes? A preset, then patterns of mail users',
      help: [
        ...presets.map(({ name, about }) => `${name.padEnd(20)} ${about}`),
        ...(whyNobody === undefined ? [] : [whyNobody]),
      ],
      fallback: whose === undefined ? undefined : `support-desk ${whose}`,
      ...(whyNobody !== undefined && { whyNone: whyNobody }),
    },
    {
      option: 'journal',
      text: 'Where shall the journal of all commands lie?',
      help: [],
      fallback: at === systemPlaces.directory ? systemPlaces.journal : join(at, 'audit'),
    },
  ];
}

/** The users of a policy are never guessed: the obvious guess, all users, would permit the most. */
function whoseMailboxes({ noMailUsers }: Pick<Machine, 'noMailUsers'>): string {
  const why = noMailUsers === undefined ? '' : ` (${noMailUsers})`;
  return `in whose mailboxes? The domains of the mail users are not known${why}; name patterns (--mail-users), as *@example.com, or * for all users`;
}

function defaultTeam({ gidOf, person }: Machine): string | undefined {
  if (gidOf('support') !== undefined) return 'support %support';
  return person === undefined ? undefined : `support ${person}`;
}

/** Options as typed lines. `members` alone implies the team `support`; mail users or parameters the preset `support-desk`. */
export function linesOf(options: InitOptions): Partial<Record<Question['option'], string>> {
  const { directory, backend, journal, members, mailUsers } = options;
  const parameters = options.with;
  const teams = options.team ?? (members === undefined ? undefined : ['support']);
  const preset =
    options.preset ?? (mailUsers === undefined && parameters === undefined ? undefined : 'support-desk');
  return {
    ...(directory !== undefined && { directory }),
    ...(backend !== undefined && { backend: backend.join(' ') }),
    ...(teams !== undefined && { team: `${teams.join('; ').replaceAll('=', ' ')} ${members ?? ''}`.trim() }),
    ...(options.observe === true ? { preset: mailUsers ?? '' } : {}),
    ...(preset !== undefined &&
      options.observe !== true && {
        preset: [preset, ...(parameters ?? []), mailUsers ?? ''].join(' ').trim(),
      }),
    ...(journal !== undefined && { journal }),
  };
}

export function parseDirectory(text: string): string {
  const path = resolve(text.trim());
  // The path becomes part of printed shell commands.
  if (text.trim() === '' || !/^\/[\w./+@:,-]*$/.test(path))
    throw wrong('a directory is a path of letters, digits and ._+@:,- only');
  return path;
}

const mailUserPattern = /^[\w.+=@*?-]+$/;
const wrongPattern = 'a pattern of mail users has letters, digits and ._+=@*?- only, as *@example.com';

/** Without the password. */
export type BackendAsked = UnixBackend | Omit<TcpBackend, 'passwordFile' | 'password'>;

/** Each word is WHERE, or WHERE=PATTERN,PATTERN if there are several. */
export function parseBackends(
  text: string,
  options: InitOptions,
  machine: Machine,
  daemonUser: string,
): readonly BackendAsked[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  const found = words.map((word, at): BackendAsked => {
    const [, where = '', patterns] = /^([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    const users = patterns?.split(',') ?? ['*'];
    if (!users.every((pattern) => mailUserPattern.test(pattern))) throw wrong(wrongPattern);
    const place = { name: `mail${at + 1}`, users, sharedNamespaces: parseShared(options.sharedNamespaces) };
    const backend = parseBackend(where, place, options, machine, daemonUser);
    if (patterns === undefined && at < words.length - 1)
      throw wrong(
        `which mail users are on ${where}? Of several Dovecots only the last may be named without them, and has all others; the rest as ${where}=*@example.com`,
      );
    return backend;
  });
  if (found.length === 0) throw wrong(wrongBackend);
  const remote = found.filter(({ kind }) => kind === 'tcp').length;
  const { tls, ca, serverName, passwordFile } = options;
  const ofRemote = { tls, ca, 'server-name': serverName, 'password-file': passwordFile };
  for (const [name, value] of Object.entries(ofRemote))
    if (value !== undefined && remote === 0)
      throw wrong(`--${name} is for a backend HOST:PORT; a UNIX socket needs none`);
  if (serverName !== undefined && remote > 1)
    throw wrong('--server-name is for one Dovecot; of several, each has its host in its certificate');
  return found;
}

const wrongBackend = 'a backend is "local", unix:PATH or HOST:PORT, as mail1.example.com:24245';

/** `none`: an empty list. Undefined: not known. */
export function parseShared(text: string | undefined): readonly string[] | undefined {
  const words = wordsOf(text ?? '');
  return words.length === 0 ? undefined : words.join() === 'none' ? [] : words;
}

function parseBackend(
  at: string,
  place: BackendPlace,
  options: InitOptions,
  machine: Machine,
  daemonUser: string,
): BackendAsked {
  const [, unix] = /^unix:(\/[\w./+@:,-]+)$/.exec(at) ?? [];
  if (at === 'local' || unix !== undefined) {
    if (unix !== undefined && basename(unix) === ownSocketName && daemonUser !== 'root')
      throw wrong(
        `${unix} is Dovecot's own, for doveadm alone; a socket beside it is for dovegate: local, or unix:${join(dirname(unix), socketName)}`,
      );
    const { sharedNamespaces = machine.dovecot?.sharedNamespaces } = place;
    return { ...place, ...localBackend(unix, machine.dovecot, daemonUser), sharedNamespaces };
  }
  const [, bracketed, plain, digits = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(at) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) throw wrong(wrongBackend);
  const { tls = 'starttls', ca, serverName = host } = options;
  return {
    ...place,
    kind: 'tcp',
    host,
    port,
    tls,
    caFile: ca === undefined ? undefined : resolve(ca),
    serverName,
  };
}

function localBackend(
  path: string | undefined,
  dovecot: Machine['dovecot'],
  daemonUser: string,
): Omit<UnixBackend, keyof BackendPlace> {
  const base = dovecot?.baseDirectory ?? '/run/dovecot';
  const sockets = dovecot?.sockets ?? [];
  // Dovecot requires no password on a socket with this mode.
  const ready = sockets.find(
    (each) =>
      (path === undefined || each.path === path) &&
      (each.mode ?? '0600') === '0600' &&
      (each.user === '' ? 'root' : each.user) === daemonUser,
  );
  const chosen = path ?? ready?.path ?? join(base, socketName);
  return {
    kind: 'unix',
    path: chosen,
    // Dovecot 2.4 warns about a listener name that contains its own base directory.
    listenerName: chosen.startsWith(`${base}/`) ? chosen.slice(base.length + 1) : chosen,
    series: dovecot?.series,
    nameCase: dovecot?.names.case ?? 'fold',
    isReady: ready !== undefined,
  };
}

/** Teams are separated by semicolons. */
export function parseTeams(text: string, machine: Machine, daemonUser: string): Answers['teams'] {
  const [first = '', ...others] = text.split(';');
  const all: Answers['teams'] = [
    parseTeam(first, machine, daemonUser),
    ...others.map((each) => parseTeam(each, machine, daemonUser)),
  ];
  const twice = all.find(({ team }, at) => all.findIndex((each) => each.team === team) < at);
  if (twice !== undefined) throw wrong(`"${twice.team}" is named twice`);
  return all;
}

/** NAME USER... %GROUP...; without members, the group of the same name if it exists. */
function parseTeam(text: string, machine: Machine, daemonUser: string): Team {
  const [team = '', ...members] = wordsOf(text);
  if (!/^[a-zA-Z0-9][\w.-]{0,63}$/.test(team))
    throw wrong('the name of a team has 1 to 64 letters, digits, dots, dashes and underscores');
  if (team === 'admin') throw wrong('"admin" is the socket of the operators; call the team something else');
  const named = members.length > 0 || machine.gidOf(team) === undefined ? members : [`%${team}`];
  if (named.length === 0)
    throw wrong(`who is in "${team}"? Name users, or groups with % in front; there is no group "${team}"`);
  const groups = named.flatMap((word) => (word.startsWith('%') ? [word.slice(1)] : []));
  const users = named.filter((word) => !word.startsWith('%'));
  for (const user of users)
    if (machine.uidOf(user) === undefined)
      throw wrong(`this machine has no user "${user}"; for a job, make it with: useradd --system NAME`);
  for (const group of groups)
    if (machine.gidOf(group) === undefined)
      throw wrong(`this machine has no group "${group}"; make it with: groupadd NAME`);
  // The person who installs the gate, and doctor, must be able to use it, under their own names in the records.
  const operator = machine.isRoot ? 'root' : daemonUser;
  return { team, users: [...new Set([operator, ...users])], groups: [...new Set(groups)] };
}

/** `PRESET NAME=VALUE... PATTERN...` */
export function parsePreset(
  text: string,
  known: Pick<Machine, 'presets' | 'mailUsers' | 'noMailUsers'>,
): Pick<Answers, 'preset' | 'parameters' | 'mailUsers'> {
  // A comma may also be part of a parameter's value.
  const [preset = '', ...rest] = text.split(/\s+/).filter((word) => word !== '');
  const names = known.presets.map(({ name }) => name);
  if (!names.includes(preset)) {
    const meant = nearestName(preset, names);
    const hint = meant === undefined ? `there are: ${names.join(', ')}` : `did you mean ${meant}?`;
    throw wrong(`there is no preset "${preset}"; ${hint}`);
  }
  const parameters = rest.flatMap((word) => {
    const [, name, value] = /^([a-z_]+)=(.+)$/s.exec(word) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value.split(',')] as const];
  });
  const patterns = rest.filter((word) => !/^[a-z_]+=/.test(word)).join(' ');
  return { ...parseObserved(patterns, known), preset, parameters: new Map(parameters) };
}

/** `PATTERN...` for policies that only observe. */
export function parseObserved(
  text: string,
  { mailUsers, noMailUsers }: Pick<Machine, 'mailUsers' | 'noMailUsers'>,
): Pick<Answers, 'preset' | 'parameters' | 'mailUsers'> {
  const patterns = wordsOf(text);
  for (const pattern of patterns) if (!mailUserPattern.test(pattern)) throw wrong(wrongPattern);
  if (patterns.length === 0 && mailUsers.length === 0) throw wrong(whoseMailboxes({ noMailUsers }));
  const users = patterns.length === 0 ? mailUsers : [...new Set(patterns)];
  return { preset: undefined, parameters: new Map(), mailUsers: users };
}

/** The paths of all other files, by the directory of the configuration. */
export function placesFor(directory: string): Pick<Answers, 'directory' | 'stateDirectory' | 'runDirectory'> {
  const isSystem = directory === systemPlaces.directory;
  return {
    directory,
    stateDirectory: isSystem ? systemPlaces.state : join(directory, 'state'),
    runDirectory: isSystem ? systemPlaces.run : join(directory, 'run'),
  };
}
