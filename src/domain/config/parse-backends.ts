// Reads `backends`. A backend that could only be dialed unsafely is an error, and so is an impossible list of namespaces, because
// judgements rely on it.

import { serverOfRelease } from '../../protocol/releases.js';
import { serverTargetWords } from '../judging/policy/policy.js';
import type { Namespace } from '../language/names/mailbox-names.js';
import { isLoopback } from '../people/identity/peer.js';
import type { Cursor } from './cursor.js';
import type { RawBackend, RawNamespace } from './schema.js';
import { parseHostAndPort, socketPathBytesMax, without } from './schema-parts.js';
import type { BackendAddress, BackendSettings } from './settings.js';

/** The valid backends; faults of the others are reported. */
export function parseBackends(raw: Readonly<Record<string, RawBackend>>, cursor: Cursor): BackendSettings[] {
  return Object.entries(raw).flatMap(([name, each]) => parseBackend(name, each, cursor.down(name)) ?? []);
}

function parseBackend(name: string, raw: RawBackend, at: Cursor): BackendSettings | undefined {
  if (serverTargetWords.includes(name))
    at.error([], `${name} has a meaning in server_commands; give the backend another name`);
  const address = parseAddress(raw.address, at);
  if (address === undefined) return undefined;
  const { connections, username } = raw;
  const tls = raw.tls ?? (address.kind === 'unix' ? 'off' : 'starttls');
  checkTls(raw, tls, address, at);
  if (address.kind === 'tcp' && raw.passwordFiles.length === 0) {
    const message = 'needs a password_file: Dovecot asks every TCP client for a password';
    at.error([], message, 'missing-key');
  }
  // It goes into the PLAIN answer between NUL bytes.
  if (/\p{Cc}/u.test(username)) at.error(['username'], 'contains a control character');
  const named = raw.release === undefined ? undefined : serverOfRelease(raw.release).series;
  if (named !== undefined && raw.series !== 'auto' && raw.series !== named)
    at.error(['release'], `is of ${named}, and series says ${raw.series}; leave series out`, 'key-conflict');
  const idle = raw.idle ?? Math.min(1, connections);
  if (idle > connections) at.error(['idle'], `cannot be above connections (${connections})`);
  return {
    ...without(raw, 'allowPlaintext'),
    name,
    address,
    tls,
    // No certificate has the zone of an address.
    serverName: raw.serverName ?? (address.kind === 'tcp' ? address.host.replace(/%.*/, '') : 'localhost'),
    ...parseNamespaces(raw, at),
    idle,
  };
}

/** The path of a socket is absolute already. */
function parseAddress(text: string, at: Cursor): BackendAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (Buffer.byteLength(path) > socketPathBytesMax)
      at.error(['address'], `a socket's path can have ${socketPathBytesMax} bytes`);
    return { kind: 'unix', path };
  }
  const place = parseHostAndPort(text);
  if (place !== undefined) return { kind: 'tcp', ...place };
  at.error(['address'], 'must be HOST:PORT, [IPV6]:PORT or unix:PATH, as mail1.example.com:24245');
  return undefined;
}

function checkTls(raw: RawBackend, tls: BackendSettings['tls'], address: BackendAddress, at: Cursor): void {
  if (tls === 'off') {
    const isLocal = address.kind === 'unix' || isLoopback(address.host);
    if (!isLocal && !raw.allowPlaintext) {
      const what = 'off would send the password in clear over the network';
      at.error(['tls'], `${what}; use starttls, or say allow_plaintext: true as well`);
    }
    for (const key of ['ca', 'server_name', 'key_pins'] as const)
      if (at.has(key)) at.warning([key], 'has no effect without TLS', 'no-effect');
    return;
  }
  if (raw.allowPlaintext) at.warning(['allow_plaintext'], 'has no effect unless tls is off', 'no-effect');
  if (address.kind === 'unix' && raw.serverName === undefined) {
    const message =
      'a UNIX socket has no name to check the certificate against; add server_name, or tls: off';
    at.error(['tls'], message);
  }
}

/** `namespaces`, or its short form `shared_namespaces`. */
function parseNamespaces(
  raw: RawBackend,
  at: Cursor,
): Pick<BackendSettings, 'namespaces' | 'sharedNamespaces'> {
  const sharedNamespaces = parseSharedNamespaces(raw, at);
  if (raw.namespaces === undefined) return { namespaces: undefined, sharedNamespaces };
  if (raw.sharedNamespaces !== undefined) {
    const message = 'is the short form of namespaces, which lists the shared ones too; remove one of them';
    at.error(['shared_namespaces'], message, 'key-conflict');
  }
  const namespaces = parseList(raw.namespaces, at.down('namespaces'));
  if (!namespaces.some(({ inbox }) => inbox)) {
    const message =
      'does not say which namespace holds the INBOX (inbox: true), so each name that ends in INBOX may be the INBOX';
    at.warning(['namespaces'], message, 'namespaces-unsaid');
  }
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

function parseSharedNamespaces(raw: RawBackend, at: Cursor): readonly string[] | undefined {
  const prefixes = raw.sharedNamespaces;
  if (prefixes === undefined) return undefined;
  for (const [index, text] of prefixes.entries()) {
    const path = ['shared_namespaces', index];
    if (text === '') at.error(path, 'an empty prefix would be every mailbox');
    else if (/\p{Cc}/u.test(text)) at.error(path, noControlCharacter);
  }
  return prefixes;
}
