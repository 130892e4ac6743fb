// Reads the smaller sections: mail_users, routes, server_commands, audit, admin, tests.

import type { RouteTarget, ServerCommandRules, ServerTarget } from '../judging/policy/policy.js';
import { type AddedCommands, allSeries, commandsNamed, commandsOf } from '../language/commands/catalog.js';
import { GlobList } from '../language/names/glob.js';
import { isOfThisMachine } from '../people/identity/peer.js';
import {
  createUserNames,
  defaultCharacters,
  foldFor,
  type NameCase,
  parseCharacterClass,
} from '../people/identity/user-name.js';
import { recordedBytesMax } from '../records/audit/encode.js';
import { type Cursor, checkSocketPath, userPatterns } from './cursor.js';
import { parsePage, parseTcpPlace } from './parse-page.js';
import { meantBy } from './problem.js';
import type { RawAdmin, RawConfiguration, RawRoute } from './schema.js';
import { without } from './schema-parts.js';
import type { AdminSettings, AuditSettings, MailUserSettings, RouteSettings } from './settings.js';
import { parseSinks } from './sinks.js';

export function parseMailUsers({ mailUsers, limits }: RawConfiguration, cursor: Cursor): MailUserSettings {
  const { characters, defaultRealm: realm } = mailUsers;
  const perLineMax = limits.users;
  const read = parseCharacterClass(characters);
  if (read.kind === 'bad') {
    const message = `${read.message}; write single characters and ranges, as "${defaultCharacters}"`;
    cursor.error(['characters'], message);
    return { characters: defaultCharacters, perLineMax, case: mailUsers.case };
  }
  for (const risky of '/%') {
    const message = `a user name with ${risky} can mean another path or variable to Dovecot`;
    if (new RegExp(`[${read.set}]`, 'u').test(risky)) cursor.warning(['characters'], message);
  }
  if (
    realm !== undefined &&
    (/[@*?\s]/.test(realm) || !createUserNames({ characters }).holdsOnly(realm, 'name'))
  ) {
    const message = 'must be a plain domain, as example.com, of characters that user names may hold';
    cursor.error(['default_realm'], message);
  }
  return {
    ...mailUsers,
    perLineMax,
    ...(realm !== undefined && { defaultRealm: foldFor(mailUsers.case)(realm) }),
  };
}

export function parseRoutes(
  raw: readonly RawRoute[],
  cursor: Cursor,
  { case: nameCase }: MailUserSettings,
): RouteSettings[] {
  return raw.flatMap((each, index) => {
    const at = cursor.down(index);
    const users = userPatterns(at, 'users', foldFor(nameCase));
    const target = parseTarget(each, at);
    return target === undefined ? [] : [{ users: new GlobList(users), target, place: at.place() }];
  });
}

function parseTarget(raw: RawRoute, at: Cursor): RouteTarget | undefined {
  const said = (['backend', 'spread', 'passdb'] as const).filter((key) => raw[key] !== undefined);
  if (said.length !== 1) {
    const message =
      said.length === 0
        ? 'needs a backend; add backend: NAME (or spread: [NAMES], or passdb: SOCKET)'
        : `has ${said.join(' and ')}; a route has one target`;
    at.error(said.length === 0 ? [] : [said[1] ?? ''], message);
    return undefined;
  }
  if (at.has('cache_ttl') && raw.passdb === undefined)
    at.error(['cache_ttl'], 'is for routes with passdb; nothing else is cached', 'key-conflict');
  if (raw.backend !== undefined) return { kind: 'backend', backend: raw.backend };
  if (raw.spread === undefined)
    return { kind: 'passdb', socket: raw.passdb ?? '', cacheTtlMs: raw.cacheTtlMs };
  const backends = [...new Set(raw.spread)];
  if (backends.length < raw.spread.length)
    at.warning(['spread'], 'names a backend twice; that changes nothing', 'defined-twice');
  if (backends.length === 1)
    at.warning(['spread'], 'has one backend only, so nothing is spread', 'no-effect');
  return { kind: 'spread', backends };
}

export function parseServerCommands(
  raw: RawConfiguration['serverCommands'],
  cursor: Cursor,
  added?: AddedCommands,
): ServerCommandRules {
  const byCommand = new Map<string, ServerTarget>();
  let fallback: ServerTarget = { kind: 'all' };
  for (const [name, text] of Object.entries(raw)) {
    const target = targetOf(text);
    const commands = commandsNamed(name, added);
    if (name === 'default') fallback = target;
    else if (commands.length === 0) {
      const known = allSeries
        .flatMap((series) => commandsOf(series, added))
        .filter(({ scope }) => scope === 'server');
      const hint = meantBy(
        name,
        known.map((each) => each.name),
      );
      cursor.error([name], `no Dovecot has a server command ${JSON.stringify(name)}${hint}`, 'unknown-name');
    } else if (commands.every((command) => command.scope === 'user')) {
      cursor.error(
        [name],
        'names a mailbox user and follows the route of that user; only server commands belong here',
      );
    } else if (name === 'user' && target.kind === 'all') {
      cursor.error([name], 'the rows of "user" cannot be joined; name a backend, or write by_user');
    } else byCommand.set(name, target);
  }
  return { default: fallback, byCommand };
}

function targetOf(text: string): ServerTarget {
  if (text === 'all') return { kind: 'all' };
  return text === 'by_user' ? { kind: 'by-user' } : { kind: 'backend', backend: text };
}

/** Mapped memory consists of whole pages, and words must fit into it. */
const pageBytes = 4096;
/** The ring's header. */
const ringHeaderBytes = pageBytes;

function wholePages(bytes: number): number {
  return bytes - (bytes % pageBytes);
}

/** The capacity of half the ring, which admissions may use: the records of the longest possible command line. */
function leastMemoryBytes(lineBytesMax: number): number {
  return ringHeaderBytes + 2 * recordedBytesMax(lineBytesMax);
}

export function parseAudit({ audit, limits }: RawConfiguration, cursor: Cursor): AuditSettings {
  return {
    ...audit,
    // The ring must have room for every line.
    memoryBytes: wholePages(Math.max(audit.memoryBytes, leastMemoryBytes(limits.lineBytesMax))),
    ship: parseSinks(audit.ship, cursor.down('ship')),
  };
}

/** `nameCase`: of the mail users that a person of the page may see. */
export function parseAdmin(
  raw: RawAdmin | undefined,
  cursor: Cursor,
  nameCase: NameCase,
): AdminSettings | undefined {
  if (raw === undefined) return undefined;
  if (raw.unix === undefined && raw.tcp === undefined && raw.page === undefined) {
    cursor.error([], 'needs unix, tcp, or both', 'missing-key');
    return undefined;
  }
  const { mode } = raw;
  checkSocketPath(raw.unix, cursor);
  checkSocketPath(raw.door, cursor, 'door');
  const tcp = parseAdminTcp(raw, cursor);
  if ((mode & 0o022) !== 0) {
    const who = (mode & 0o002) === 0 ? "its group's members" : 'every user of this machine';
    const message = `lets ${who} see and change what the daemon does; say "0600" unless that is meant`;
    cursor.warning(['mode'], message, 'too-open');
  }
  const page = raw.page && parsePage(raw.page, cursor.down('page'), nameCase);
  return {
    ...without(raw, 'tcp', 'page'),
    ...(tcp !== undefined && { tcp }),
    ...(page !== undefined && { page }),
  };
}

/** Beyond this machine, metrics and actions need TLS and the token; undefined: no socket is possible. */
function parseAdminTcp(raw: RawAdmin, cursor: Cursor): AdminSettings['tcp'] {
  const place = parseTcpPlace(raw, cursor, 9146);
  if (place === undefined || isOfThisMachine(place.host)) return place;
  const what = `${raw.tcp} can be reached from other machines, so it needs`;
  if (raw.tls === undefined)
    cursor.error(['tcp'], `${what} TLS: add tls: { certificate: FILE, key: FILE }`, 'missing-key');
  if (raw.tokenFile === undefined)
    cursor.error(['tcp'], `${what} a token: add token_file: FILE`, 'missing-key');
  return place;
}
