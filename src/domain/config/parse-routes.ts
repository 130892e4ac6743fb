// Reads `routes` and `server_commands`: where a command goes. A route has one target; a command that changes something goes nowhere
// unless a line names its target.
import { allSeries, commandNamed, commandsOf } from '../commands/catalog.js';
import { GlobList } from '../commands/glob.js';
import type { RouteTarget } from '../policy/route.js';
import type { ServerCommandRules, ServerTarget } from '../policy/server-commands.js';
import type { Cursor } from './cursor.js';
import { meantBy } from './problem.js';
import type { RawConfiguration } from './schema.js';
import type { RouteSettings } from './settings.js';
import { userPatterns } from './spellings.js';

/** Every route that could be read. */
export function parseRoutes(raw: RawConfiguration, cursor: Cursor): RouteSettings[] {
  return (raw.routes ?? []).flatMap((each, index) => {
    const at = cursor.down(index);
    const users = userPatterns(at, 'users');
    const target = parseTarget(each, at);
    return target === undefined ? [] : [{ users: new GlobList(users), target, place: at.place() }];
  });
}

type RawRoute = NonNullable<RawConfiguration['routes']>[number];

function parseTarget(raw: RawRoute, at: Cursor): RouteTarget | undefined {
  const said = (['backend', 'spread', 'passdb'] as const).filter((key) => raw[key] !== undefined);
  if (said.length !== 1) {
    const message =
      said.length === 0
        ? 'needs a backend; add backend: NAME (or spread: [NAMES], or passdb: SOCKET)'
        : `says ${said.join(' and ')}; a route leads to one of them`;
    at.error(said.length === 0 ? [] : [said[1] ?? ''], message);
    return undefined;
  }
  if (at.has('cache_ttl') && raw.passdb === undefined)
    at.error(['cache_ttl'], 'belongs to a route by passdb; nothing else is remembered', 'key-conflict');
  if (raw.backend !== undefined) return { kind: 'backend', backend: raw.backend };
  if (raw.spread === undefined)
    return { kind: 'passdb', socket: at.file('passdb') ?? '', cacheTtlMs: raw.cache_ttl };
  const backends = [...new Set(raw.spread)];
  if (backends.length < raw.spread.length)
    at.warning(['spread'], 'names a backend twice; that changes nothing', 'defined-twice');
  if (backends.length === 1)
    at.warning(['spread'], 'has one backend only, so nothing is spread', 'no-effect');
  return { kind: 'spread', backends };
}

/** Where commands go that name no mailbox user. */
export function parseServerCommands(raw: RawConfiguration, cursor: Cursor): ServerCommandRules {
  const byCommand = new Map<string, ServerTarget>();
  let fallback: ServerTarget = { kind: 'all' };
  for (const [name, text] of Object.entries(raw.server_commands ?? {})) {
    const target = targetOf(text);
    const commands = allSeries.flatMap((series) => commandNamed(series, name) ?? []);
    if (name === 'default') fallback = target;
    else if (commands.length === 0) {
      const known = allSeries.flatMap(commandsOf).filter(({ scope }) => scope === 'server');
      const hint = meantBy(
        name,
        known.map((each) => each.name),
      );
      cursor.error([name], `no Dovecot has a server command ${JSON.stringify(name)}${hint}`, 'unknown-name');
    } else if (commands.every((command) => command.scope === 'user')) {
      cursor.error([name], 'names a mailbox user, whose route it takes; only server commands stand here');
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
