// Owns the reading of the sections that stand for themselves: mail_users, audit, admin, limits; defaults filled in.
// It does not know how sockets are made or limits held.
import type { Effect } from '../commands/catalog.js';
import { createUserNames, defaultCharacters, foldAscii, parseCharacterClass } from '../identity/user-name.js';
import { formatDuration, parseDuration } from '../policy/duration.js';
import type { Cursor } from './cursor.js';
import type { RawAdmin, RawAudit, RawConfiguration, RawLimits, RawSink } from './schema.js';
import { parseSize } from './schema-parts.js';
import {
  type AdminSettings,
  type AuditSettings,
  auditDefaults,
  type LimitSettings,
  limitDefaults,
  type MailUserSettings,
  type SinkSettings,
  timerMsMax,
} from './settings.js';
import { parseHostAndPort, parsePins, socketPath } from './spellings.js';

/** How user names are read. */
export function parseMailUsers(raw: RawConfiguration, cursor: Cursor): MailUserSettings {
  const characters = raw.mail_users?.characters ?? defaultCharacters;
  const perLineMax = raw.limits?.users ?? limitDefaults.users;
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
  const segmentBytes = sizeOf(raw.segment, auditDefaults.segmentBytes, cursor, 'segment');
  if (segmentBytes < auditDefaults.segmentBytesMin) cursor.error(['segment'], 'must be at least 64KiB');
  const group = cursor.source('group');
  const signKeyFile = cursor.file('sign_key');
  const hmacKeyFile = cursor.file('hmac_key');
  return {
    directory: cursor.file('directory') ?? auditDefaults.directory,
    ...(group === undefined ? {} : { group }),
    strict: new Set<Effect>(raw.strict ?? auditDefaults.strict),
    segmentBytes,
    deadlineMs: timerOf(raw.deadline, auditDefaults.deadlineMs, cursor, 'deadline'),
    keepMs: raw.keep === undefined ? auditDefaults.keepMs : (parseDuration(raw.keep) ?? 0),
    keepMinMs: raw.keep_min === undefined ? auditDefaults.keepMinMs : (parseDuration(raw.keep_min) ?? 0),
    sizeMax: parseSizeMax(raw.max_size),
    unshippedBytesMax: sizeOf(raw.unshipped_max, auditDefaults.unshippedBytesMax, cursor, 'unshipped_max'),
    reserveBytes: sizeOf(raw.reserve, auditDefaults.reserveBytes, cursor, 'reserve'),
    checkpointIntervalMs: timerOf(
      raw.checkpoint_interval,
      auditDefaults.checkpointIntervalMs,
      cursor,
      'checkpoint_interval',
    ),
    ...(signKeyFile === undefined ? {} : { signKeyFile }),
    ...(hmacKeyFile === undefined ? {} : { hmacKeyFile }),
  };
}

function parseSizeMax(text: string | undefined): AuditSettings['sizeMax'] {
  if (text === undefined) return auditDefaults.sizeMax;
  if (text.endsWith('%')) return { share: Math.max(1, Number(text.slice(0, -1))) / 100 };
  return { bytes: parseSize(text) ?? 0 };
}

/** Where operators ask; undefined: nowhere. */
export function parseAdmin(raw: RawAdmin | undefined, cursor: Cursor): AdminSettings | undefined {
  if (raw === undefined) return undefined;
  if (raw.unix === undefined && raw.tcp === undefined) {
    cursor.error([], 'needs unix, tcp, or both', 'missing-key');
    return undefined;
  }
  const unix = socketPath(cursor);
  const mode = Number.parseInt(raw.mode ?? '0600', 8);
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

/** Every limit. */
export function parseLimits(raw: RawLimits, cursor: Cursor): LimitSettings {
  const deadlines = cursor.down('deadline');
  const deadline = (effect: Effect): number =>
    timerOf(raw.deadline?.[effect], limitDefaults.deadlineMs[effect], deadlines, effect);
  const lineBytesMax = sizeOf(raw.line, limitDefaults.lineBytesMax, cursor, 'line');
  // A backend takes lines of up to 1 MiB with what surrounds them: 1,000,000 bytes worked, 1,100,000 did not.
  if (lineBytesMax < 1024 || lineBytesMax > 900_000) {
    cursor.error(['line'], 'must be from 1KiB to 878KiB: Dovecot takes lines of up to 1 MiB');
  }
  return {
    lineBytesMax,
    queue: raw.queue ?? limitDefaults.queue,
    queueTimeoutMs: timerOf(raw.queue_timeout, limitDefaults.queueTimeoutMs, cursor, 'queue_timeout'),
    replyIdleMs: timerOf(raw.reply_idle, limitDefaults.replyIdleMs, cursor, 'reply_idle'),
    clientStallMs: clientStall(raw, cursor),
    minRateBytes: sizeOf(raw.min_rate, limitDefaults.minRateBytes, cursor, 'min_rate'),
    logLinesMax: raw.log_lines ?? limitDefaults.logLinesMax,
    handshakeMs: timerOf(raw.handshake, limitDefaults.handshakeMs, cursor, 'handshake'),
    drainMs: timerOf(raw.drain, limitDefaults.drainMs, cursor, 'drain'),
    inputBytesMax: sizeOf(raw.input, limitDefaults.inputBytesMax, cursor, 'input'),
    inputTimeMs: inputTime(raw, cursor),
    users: raw.users ?? limitDefaults.users,
    bufferedBytesMax: sizeOf(raw.buffered, limitDefaults.bufferedBytesMax, cursor, 'buffered'),
    deadlineMs: {
      read: deadline('read'),
      session: deadline('session'),
      write: deadline('write'),
      admin: deadline('admin'),
      destroy: deadline('destroy'),
    },
  };
}

/** Dovecot gives up on a reader that is silent for 60 s, without closing; we have to be faster. */
function clientStall(raw: RawLimits, cursor: Cursor): number {
  const ms = timerOf(raw.client_stall, limitDefaults.clientStallMs, cursor, 'client_stall');
  if (ms >= 60_000)
    cursor.warning(['client_stall'], 'from 60s on Dovecot cuts the reply before dovegate notices');
  return ms;
}

/** Dovecot ends an input 300 s after the command line, and runs what comes after that as commands. */
function inputTime(raw: RawLimits, cursor: Cursor): number {
  const ms = timerOf(raw.input_time, limitDefaults.inputTimeMs, cursor, 'input_time');
  if (ms >= 300_000)
    cursor.error(['input_time'], 'must be below 300s, where Dovecot ends the input by itself');
  return ms;
}

/** A duration that a timer is set to. */
export function timerOf(text: string | undefined, otherwise: number, cursor: Cursor, key: string): number {
  if (text === undefined) return otherwise;
  const ms = parseDuration(text) ?? 0;
  if (ms < 1 || ms > timerMsMax) {
    cursor.error([key], `must be from 1ms to 24d (the default is ${formatDuration(otherwise)})`);
  }
  return ms;
}

function sizeOf(text: string | undefined, otherwise: number, cursor: Cursor, key: string): number {
  if (text === undefined) return otherwise;
  const bytes = parseSize(text);
  if (bytes === undefined || bytes < 1) cursor.error([key], 'must be a size of at least one byte');
  return bytes ?? otherwise;
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
