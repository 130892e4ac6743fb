// How much a command line does: which parameters are dangerous, what they raise its effect to, and which a rule must name before
// they may be used; and what `user` prints of a userdb, which often holds passwords and private keys
// (mail_crypt_private_password, imapc_password):
//
//   user MASK             names, whatever the options are (measured on 2.3.19.1 and 2.4.1)
//   user NAME             every field
//   user -f FIELD NAME    that field
//   user -e TEXT NAME     the text with variables expanded: any field, and on 2.4 the server's environment
import { type Command, type Effect, type Parameter, type Role, strongerEffect } from './catalog.js';
import type { ParsedArguments } from './parse.js';

/**
 * `free`: a rule for the command permits it. `named`: only a rule that names the parameter does. `all-users`: only a rule that
 * grants all users does. `never`: no rule can.
 */
export type Caution = 'free' | 'named' | 'all-users' | 'never';

/** Per command: the dangerous parameter, the effect of a command line that has it, and what it does (Dovecot's manual pages). */
const dangers: readonly (readonly [commands: string, parameter: string, effect: Effect, why: string])[] = [
  ['expunge', 'delete-empty-mailbox', 'destroy', 'deletes mailboxes that the expunge has emptied'],
  ['mailbox delete', 'recursive', 'destroy', 'deletes everything below as well'],
  ['mailbox delete', 'unsafe', 'destroy', 'deletes without locking, as fast as it can'],
  [
    'deduplicate',
    'by-msgid',
    'destroy',
    'takes mails for equal whose Message-ID, which a sender chooses, is equal',
  ],
  ['stats dump', 'reset', 'destroy', 'sets the counters back after showing them'],
  ['kick', 'force', 'session', 'also ends the sessions of others in the same process'],
  ['kick,proxy kick', 'dest-host', 'session', 'ends the sessions of everybody on that host'],
  ['proxy kick', 'host', 'session', 'ends the sessions of everybody on that host'],
  ['director flush', 'force-flush', 'session', 'ends connections at once instead of moving them'],
  ['sieve put', 'activate', 'write', 'the script takes effect on the next mail'],
  ['sieve delete', 'ignore-active', 'destroy', 'deletes the script that is in use'],
  ['force-resync', 'fsck', 'write', 'rebuilds what it thinks is broken'],
  ['fs delete,mail fs delete', 'recursive', 'destroy', 'deletes everything below as well'],
  [
    'mailbox cryptokey generate',
    'force',
    'destroy',
    'replaces keys: mail encrypted with the old ones may be lost',
  ],
  ['mailbox cryptokey generate', 're-encrypt-box-keys', 'admin', 'encrypts every mailbox key anew'],
  ['mailbox cryptokey generate', 'user-key-only', 'admin', 'makes a new key for the user'],
  ['mailbox cryptokey password', 'clear-password', 'admin', 'leaves the private key without a password'],
  ['mailbox cryptokey export', 'user-key', 'read', "prints the user's private key"],
  ['sync,backup', 'purge-remote', 'destroy', 'deletes what the other side does not have'],
  ['sync,backup', 'reverse-sync', 'destroy', 'makes this side like the other one'],
  ['instance list', 'show-config', 'read', 'prints configuration'],
  [
    'mailbox metadata get,mailbox metadata list,mailbox metadata set,mailbox metadata unset',
    'allow-empty-mailbox-name',
    'read',
    'reaches the attributes of the whole account',
  ],
  ['user', 'expand-field', 'read', 'expands variables, also of the environment of the server'],
  ['user', 'field', 'read', 'prints a field of the userdb, which can be a password'],
];

/** Roles that reach beyond the mailboxes of the user: files, sockets, programs, other hosts, other users, other settings. */
const namedRoles: ReadonlySet<Role> = new Set<Role>([
  'args',
  'auth-info',
  'config-filter',
  'content-file',
  'dict-uri',
  'file-path',
  'file-path-write',
  'flag-remote',
  'fs-args',
  'fs-driver',
  'fs-path',
  'mail-location',
  'remote-destination',
  'setting-override',
  'socket',
  'source-user',
  'sub-commands',
  'userdb-field',
  'var-expansion',
]);

interface Danger {
  readonly effect: Effect;
  readonly why: string;
}

const dangerTable = new Map<string, Danger>();
for (const [commands, parameter, effect, why] of dangers) {
  for (const command of commands.split(',')) dangerTable.set(`${command}\0${parameter}`, { effect, why });
}

/** What is dangerous about the parameter of the command; undefined when nothing is. `why` goes on after "it". */
export function dangerOf(command: Command, parameter: Parameter): Danger | undefined {
  return dangerTable.get(`${command.name}\0${parameter.name}`);
}

/** What a rule must say before the parameter may be given. */
export function cautionOf(command: Command, parameter: Parameter): Caution {
  const { role } = parameter;
  // A file of users is read as root and comes back line by line in the log; the others steer the server's inside.
  if (role === 'user-file' || role === 'internal') return 'never';
  if (role === 'socket' && command.scope === 'user') return 'never';
  if (role === 'all-users') return 'all-users';
  if (role !== undefined && namedRoles.has(role)) return 'named';
  return dangerOf(command, parameter) === undefined ? 'free' : 'named';
}

/** The effect of a command line: the strongest of the command's and its present parameters'. */
export function effectOf(parsed: ParsedArguments): Effect {
  let effect = parsed.command.effect;
  for (const parameter of parsed.command.params) {
    if (!parsed.hasOption(parameter.name)) continue;
    effect = strongerEffect(effect, dangerOf(parsed.command, parameter)?.effect ?? 'read');
  }
  return effect;
}

/** Part of a name that says that the field may be a secret, or leads to one. */
const secretName =
  /pass|pwd|(?:^|_)pw(?:_|$)|secret|token|cred|key|crypt|hash|private|auth|otp|salt|seed|cookie|nonce/i;

/** Whether a field of that name may hold a secret. */
export function mayBeSecretField(field: string): boolean {
  return secretName.test(field);
}

/**
 * What a command line can show of a userdb that only a rule with `content: true` allows, for people; undefined for a field that is
 * not secret by its name, for lists of names, and for every other command. Never holds a value of the client.
 */
export function userdbContent(parsed: ParsedArguments): string | undefined {
  if (parsed.command.name !== 'user') return undefined;
  if (parsed.values.get('user-mask')?.some((mask) => /[*?]/.test(mask)) === true) return undefined;
  if (parsed.hasOption('expand-field')) return 'whatever the expansion asks for';
  const [field] = parsed.values.get('field') ?? [];
  if (field === undefined) return 'every field';
  return mayBeSecretField(field) ? 'a field that may be secret' : undefined;
}
