// Owns the reading of `backends`.
// It does not know how a backend is dialled; it refuses what could only be dialled unsafely.

import { globLengthMax } from '../commands/glob.js';
import { foldAscii } from '../identity/user-name.js';
import { serverTargetWords } from '../policy/server-commands.js';
import { isLoopback, parseHostAndPort, socketPathBytesMax } from './address.js';
import { parseNamespaces } from './parse-namespaces.js';
import { timerOf } from './parse-sections.js';
import { parsePins } from './pins.js';
import type { RawBackend, RawConfiguration } from './schema.js';
import { type BackendAddress, type BackendSettings, backendDefaults } from './settings.js';
import type { Cursor } from './written.js';

/** Every backend that could be read; what is wrong with the others is told. `cursor` stands at the root. */
export function parseBackends(raw: RawConfiguration, cursor: Cursor): BackendSettings[] {
  return Object.entries(raw.backends ?? {}).flatMap(
    ([name, each]) => parseBackend(name, each, cursor.down('backends', name)) ?? [],
  );
}

/** A list of patterns on users, in the lower case in which users are compared. */
export function userPatterns(cursor: Cursor, key: string): string[] {
  const patterns: string[] = [];
  for (const [index, { text }] of cursor.words(key).entries()) {
    if (text === '') cursor.error([key, index], 'an empty pattern matches no user; take it out');
    else if (text.length > globLengthMax) {
      cursor.error([key, index], `a pattern can have ${globLengthMax} characters`);
    } else if (/[?[\]]/.test(text)) {
      cursor.error([key, index], 'only * and ** are wildcards here, and user names hold no ? or brackets');
    } else patterns.push(foldAscii(text));
  }
  return patterns;
}

function parseBackend(name: string, raw: RawBackend, cursor: Cursor): BackendSettings | undefined {
  if (serverTargetWords.includes(name)) {
    cursor.error([], `${name} is a word of server_commands; give the backend another name`);
  }
  const address = parseAddress(raw.address, cursor);
  if (address === undefined) return undefined;
  const tls = raw.tls ?? (address.kind === 'unix' ? 'off' : backendDefaults.tls);
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
  const connections = raw.connections ?? backendDefaults.connections;
  const idle = raw.idle ?? Math.min(backendDefaults.idle, connections);
  if (idle > connections) cursor.error(['idle'], `cannot be above connections (${connections})`);
  const timer = (key: 'idle_timeout' | 'max_lifetime' | 'connect_timeout' | 'greeting_timeout', ms: number) =>
    timerOf(raw[key], ms, cursor, key);
  return {
    name,
    address,
    tls,
    ...(caFile === undefined ? {} : { caFile }),
    serverName: raw.server_name ?? (address.kind === 'tcp' ? address.host : 'localhost'),
    keyPins: parsePins(cursor),
    username: parseUsername(raw, cursor),
    passwordFiles,
    series: raw.series === undefined ? backendDefaults.series : seriesOf(String(raw.series)),
    ...parseNamespaces(raw, cursor),
    connections,
    idle,
    idleTimeoutMs: timer('idle_timeout', backendDefaults.idleTimeoutMs),
    maxLifetimeMs: timer('max_lifetime', backendDefaults.maxLifetimeMs),
    connectTimeoutMs: timer('connect_timeout', backendDefaults.connectTimeoutMs),
    greetingTimeoutMs: timer('greeting_timeout', backendDefaults.greetingTimeoutMs),
    drained: raw.drained ?? backendDefaults.drained,
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

function parseUsername(raw: RawBackend, cursor: Cursor): string {
  const username = raw.username ?? backendDefaults.username;
  // It goes into the PLAIN answer between NUL bytes.
  if (/\p{Cc}/u.test(username)) cursor.error(['username'], 'holds a control character');
  return username;
}
