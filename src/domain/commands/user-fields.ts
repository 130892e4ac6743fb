// What `user` prints of a userdb: names only, some fields, or all of them. A userdb holds whatever its operator put there, and often
// passwords and private keys (mail_crypt_private_password, imapc_password).
//
//   user MASK             names, whatever the options are (measured on 2.3.19.1 and 2.4.1)
//   user NAME             every field
//   user -f FIELD NAME    that field
//   user -e TEXT NAME     the text with variables expanded: any field, and on 2.4 the server's environment
import type { ParsedArguments } from './parse.js';

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
