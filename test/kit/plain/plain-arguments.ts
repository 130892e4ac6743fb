// Arguments with which each command of the catalog can be read, for the tests that go through all of them.

import assert from 'node:assert/strict';
import { commandNamed, type Series } from '../../../src/doveadm/commands/catalog.js';

const options: Readonly<Record<string, string[]>> = { 'mailbox cache decision': ['-a'] };

/** Those that it needs, and those that name its users: each is `user`. */
export function plainArguments(series: Series, name: string, user: string): string[] {
  const words: Record<string, string> = {
    'search-query': 'mailbox INBOX all',
    'mailbox-guid': '0123456789abcdef0123456789abcdef',
    user,
    'user-mask': user,
    'user-mask-or-ip': user,
    'mail-flags': '\\Seen',
    'output-fields': name === 'mailbox status' ? 'all' : 'uid',
    'acl-id': 'owner',
    'acl-right': 'lookup',
    'dict-uri': 'file:/x',
    'dict-key': 'priv/x',
    'metadata-key': '/private/x',
    'mail-location': 'maildir:/x',
    'remote-destination': 'tcp:x',
    'sub-commands': 'x',
  };
  const command = commandNamed(series, name) ?? assert.fail(name);
  const positionals = command.params
    .filter(
      ({ isPositional, isOptional, name: param }) =>
        isPositional && (!isOptional || ['destination', 'user', 'user-mask', 'mask'].includes(param)),
    )
    .flatMap(({ role = '', type }) =>
      (words[role] ?? (type === 'int' ? '1' : name === 'oldstats dump' ? 'global' : 'x')).split(' '),
    );
  return [...(options[name] ?? []), '--', ...positionals];
}
