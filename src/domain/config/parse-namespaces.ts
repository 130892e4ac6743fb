// Owns the reading of what a backend says of its namespaces: the whole list, or the prefixes of the shared ones alone.
// It does not know which mailboxes a name may be; the catalog does. The rule: a list that no Dovecot could have is a problem, because
// judgements rely on it.
import type { Namespace } from '../commands/mailbox-names.js';
import type { RawBackend } from './schema.js';
import type { BackendSettings } from './settings.js';
import type { Cursor } from './written.js';

/** Both forms of it; `cursor` stands at the backend. */
export function parseNamespaces(
  raw: RawBackend,
  cursor: Cursor,
): Pick<BackendSettings, 'namespaces' | 'sharedNamespaces'> {
  const sharedNamespaces = parseSharedNamespaces(raw, cursor);
  if (raw.namespaces === undefined) return { namespaces: undefined, sharedNamespaces };
  if (raw.shared_namespaces !== undefined) {
    cursor.error(
      ['shared_namespaces'],
      'is the short form of namespaces, which says the shared ones too; leave one of them out',
      'key-conflict',
    );
  }
  const namespaces = parseList(raw.namespaces, cursor.down('namespaces'));
  if (!namespaces.some(({ inbox }) => inbox)) {
    cursor.warning(
      ['namespaces'],
      'says of none that the INBOX is in it (inbox: true), so each name that ends in INBOX may be the INBOX',
      'namespaces-unsaid',
    );
  }
  const shared = namespaces.filter(({ kind }) => kind !== 'private').map(({ prefix }) => prefix);
  return { namespaces, sharedNamespaces: shared };
}

type RawNamespace = NonNullable<RawBackend['namespaces']>[number];

function parseList(raw: readonly RawNamespace[], cursor: Cursor): readonly Namespace[] {
  const namespaces = raw.map((each, at) => parseNamespace(each, cursor.down(at)));
  for (const [at, { prefix, inbox }] of namespaces.entries()) {
    const earlier = namespaces.slice(0, at);
    if (earlier.some((each) => each.prefix === prefix)) {
      cursor.error(
        [at, 'prefix'],
        'is the prefix of a namespace above; two cannot have the same',
        'defined-twice',
      );
    }
    if (inbox && earlier.some((each) => each.inbox)) {
      cursor.error([at, 'inbox'], 'is said of a namespace above too; the INBOX is in one', 'defined-twice');
    }
  }
  return namespaces.map((each, at) => {
    if (each.aliasFor === undefined) return each;
    const home = namespaces.find(({ prefix }) => prefix === each.aliasFor);
    const here = cursor.down(at);
    if (home === undefined || home === each) {
      here.error(['alias_for'], 'must be the prefix of another namespace of this list', 'unknown-name');
      return each;
    }
    if (home.aliasFor !== undefined) {
      here.error(['alias_for'], 'is itself an alias; write the prefix of the namespace that it is for');
    }
    if (each.inbox) {
      here.error(['inbox'], 'is for the namespace that this one is an alias for', 'key-conflict');
    }
    if (raw[at]?.kind !== undefined && raw[at].kind !== home.kind) {
      here.error(
        ['kind'],
        `must be left out: an alias is what its namespace is, ${home.kind}`,
        'key-conflict',
      );
    }
    return { ...each, kind: home.kind };
  });
}

function parseNamespace(raw: RawNamespace, cursor: Cursor): Namespace {
  const { prefix, inbox = false, kind = 'private' } = raw;
  const separator = raw.separator ?? prefix.at(-1) ?? '';
  checkPrefix(prefix, separator, raw, cursor);
  if (kind !== 'private' && prefix === '') {
    cursor.error(['prefix'], `must not be empty: every mailbox would be ${kind}`);
  }
  if (kind !== 'private' && inbox)
    cursor.error(['inbox'], `cannot be: a ${kind} namespace has no INBOX`, 'key-conflict');
  return { prefix, separator, inbox, aliasFor: raw.alias_for, kind };
}

function checkPrefix(prefix: string, separator: string, raw: RawNamespace, cursor: Cursor): void {
  if (prefix === '') {
    if (raw.separator === undefined) {
      cursor.error([], 'needs a separator, as "/": an empty prefix does not show it', 'missing-key');
    }
    return;
  }
  const wrong = whyNoPrefix(prefix, separator);
  if (wrong !== undefined) cursor.error(['prefix'], wrong);
}

function whyNoPrefix(prefix: string, separator: string): string | undefined {
  // No mailbox has one in its name; and remembered judgements are told apart by prefixes with control characters between them.
  if (/\p{Cc}/u.test(prefix)) return 'holds a control character';
  if (/[%$*?]/.test(prefix)) {
    return 'holds a variable or a wildcard; write what stands before the user, as "shared/" for "shared/%%u/"';
  }
  if (!/[!-/:-@[-`{-~]$/.test(prefix) || !prefix.endsWith(separator)) {
    return `must end with its separator, as "${prefix.replace(/[/.]$/, '')}${separator.length === 1 && /[!-/:-@[-`{-~]/.test(separator) ? separator : '/'}"`;
  }
  if (prefix.startsWith(separator) || prefix.includes(separator + separator)) {
    return 'has an empty part: a separator stands at its beginning, or twice';
  }
  if (/^inbox/i.test(prefix) && prefix[5] === separator && !prefix.startsWith('INBOX')) {
    return 'must have INBOX in capitals, as Dovecot demands it';
  }
  return undefined;
}

function parseSharedNamespaces(raw: RawBackend, cursor: Cursor): readonly string[] | undefined {
  if (raw.shared_namespaces === undefined) return undefined;
  return cursor.words('shared_namespaces').map(({ text }, index) => {
    if (text === '') cursor.error(['shared_namespaces', index], 'an empty prefix would be every mailbox');
    // No mailbox has one in its name; and remembered judgements are told apart by prefixes with control characters between them.
    else if (/\p{Cc}/u.test(text)) {
      cursor.error(['shared_namespaces', index], 'holds a control character');
    }
    return text;
  });
}
