// Reads the smaller sections: mail_users, routes, server_commands, audit, admin, tests.

import { type AddedCommands, allSeries, commandsNamed, commandsOf } from '../../doveadm/commands/catalog.js';
import { GlobList } from '../../doveadm/names/glob.js';
import {
  createUserNames,
  defaultCharacters,
  foldFor,
  parseCharacterClass,
} from '../../doveadm/names/user-name.js';
import type { RouteTarget, ServerCommandRules, ServerTarget } from '../policy/policy.js';
import { type RawAdmin, type RawPerson, rolesOf } from './admin-schema.js';
import type { Cursor } from './cursor.js';
import { meantBy } from './problem.js';
import type { RawConfiguration, RawRoute } from './schema.js';
import { without } from './schema-parts.js';
import type {
  AdminSettings,
  AuditSettings,
  MailUserSettings,
  PagePerson,
  RouteSettings,
} from './settings.js';
import { sinksOf } from './sinks.js';

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
    const target = parseTarget(each, at);
    return target === undefined
      ? []
      : [{ users: new GlobList(each.users.map(foldFor(nameCase))), target, place: at.place() }];
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
const ringHeaderBytes = pageBytes;

function wholePages(bytes: number): number {
  return bytes - (bytes % pageBytes);
}

/** The capacity of half the ring, which admissions may use: the records of the longest possible command line. */
function leastMemoryBytes(lineBytesMax: number): number {
  return ringHeaderBytes + 2 * recordedBytesMax(lineBytesMax);
}

export function parseAudit({ audit, state, limits }: RawConfiguration, cursor: Cursor): AuditSettings {
  const own = [
    ['audit.directory', audit.directory],
    ['state', state],
  ] as const;
  return {
    ...audit,
    // The ring must have room for every line.
    memoryBytes: wholePages(Math.max(audit.memoryBytes, leastMemoryBytes(limits.lineBytesMax))),
    ship: sinksOf(audit.ship, cursor.down('ship'), own),
  };
}

/** `fold`: puts the `users` of people of the page into normal form. */
export function adminOf({ page: written, ...rest }: RawAdmin, fold: (user: string) => string): AdminSettings {
  if (written === undefined) return rest;
  const { unix: path, mode, group, people, ...plain } = written;
  const socket =
    path !== undefined && ({ kind: 'unix', path, mode, ...(group !== undefined && { group }) } as const);
  return {
    ...rest,
    page: {
      ...plain,
      ...(socket && { socket }),
      people: peopleOf(people, fold),
    },
  };
}

function peopleOf(
  people: Readonly<Record<string, RawPerson>>,
  fold: (user: string) => string,
): readonly PagePerson[] {
  return Object.entries(people).map(([name, { users, ...person }]) => ({
    name,
    ...without(person, 'role'),
    roles: rolesOf(person),
    ...(users && { users: users.map(fold) }),
  }));
}

/**
 * The most ring space that the records of one command can take, with their framing, for a command line of so many bytes. A byte of a line
 * can become six in JSON (a control character), a word of one byte sixteen (a repeated digest); names of users occur twice.
 */
export function recordedBytesMax(lineBytes: number): number {
  return 16 * lineBytes + 64 * 1024;
}
