// Reads the sections that depend on no other: mail_users, audit, admin.
import { createUserNames, defaultCharacters, foldAscii, parseCharacterClass } from '../identity/user-name.js';
import type { Cursor } from './cursor.js';
import type { RawAdmin, RawAudit, RawConfiguration, RawSink } from './schema.js';
import {
  type AdminSettings,
  type AuditSettings,
  auditDirectoryDefault,
  type MailUserSettings,
  type SinkSettings,
} from './settings.js';
import { parseHostAndPort, socketPath } from './spellings.js';

export function parseMailUsers(raw: RawConfiguration, cursor: Cursor): MailUserSettings {
  const { characters = defaultCharacters, default_realm: realm } = raw.mail_users ?? {};
  const perLineMax = raw.limits.users;
  const read = parseCharacterClass(characters);
  if (read.kind === 'bad') {
    const message = `${read.message}; write single characters and ranges, as "${defaultCharacters}"`;
    cursor.error(['characters'], message);
    return { characters: defaultCharacters, perLineMax };
  }
  for (const risky of '/%') {
    const message = `a user name with ${risky} can mean another path or variable to Dovecot`;
    if (read.has(risky.charCodeAt(0))) cursor.warning(['characters'], message);
  }
  const resolve = cursor.file('resolve');
  if (
    realm !== undefined &&
    (/[@*?\s]/.test(realm) || !createUserNames({ characters }).holdsOnly(realm, ''))
  ) {
    const message = 'must be a plain domain, as example.com, of characters that user names may hold';
    cursor.error(['default_realm'], message);
  }
  return {
    characters,
    perLineMax,
    ...(resolve !== undefined && { resolve }),
    ...(realm !== undefined && { defaultRealm: foldAscii(realm) }),
  };
}

/** Where records go, without the receivers of copies. */
export function parseAudit(raw: RawAudit, cursor: Cursor): Omit<AuditSettings, 'ship'> {
  const { directory: _, group: _group, sign_key: _signKey, hmac_key: _hmacKey, ship: _ship, ...rest } = raw;
  const group = cursor.source('group');
  const signKeyFile = cursor.file('sign_key');
  const hmacKeyFile = cursor.file('hmac_key');
  return {
    directory: cursor.file('directory') ?? auditDirectoryDefault,
    ...(group !== undefined && { group }),
    ...rest,
    ...(signKeyFile !== undefined && { signKeyFile }),
    ...(hmacKeyFile !== undefined && { hmacKeyFile }),
  };
}

export function parseAdmin(raw: RawAdmin | undefined, cursor: Cursor): AdminSettings | undefined {
  if (raw === undefined) return undefined;
  if (raw.unix === undefined && raw.tcp === undefined) {
    cursor.error([], 'needs unix, tcp, or both', 'missing-key');
    return undefined;
  }
  const { mode, tcp } = raw;
  const unix = socketPath(cursor);
  if ((mode & 0o022) !== 0) {
    const who = (mode & 0o002) === 0 ? "its group's members" : 'every user of this machine';
    const message = `lets ${who} see and change what the daemon does; say "0600" unless that is meant`;
    cursor.warning(['mode'], message, 'too-open');
  }
  const tokenFile = cursor.file('token_file');
  return {
    mode,
    ...(unix !== undefined && { unix }),
    ...(tokenFile !== undefined && { tokenFile }),
    ...(tcp !== undefined && { tcp }),
  };
}

/** Every receiver that could be read; what is wrong with the others is reported. `cursor` is at the list. */
export function parseSinks(raw: readonly RawSink[], cursor: Cursor): SinkSettings[] {
  const names = new Set<string>();
  return raw.flatMap((each, index) => {
    const at = cursor.down(index);
    const place = parseHostAndPort(each.syslog);
    const client = parseClient(at);
    const caFile = at.file('ca');
    if (place === undefined) {
      at.error(['syslog'], 'must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514');
      return [];
    }
    const { host, port } = place;
    const name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    if (names.has(name)) at.error(['syslog'], `${name} gets the records already`, 'defined-twice');
    names.add(name);
    return [
      {
        name,
        host,
        port,
        ...(caFile !== undefined && { caFile }),
        serverName: each.server_name ?? host,
        keyPins: each.key_pins ?? [],
        ...(client && { client }),
        place: at.place(),
      },
    ];
  });
}

function parseClient(at: Cursor): SinkSettings['client'] {
  const certificateFile = at.file('certificate');
  const keyFile = at.file('key');
  if (certificateFile !== undefined && keyFile !== undefined) return { certificateFile, keyFile };
  if (keyFile !== undefined) at.error(['key'], 'is of no use without certificate', 'key-conflict');
  if (certificateFile !== undefined)
    at.error(['certificate'], 'is of no use without its key', 'key-conflict');
  return undefined;
}
