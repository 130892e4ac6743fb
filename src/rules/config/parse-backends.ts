// Reads `backends`. A backend that could only be dialed unsafely is an error, and so is an impossible list of namespaces, because
// judgements rely on it.

import type { Namespace } from '../../doveadm/names/mailbox-names.js';
import { serverTargetWords } from '../policy/policy.js';
import type { Cursor } from './cursor.js';
import { type RawBackend, type RawNamespace, tlsOf } from './schema.js';
import { without } from './schema-parts.js';
import type { BackendSettings } from './settings.js';

/** The valid backends; faults of the others are reported. */
export function parseBackends(raw: Readonly<Record<string, RawBackend>>, cursor: Cursor): BackendSettings[] {
  return Object.entries(raw).map(([name, each]) => backendOf(name, each, cursor.down(name)));
}

function backendOf(name: string, raw: RawBackend, at: Cursor): BackendSettings {
  const { address, connections } = raw;
  if (serverTargetWords.includes(name))
    at.error([], `${name} has a meaning in server_commands; give the backend another name`);
  return {
    ...without(raw, 'allowPlaintext'),
    name,
    tls: tlsOf(raw),
    // No certificate contains the zone of an IPv6 address.
    serverName: raw.serverName ?? (address.kind === 'tcp' ? address.host.replace(/%.*/, '') : 'localhost'),
    ...namespacesOf(raw, at),
    idle: raw.idle ?? Math.min(1, connections),
  };
}

/** `namespaces`, or its short form `shared_namespaces`. */
function namespacesOf(
  { namespaces: written, sharedNamespaces }: RawBackend,
  at: Cursor,
): Pick<BackendSettings, 'namespaces' | 'sharedNamespaces'> {
  if (written === undefined) return { namespaces: undefined, sharedNamespaces };
  const namespaces = parseList(written, at.down('namespaces'));
  const shared = namespaces.filter(({ kind }) => kind !== 'private').map(({ prefix }) => prefix);
  return { namespaces, sharedNamespaces: shared };
}

function parseList(raw: readonly RawNamespace[], cursor: Cursor): readonly Namespace[] {
  const namespaces = raw.map((each, index) => parseNamespace(each, cursor.down(index)));
  return namespaces.map((each, index) => {
    const at = cursor.down(index);
    const earlier = namespaces.slice(0, index);
    if (earlier.some(({ prefix }) => prefix === each.prefix)) {
      const message = 'is the prefix of a namespace above; two cannot have the same';
      at.error(['prefix'], message, 'defined-twice');
    }
    if (each.inbox && earlier.some(({ inbox }) => inbox))
      at.error(['inbox'], 'is set for a namespace above too; only one holds the INBOX', 'defined-twice');
    if (each.aliasFor === undefined) return each;
    const home = namespaces.find(({ prefix }) => prefix === each.aliasFor);
    if (home === undefined || home === each) {
      at.error(['alias_for'], 'must be the prefix of another namespace of this list', 'unknown-name');
      return each;
    }
    if (home.aliasFor !== undefined)
      at.error(['alias_for'], 'is itself an alias; write the prefix of the namespace that it is for');
    if (each.inbox) at.error(['inbox'], 'belongs to the namespace that alias_for names', 'key-conflict');
    const kind = raw[index]?.kind;
    if (kind !== undefined && kind !== home.kind) {
      const message = `must be left out: an alias is what its namespace is, ${home.kind}`;
      at.error(['kind'], message, 'key-conflict');
    }
    return { ...each, kind: home.kind };
  });
}

function parseNamespace(raw: RawNamespace, at: Cursor): Namespace {
  const { prefix, inbox, kind = 'private' } = raw;
  const separator = raw.separator ?? prefix.at(-1) ?? '';
  if (prefix === '' && raw.separator === undefined)
    at.error([], 'needs a separator, as "/": an empty prefix does not show it', 'missing-key');
  const wrong = prefix === '' ? undefined : whyNoPrefix(prefix, separator);
  if (wrong !== undefined) at.error(['prefix'], wrong);
  if (kind !== 'private' && prefix === '')
    at.error(['prefix'], `must not be empty: every mailbox would be ${kind}`);
  if (kind !== 'private' && inbox)
    at.error(['inbox'], `cannot be: a ${kind} namespace has no INBOX`, 'key-conflict');
  return { prefix, separator, inbox, aliasFor: raw.aliasFor, kind };
}

function whyNoPrefix(prefix: string, separator: string): string | undefined {
  if (/\p{Cc}/u.test(prefix)) return noControlCharacter;
  if (/[%$*?]/.test(prefix))
    return 'holds a variable or a wildcard; write what stands before the user, as "shared/" for "shared/%%u/"';
  const isSeparator = /^[!-/:-@[-`{-~]$/.test(separator);
  if (!isSeparator || !prefix.endsWith(separator))
    return `must end with its separator, as "${prefix.replace(/[/.]$/, '')}${isSeparator ? separator : '/'}"`;
  if (prefix.startsWith(separator) || prefix.includes(separator + separator))
    return 'has an empty part: a separator stands at its beginning, or twice';
  if (/^inbox/i.test(prefix) && prefix[5] === separator && !prefix.startsWith('INBOX'))
    return 'must have INBOX in capitals, as Dovecot demands it';
  return undefined;
}

/** No mailbox name has one; and keys of cached judgements separate prefixes by control characters. */
const noControlCharacter = 'contains a control character';
