// The output of `dovegate init`, as pure functions: a configuration with a policy and its tests, and the lines for Dovecot. Text of an
// answer is written in JSON quotes, which YAML reads unchanged, unless it has only letters, digits and `._/-`.

import { join } from 'node:path';
import { allSeries, commandsOf, type Series } from '../../doveadm/commands/catalog.js';
import type { NameCase } from '../../doveadm/names/user-name.js';
import { runTests } from '../../rules/answers/policy-tests.js';
import type { PolicyTest, Settings } from '../../rules/config/settings.js';

export interface BackendPlace {
  readonly name: string;
  /** Patterns of the mail users that it serves. */
  readonly users: readonly string[];
  /** The prefixes of its shared namespaces; undefined: not known. */
  readonly sharedNamespaces: readonly string[] | undefined;
}

export type UnixBackend = BackendPlace & {
  readonly kind: 'unix';
  readonly path: string;
  readonly series: Series | undefined;
  readonly nameCase: NameCase;
  readonly listenerName: string;
  /** Dovecot already listens there with the settings that we need. */
  readonly isReady: boolean;
};

export type TcpBackend = BackendPlace & {
  readonly kind: 'tcp';
  readonly host: string;
  readonly port: number;
  readonly tls: 'starttls' | 'implicit';
  readonly caFile: string | undefined;
  readonly serverName: string;
  /** Relative to the configuration, or absolute. */
  readonly passwordFile: string;
  /** The password, if `init` writes its file. */
  readonly password: string | undefined;
};

export type BackendAnswer = UnixBackend | TcpBackend;

/** The people who may use one socket. */
export interface Team {
  readonly team: string;
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

export interface Answers {
  /** The directory of the configuration; absolute, like all paths here. */
  readonly directory: string;
  /** At least one. */
  readonly backends: readonly BackendAnswer[];
  /** At least one; each gets its own socket. */
  readonly teams: readonly [Team, ...Team[]];
  /** Undefined: the policies only observe, and are in a file of their own, which the output of `suggest --all` replaces. */
  readonly preset: string | undefined;
  /** Parameters of the preset; one value is written as a text, several as a list. */
  readonly parameters: ReadonlyMap<string, readonly string[]>;
  /** Patterns of the mail users that the team may name. */
  readonly mailUsers: readonly string[];
  readonly journal: string;
  /** The directory for data other than records that must survive restarts. */
  readonly stateDirectory: string;
  /** The directory for sockets, and for records that are not on disk yet. */
  readonly runDirectory: string;
  readonly daemonUser: string;
}

export const configurationName = 'dovegate.yaml';
export const policiesName = 'policies.yaml';
export const snippetName = 'dovecot-snippet.conf';

/** Words that some version of YAML does not read as text. */
const yamlWords = new Set('y n yes no on off true false null nan inf'.split(' '));

/** Without quotes if every YAML reader takes it for text. */
function quote(text: string): string {
  const isPlain = /^[a-zA-Z/][\w./-]*$/.test(text) && !yamlWords.has(text.toLowerCase());
  return isPlain ? text : JSON.stringify(text).replaceAll('\u007f', '\\u007f');
}

const list = (texts: readonly string[]): string => `[${texts.map(quote).join(', ')}]`;

/** Parts of a draft that are known only once the preset was read. */
export interface DraftParts {
  readonly tests?: readonly string[];
  readonly serverCommands?: readonly string[];
}

/** Policies that observe are left out: `draftPolicies` writes them to their own file. */
export function draftConfiguration(
  answers: Answers,
  { tests = [], serverCommands = [] }: DraftParts = {},
): string {
  const { backends, teams, preset, journal, runDirectory } = answers;
  const include = `# The policies. They observe: docs/migrate-from-root.md\ninclude: [${policiesName}]\n`;
  return `# Written by "dovegate init". What each key means: docs/configuration.md. After a change:
#   dovegate check, dovegate test, dovegate reload
version: 1
${preset === undefined ? `\n${include}` : ''}
# A socket for each team. The kernel says who connects; everybody but these people is refused. To add or remove a person of
# "users", change it and run dovegate reload: their groups do not matter. For "groups", usermod or gpasswd is enough.
listeners:
${teams.map((each) => draftListener(each, runDirectory)).join('\n')}

# The Dovecots.
backends:
${backends.map(draftBackend).join('\n')}

# Which mail user is on which Dovecot: the first line that matches.
routes:
${backends.map(({ name, users: there }) => `  - { users: ${list(there)}, backend: ${name} }`).join('\n')}
${draftServerCommands(serverCommands)}${draftNames(backends)}
${preset === undefined ? '' : `${draftPolicies(answers)}\n`}# What the policy is meant to allow and to refuse, as it was when this file was written: dovegate test
tests:${tests.length === 0 ? ' []' : `\n${tests.join('\n')}`}

state: ${quote(answers.stateDirectory)}
audit:
  directory: ${quote(journal)}
  memory: ${quote(join(runDirectory, 'audit.ring'))}
# For dovegate status, reload and doctor.
admin:
  unix: ${quote(adminSocket(answers))}
`;
}

function draftListener({ team, users, groups }: Team, runDirectory: string): string {
  const people = [
    ...(users.length > 0 ? [`users: ${list(users)}`] : []),
    ...(groups.length > 0 ? [`groups: ${list(groups)}`] : []),
  ];
  return `  ${quote(team)}:
    unix: ${quote(socketOf(team, runDirectory))}
    mode: "0666"
    peers: { ${people.join(', ')} }
    policy: ${quote(team)}`;
}

export function draftPolicies({ teams, preset, parameters, mailUsers }: Answers): string {
  const values = [...parameters].map(
    ([name, value]) => `${quote(name)}: ${value.length === 1 ? quote(value.join()) : list(value)}`,
  );
  const use = quote(`presets/${preset ?? ''}`);
  const rules =
    preset === undefined
      ? ['allow: []']
      : ['use:', `  - ${values.length === 0 ? use : `{ preset: ${use}, with: { ${values.join(', ')} } }`}`];
  const observing = ['mode: observe', 'logs: full # error texts of Dovecot itself, as without a gate'];
  const lines = [...(preset === undefined ? observing : []), `users: ${list(mailUsers)}`, ...rules];
  return `policies:\n${teams.map(({ team }) => `  ${quote(team)}:\n${lines.map((line) => `    ${line}\n`).join('')}`).join('')}`;
}

function socketOf(team: string, runDirectory: string): string {
  return join(runDirectory, `${team}.sock`);
}

export function teamSocket({ runDirectory, teams: [{ team }] }: Answers): string {
  return socketOf(team, runDirectory);
}

export function adminSocket({ runDirectory }: Answers): string {
  return join(runDirectory, 'admin.sock');
}

/**
 * The commands of the policies that name no mail user and change something: with several backends each needs a route in `server_commands`.
 * Empty for one backend.
 */
export function serverCommandsOf({ backends, policies }: Settings): readonly string[] {
  if (backends.length < 2) return [];
  const changing = allSeries
    .flatMap((series) => commandsOf(series))
    .filter(({ name, scope, effect }) => scope === 'server' && effect !== 'read' && name !== 'user')
    .map(({ name }) => name);
  const all = [...policies.values()];
  return [...new Set(changing)].filter((name) => all.some(({ allowByCommand }) => allowByCommand.has(name)));
}

function draftServerCommands(names: readonly string[]): string {
  if (names.length === 0) return '';
  // The connections from one address may be on every Dovecot, so a kick goes to all.
  const lines = names.map((name) => `  ${quote(name)}: ${/\bkick$/.test(name) ? 'all' : 'by_user'}`);
  return `\n# Where these go: to each Dovecot, or to that of the user whom they name.\nserver_commands:\n${lines.join('\n')}\n`;
}

/** Empty unless Dovecot keeps the case of user names. */
function draftNames(backends: readonly BackendAnswer[]): string {
  const isKept = backends.some((backend) => backend.kind === 'unix' && backend.nameCase === 'keep');
  return isKept ? '\nmail_users: { case: keep } # as auth_username_format of this Dovecot\n' : '';
}

function draftBackend(backend: BackendAnswer): string {
  const { name, sharedNamespaces } = backend;
  return [
    `  ${name}:`,
    ...(backend.kind === 'tcp' ? draftTcp(backend) : [`    address: ${quote(`unix:${backend.path}`)}`]),
    sharedNamespaces === undefined
      ? '    # Add shared_namespaces: [] if this Dovecot has no shared mailboxes (docs/policies.md says why it matters).'
      : `    shared_namespaces: ${list(sharedNamespaces)} # the prefixes of shared mailboxes; []: it has none`,
  ].join('\n');
}

function draftTcp({ host, port, tls, caFile, serverName, passwordFile }: TcpBackend): readonly string[] {
  const shown = host.includes(':') ? `[${host}]` : host;
  return [
    `    address: ${quote(`${shown}:${port}`)}`,
    `    tls: ${tls}`,
    `    server_name: ${quote(serverName)}`,
    ...(caFile === undefined ? [] : [`    ca: ${quote(caFile)}`]),
    `    password_file: ${quote(passwordFile)}`,
  ];
}

/** The lines for each Dovecot, with its host, once for those with equal settings; undefined: nothing is missing. */
export function draftSnippet({ backends, daemonUser }: Answers): string | undefined {
  const here = backends.some(({ kind }) => kind === 'tcp') ? 'this machine' : '';
  const hostsByLines = new Map<string, string[]>();
  for (const backend of backends) {
    if (backend.kind === 'unix' && backend.isReady) continue;
    const lines = backend.kind === 'tcp' ? networkLines(backend) : socketLines(backend, daemonUser);
    hostsByLines.set(lines, [
      ...(hostsByLines.get(lines) ?? []),
      backend.kind === 'tcp' ? backend.host : here,
    ]);
  }
  const texts = [...hostsByLines].map(([lines, hosts]) => {
    const on = hosts.join() === '' ? '' : `# On ${hosts.join(' and ')}:\n`;
    return `${on}${lines}`;
  });
  return texts.length === 0 ? undefined : texts.join('\n');
}

function socketLines({ listenerName }: UnixBackend, daemonUser: string): string {
  return `# A socket of Dovecot for dovegate alone: mode 0600 and nothing else makes it ask for no password. For Dovecot 2.3 and 2.4.
service doveadm {
  unix_listener ${listenerName} {
    mode = 0600
    user = ${daemonUser}
  }
}
# Without this, doveadm of 2.3 tells everybody but root after each command that it may not write statistics.
protocol doveadm {
  stats_writer_socket_path =
}
`;
}

function networkLines({ port, tls }: TcpBackend): string {
  const ssl = tls === 'implicit' ? '\n    ssl = yes' : '';
  return `# For Dovecot 2.3 and 2.4, in a file of conf.d. The certificate is the one for IMAP, so ssl must not be "no". Let only the host of
# dovegate reach this port. The password is in a file of root, mode 0600, with one line: doveadm_password = THE PASSWORD
!include_try /etc/dovecot/doveadm-password.conf
service doveadm {
  inet_listener dovegate {
    port = ${port}${ssl}
  }
}
`;
}

function userOf(pattern: string): string {
  return pattern.replaceAll(/\*+/g, (_stars, at: number) =>
    pattern.slice(0, at).includes('@') ? 'example.com' : 'someone',
  );
}

const candidates: readonly { readonly user: string; readonly words: readonly string[] }[] = [
  { user: 'USER', words: ['quota', 'get'] },
  { user: 'USER', words: ['mailbox', 'list'] },
  { user: 'USER', words: ['mailbox', 'status', 'messages', 'INBOX'] },
  { user: 'USER', words: ['search', 'mailbox', 'INBOX', 'all'] },
  { user: 'USER', words: ['expunge', 'mailbox', 'Trash', 'savedbefore', '90d'] },
  { user: 'USER', words: ['expunge', 'mailbox', 'INBOX', 'from', 'someone@example.net'] },
  { user: 'USER', words: ['mailbox', 'create', 'Work'] },
  { user: 'USER', words: ['dsync-server'] },
  { user: '', words: ['user', '-f', 'home', 'USER'] },
  { user: '', words: ['kick', 'USER'] },
  { user: '', words: ['auth', 'cache', 'flush', 'USER'] },
  { user: '', words: ['service', 'status'] },
  { user: '', words: ['stats', 'dump'] },
  {
    user: 'USER',
    words: ['mailbox', 'metadata', 'get', '-s', '', '/private/vendor/vendor.dovecot/http-notify'],
  },
  { user: 'USER', words: ['fetch', 'text', 'all'] },
  { user: 'USER', words: ['mailbox', 'delete', 'INBOX'] },
  { user: 'USER', words: ['mailbox', 'list', '-F', '/etc/passwd'] },
  { user: 'someone@not-in-the-policy.invalid', words: ['quota', 'get'] },
  { user: '', words: ['stop'] },
];

const eachMax = 4;

/** Tests of the decisions that the policy makes now, at most {@link eachMax} of each kind. `parse` reads a configuration without errors. */
export function testsFor(
  answers: Answers,
  nowMs: number,
  parse: (text: string) => Settings | undefined,
  serverCommands: readonly string[] = [],
): readonly string[] {
  if (answers.preset === undefined) return [];
  // The preset may be limited to one user.
  const [user] = answers.parameters.get('user') ?? answers.parameters.get('probe') ?? [];
  const named = user ?? userOf(answers.mailUsers[0] ?? '*');
  const lineOf = (each: (typeof candidates)[number], expect: PolicyTest['expect']): string => {
    const fill = (word: string): string => (word === 'USER' ? named : word);
    const who = each.user === '' ? '' : `user: ${quote(fill(each.user))}, `;
    const words = list(each.words.map(fill));
    return `  - { listener: ${quote(answers.teams[0].team)}, ${who}command: ${words}, expect: ${expect} }`;
  };
  const passing = (expect: PolicyTest['expect']): string[] => {
    const lines = candidates.map((each) => lineOf(each, expect));
    const settings = parse(draftConfiguration(answers, { tests: lines, serverCommands }));
    const outcomes = settings === undefined ? [] : runTests(settings, nowMs);
    return lines.filter((_line, at) => outcomes[at]?.isPassed === true);
  };
  return [...passing('allow').slice(0, eachMax), ...passing('deny').slice(-eachMax)];
}
