// Reads the sections that depend on no other: mail_users, audit, admin, limits.
import { createUserNames, defaultCharacters, foldAscii, parseCharacterClass } from '../identity/user-name.js';
import type { Cursor } from './cursor.js';
import type { RawAdmin, RawAudit, RawConfiguration, RawSink } from './schema.js';
import {
  type AdminSettings,
  type AuditSettings,
  auditDirectoryDefault,
  type LimitSettings,
  type MailUserSettings,
  type SinkSettings,
} from './settings.js';
import { parseHostAndPort, parsePins, socketPath } from './spellings.js';

/** How user names are read. */
export function parseMailUsers(raw: RawConfiguration, cursor: Cursor): MailUserSettings {
  const characters = raw.mail_users?.characters ?? defaultCharacters;
  const perLineMax = raw.limits.users;
  const read = parseCharacterClass(characters);
  if (read.kind === 'bad') {
    cursor.error(
      ['characters'],
      `${read.message}; write single characters and ranges, as "${defaultCharacters}"`,
    );
    return { characters: defaultCharacters, perLineMax };
  }
  for (const risky of '/%') {
    if (read.has(risky.charCodeAt(0))) {
      cursor.warning(
        ['characters'],
        `a user name with ${risky} can mean another path or variable to Dovecot`,
      );
    }
  }
  const socket = cursor.file('resolve');
  const names = { characters, perLineMax, ...(socket === undefined ? {} : { resolve: socket }) };
  const realm = raw.mail_users?.default_realm;
  if (realm === undefined) return names;
  if (/[@*?\s]/.test(realm) || !createUserNames({ characters }).holdsOnly(realm, '')) {
    cursor.error(
      ['default_realm'],
      'must be a plain domain, as example.com, of characters that user names may hold',
    );
  }
  return { ...names, defaultRealm: foldAscii(realm) };
}

/** Where records go, without those who get copies. */
export function parseAudit(raw: RawAudit, cursor: Cursor): Omit<AuditSettings, 'ship'> {
  const { directory: _, group: _group, sign_key: _signKey, hmac_key: _hmacKey, ship: _ship, ...rest } = raw;
  const group = cursor.source('group');
  const signKeyFile = cursor.file('sign_key');
  const hmacKeyFile = cursor.file('hmac_key');
  return {
    directory: cursor.file('directory') ?? auditDirectoryDefault,
    ...(group === undefined ? {} : { group }),
    ...rest,
    ...(signKeyFile === undefined ? {} : { signKeyFile }),
    ...(hmacKeyFile === undefined ? {} : { hmacKeyFile }),
  };
}

/** Where operators ask; undefined: nowhere. */
export function parseAdmin(raw: RawAdmin | undefined, cursor: Cursor): AdminSettings | undefined {
  if (raw === undefined) return undefined;
  if (raw.unix === undefined && raw.tcp === undefined) {
    cursor.error([], 'needs unix, tcp, or both', 'missing-key');
    return undefined;
  }
  const unix = socketPath(cursor);
  const { mode } = raw;
  if ((mode & 0o022) !== 0) {
    const who = (mode & 0o002) === 0 ? "its group's members" : 'every user of this machine';
    cursor.warning(
      ['mode'],
      `lets ${who} see and change what the daemon does; say "0600" unless that is meant`,
      'too-open',
    );
  }
  const tokenFile = cursor.file('token_file');
  const colon = raw.tcp?.lastIndexOf(':') ?? 0;
  const host = raw.tcp?.slice(0, colon).replace(/^\[|\]$/g, '');
  return {
    mode,
    ...(unix === undefined ? {} : { unix }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(raw.tcp === undefined || host === undefined
      ? {}
      : { tcp: { host, port: Number(raw.tcp.slice(colon + 1)) } }),
  };
}

/** Dovecot gives up on a reader that is silent for 60 s, without closing; we have to be faster. */
export function parseLimits(limits: LimitSettings, cursor: Cursor): LimitSettings {
  if (limits.clientStallMs >= 60_000)
    cursor.warning(['client_stall'], 'from 60s on Dovecot cuts the reply before dovegate notices');
  return limits;
}

/** Every receiver that could be read; what is wrong with the others is told. `cursor` is at the list. */
export function parseSinks(raw: readonly RawSink[], cursor: Cursor): SinkSettings[] {
  const sinks: SinkSettings[] = [];
  for (const [index, each] of raw.entries()) {
    const at = cursor.down(index);
    const place = parseHostAndPort(each.syslog);
    const client = parseClient(at);
    const caFile = at.file('ca');
    const keyPins = parsePins(at);
    if (place === undefined) {
      at.error(['syslog'], 'must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514');
      continue;
    }
    const { host, port } = place;
    const name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    if (sinks.some((sink) => sink.name === name))
      at.error(['syslog'], `${name} gets the records already`, 'defined-twice');
    sinks.push({
      name,
      host,
      port,
      ...(caFile === undefined ? {} : { caFile }),
      serverName: each.server_name ?? host,
      keyPins,
      ...(client === undefined ? {} : { client }),
      place: at.place(),
    });
  }
  return sinks;
}

function parseClient(at: Cursor): SinkSettings['client'] {
  const certificateFile = at.file('certificate');
  const keyFile = at.file('key');
  if (certificateFile === undefined && keyFile === undefined) return undefined;
  if (certificateFile === undefined) at.error(['key'], 'is of no use without certificate', 'key-conflict');
  else if (keyFile === undefined) at.error(['certificate'], 'is of no use without its key', 'key-conflict');
  else return { certificateFile, keyFile };
  return undefined;
}
