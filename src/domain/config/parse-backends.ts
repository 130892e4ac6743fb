// Reads `backends`. What could only be dialed unsafely is an error, and so is a list of namespaces that no Dovecot could have, because
// judgements rely on it.
import type { Namespace } from '../commands/mailbox-names.js';
import { serverTargetWords } from '../policy/server-commands.js';
import type { Cursor } from './cursor.js';
import type { RawBackend, RawConfiguration } from './schema.js';
import type { BackendAddress, BackendSettings } from './settings.js';
import { isLoopback, parseHostAndPort, parsePins, socketPathBytesMax } from './spellings.js';

/** Every backend that could be read; what is wrong with the others is told. `cursor` stands at the root. */
export function parseBackends(raw: RawConfiguration, cursor: Cursor): BackendSettings[] {
  return Object.entries(raw.backends ?? {}).flatMap(
    ([name, each]) => parseBackend(name, each, cursor.down('backends', name)) ?? [],
  );
}

function parseBackend(name: string, raw: RawBackend, cursor: Cursor): BackendSettings | undefined {
  if (serverTargetWords.includes(name)) {
    cursor.error([], `${name} is a word of server_commands; give the backend another name`);
  }
  const address = parseAddress(raw.address, cursor);
  if (address === undefined) return undefined;
  const tls = raw.tls ?? (address.kind === 'unix' ? 'off' : 'starttls');
  checkTls(raw, tls, address, cursor);
  const caFile = cursor.file('ca');
  const passwordFiles = cursor.words('password_file').flatMap((_, index) => {
    const isList = cursor.node('password_file')?.kind === 'list';
    return cursor.file(...(isList ? ['password_file', index] : ['password_file'])) ?? [];
  });
  if (address.kind === 'tcp' && passwordFiles.length === 0) {
    cursor.error(
      [],
      'needs a password_file: Dovecot asks everybody who comes by TCP for a password',
      'missing-key',
    );
  }
  const {
    connections,
    username,
    idleTimeoutMs,
    maxLifetimeMs,
    connectTimeoutMs,
    greetingTimeoutMs,
    drained,
  } = raw;
  // It goes into the PLAIN answer between NUL bytes.
  if (/\p{Cc}/u.test(username)) cursor.error(['username'], 'holds a control character');
  const idle = raw.idle ?? Math.min(1, connections);
  if (idle > connections) cursor.error(['idle'], `cannot be above connections (${connections})`);
  return {
    name,
    address,
    tls,
    ...(caFile === undefined ? {} : { caFile }),
    serverName: raw.server_name ?? (address.kind === 'tcp' ? address.host : 'localhost'),
    keyPins: parsePins(cursor),
    username,
    passwordFiles,
    series: seriesOf(String(raw.series)),
    ...parseNamespaces(raw, cursor),
    connections,
    idle,
    idleTimeoutMs,
    maxLifetimeMs,
    connectTimeoutMs,
    greetingTimeoutMs,
    drained,
    place: cursor.place(),
  };
}

function seriesOf(text: string): BackendSettings['series'] {
  return text === '2.3' || text === '2.4' ? text : 'auto';
}

/** `HOST:PORT`, `[ADDRESS]:PORT` or `unix:PATH`, the path relative to the file. */
function parseAddress(text: string, cursor: Cursor): BackendAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = cursor.resolve(text.slice('unix:'.length), 'address');
    if (Buffer.byteLength(path) > socketPathBytesMax) {
      cursor.error(['address'], `a socket's path can have ${socketPathBytesMax} bytes`);
    }
    return { kind: 'unix', path };
  }
  const place = parseHostAndPort(text);
  if (place === undefined) {
    cursor.error(['address'], 'must be HOST:PORT, [IPV6]:PORT or unix:PATH, as mail1.example.com:24245');
    return undefined;
  }
  return { kind: 'tcp', ...place };
}

function checkTls(
  raw: RawBackend,
  tls: BackendSettings['tls'],
  address: BackendAddress,
  cursor: Cursor,
): void {
  const isLocal = address.kind === 'unix' || isLoopback(address.host);
  if (tls === 'off') {
    if (!isLocal && raw.allow_plaintext !== true) {
      const what = 'off would send the password in clear over the network';
      cursor.error(['tls'], `${what}; use starttls, or say allow_plaintext: true as well`);
    }
    for (const key of ['ca', 'server_name', 'key_pins'] as const) {
      if (raw[key] !== undefined) cursor.warning([key], 'has no effect without TLS', 'no-effect');
    }
    return;
  }
  if (raw.allow_plaintext === true)
    cursor.warning(['allow_plaintext'], 'has no effect unless tls is off', 'no-effect');
  if (address.kind === 'unix' && raw.server_name === undefined) {
    cursor.error(
      ['tls'],
      'a UNIX socket has no name to check the certificate against; add server_name, or tls: off',
    );
  }
}

/** Both forms of it; `cursor` stands at the backend. */
function parseNamespaces(
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
