// Whether a command line can reach mailboxes of other people that a user sees below the prefix of a shared namespace. doveadm ignores
// ACLs, so whoever may name `shared/victim/INBOX` has the victim's mail. Says what is possible, never whether it is allowed.

import { foldAscii } from '../identity/user-name.js';
import type { Parameter } from './catalog.js';
import type { ParsedArguments } from './parse.js';
import { conditionsIn, namesMailbox } from './search-query.js';

/** Counted where a configuration does not say which prefixes there are; case does not matter. */
export const usualSharedPrefixes: readonly string[] = [
  'shared/',
  'shared.',
  'public/',
  'public.',
  'user/',
  'user.',
  'users/',
  'users.',
  'other users/',
  'other users.',
  '#shared/',
  '#public/',
  '#users/',
  '~',
];

/** Which parameter reaches into a shared namespace. */
export interface SharedReach {
  readonly parameter: string;
}

/**
 * The first parameter whose value can reach below one of the prefixes: a mailbox name in one or with one below it, a mask that can
 * match one, no mask where `*` is meant, a GUID (which is looked for everywhere), a query with any of these in it.
 *
 * @param prefixes of the backend's shared namespaces, each with its separator at the end; `[]`: it has none; undefined: it is not
 *   said. Then the usual ones count, and a query that names no mailbox counts as reaching them; where they are said it does not,
 *   since servers search only private namespaces unless a mailbox is named (measured on 2.3.13 and 2.4.5).
 */
export function sharedReach(
  parsed: ParsedArguments,
  prefixes: readonly string[] | undefined,
): SharedReach | undefined {
  const folded = prefixes?.map(foldAscii) ?? usualSharedPrefixes;
  if (folded.length === 0) return undefined;
  // Without a mask it lists everything that `*` does, and in shared namespaces too (measured on 2.3.19.1 and 2.4.1).
  if (parsed.command.name === 'mailbox list' && !parsed.values.has('mailbox-mask')) {
    return { parameter: 'mailbox-mask' };
  }
  for (const parameter of parsed.command.params) {
    const values = parsed.values.get(parameter.name);
    if (values === undefined) continue;
    const reaches =
      parameter.role === 'search-query'
        ? queryReaches(parsed, folded, prefixes !== undefined)
        : values.some((value) => valueReaches(parameter, value, folded));
    if (reaches) return { parameter: parameter.name };
  }
  return undefined;
}

function valueReaches(parameter: Parameter, value: string, prefixes: readonly string[]): boolean {
  const { role } = parameter;
  if (role === 'mailbox' || role === 'namespace') {
    const name = foldAscii(value);
    return prefixes.some((prefix) => nameReaches(name, prefix));
  }
  if (role === 'mailbox-mask') {
    const mask = foldAscii(value);
    return prefixes.some((prefix) => maskReaches(mask, prefix));
  }
  return role === 'mailbox-guid' || parameter.name === 'all-namespaces';
}

function queryReaches(
  parsed: ParsedArguments,
  prefixes: readonly string[],
  arePrefixesKnown: boolean,
): boolean {
  const { query } = parsed;
  if (query === undefined) return false;
  if (!arePrefixesKnown && !namesMailbox(query)) return true;
  // Wherever in the tree a mailbox is named, the server may open it.
  return conditionsIn(query).some(({ key, values }) => {
    if (key.name === 'mailbox-guid') return true;
    if (key.name !== 'mailbox') return false;
    const name = foldAscii(values[0] ?? '');
    return prefixes.some((prefix) => maskReaches(name, prefix));
  });
}

/** A name in the namespace, its root, or one that has the namespace below it. */
function nameReaches(name: string, prefix: string): boolean {
  if (name.startsWith(prefix) || name === prefix.slice(0, -1)) return true;
  return name !== '' && prefix.startsWith(name) && /[/.\\:^|]/.test(prefix[name.length] ?? '');
}

/**
 * Whether a mask with `*` and `%` can match the namespace's root or something below. Both wildcards count as any text. Servers let
 * neither cross into another namespace (measured on 2.3.13 and 2.4.5), which is not relied on: what an operator calls shared
 * need not be a namespace of its own.
 */
export function maskReaches(mask: string, prefix: string): boolean {
  const wild = mask.search(/[*%]/);
  if (wild === -1) return nameReaches(mask, prefix);
  const literal = mask.slice(0, wild);
  if (literal.length >= prefix.length) return literal.startsWith(prefix);
  // Up to the first wildcard mask and prefix must agree; behind it the mask can match the rest of the prefix and more.
  return prefix.startsWith(literal);
}
