// Command lines of the catalog with a secret in each parameter that can hold one.
import type { Command, Parameter, Role } from '../../../src/doveadm/commands/catalog.js';

export const user = 'alice@example.org';

/** Words that carry a secret, by the role of their parameter; the others carry none. */
const secretWordsOf: Partial<Record<Role, (secret: string) => readonly string[]>> = {
  'auth-info': (secret) => [`service=${secret}`],
  'dict-uri': (secret) => [`redis:host=h:password=${secret}`],
  'fs-args': (secret) => [`password=${secret}`],
  'mail-location': (secret) => [`imapc:~/mail:token=${secret}`],
  'metadata-value': (secret) => [secret],
  'remote-destination': (secret) => [`tcp:admin:${secret}@mail.example.org`],
  'search-query': (secret) => ['mailbox', 'INBOX', 'text', secret],
  secret: (secret) => [secret],
  'setting-override': (secret) => [`plugin/x=${secret}`],
  'sub-commands': (secret) => ['mailbox', 'metadata', 'set', 'INBOX', '/private/comment', secret],
  text: (secret) => [secret],
  value: (secret) => [secret],
};

/** Undefined: its value is never secret. */
export function secretWords({ role }: Parameter, secret: string): readonly string[] | undefined {
  return role === undefined ? undefined : secretWordsOf[role]?.(secret);
}

/** Something that a server would take for a parameter that must be there. */
function plainWords({ role, type }: Parameter): readonly string[] {
  if (type === 'int') return ['1'];
  if (role === 'search-query') return ['all'];
  if (role === 'user' || role === 'user-mask' || role === 'source-user') return [user];
  if (role === 'ip' || role === 'host') return ['127.0.0.1'];
  if (role === 'mailbox-guid' || role === 'guid') return ['0123456789abcdef0123456789abcdef'];
  if (role === 'metadata-key') return ['/private/comment'];
  if (role === 'output-fields') return ['uid'];
  if (role === 'mail-flags') return ['\\Seen'];
  return ['INBOX'];
}

/** A line with one secret in it, as words behind the user. */
export function lineOf(command: Command, asked: Parameter, words: readonly string[]): string[] {
  const options: string[] = [];
  const positionals: string[] = [];
  for (const parameter of command.params) {
    const isAsked = parameter === asked;
    if (!isAsked && (!parameter.isPositional || parameter.isOptional)) continue;
    const given = isAsked ? words : plainWords(parameter);
    if (parameter.isPositional) positionals.push(...(parameter.key ? [parameter.key] : []), ...given);
    else if (parameter.short === undefined) options.push(`--${parameter.name}=${given.join(' ')}`);
    else options.push(`-${parameter.short}`, ...given);
  }
  return [command.name, ...options, ...positionals];
}
