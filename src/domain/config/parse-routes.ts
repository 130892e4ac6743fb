// Reads `routes` and `server_commands`: where a command goes. A route has one target; a command that changes something goes nowhere
// unless a line names its target.
import { allSeries, commandNamed, commandsOf } from '../commands/catalog.js';
import { GlobList } from '../commands/glob.js';
import type { RouteTarget } from '../policy/route.js';
import type { ServerCommandRules, ServerTarget } from '../policy/server-commands.js';
import type { Cursor } from './cursor.js';
import { nearestName } from './problem.js';
import type { RawConfiguration } from './schema.js';
import type { RouteSettings } from './settings.js';
import { userPatterns } from './spellings.js';

/** Every route that could be read. */
export function parseRoutes(raw: RawConfiguration, cursor: Cursor): RouteSettings[] {
  const routes: RouteSettings[] = [];
  for (const [index, each] of (raw.routes ?? []).entries()) {
    const at = cursor.down(index);
    const users = userPatterns(at, 'users');
    const target = parseTarget(each, at);
    if (target !== undefined) routes.push({ users: new GlobList(users), target, place: at.place() });
  }
  return routes;
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
  if (at.node('cache_ttl') !== undefined && raw.passdb === undefined) {
    at.error(['cache_ttl'], 'belongs to a route by passdb; nothing else is remembered', 'key-conflict');
  }
  if (raw.backend !== undefined) return { kind: 'backend', backend: raw.backend };
  if (raw.spread !== undefined) {
    const backends = [...new Set(raw.spread)];
    if (backends.length < raw.spread.length)
      at.warning(['spread'], 'names a backend twice; that changes nothing', 'defined-twice');
    if (backends.length === 1)
      at.warning(['spread'], 'has one backend only, so nothing is spread', 'no-effect');
    return { kind: 'spread', backends };
  }
  const socket = at.file('passdb') ?? '';
  return { kind: 'passdb', socket, cacheTtlMs: raw.cache_ttl };
}

/** Where commands go that name no mailbox user. */
export function parseServerCommands(raw: RawConfiguration, cursor: Cursor): ServerCommandRules {
  const byCommand = new Map<string, ServerTarget>();
  let fallback: ServerTarget = { kind: 'all' };
  for (const [name, text] of Object.entries(raw.server_commands ?? {})) {
    const target = targetOf(text);
    if (name === 'default') {
      fallback = target;
      continue;
    }
    const commands = allSeries.flatMap((series) => commandNamed(series, name) ?? []);
    if (commands.length === 0) {
      cursor.error([name], unknownCommand(name), 'unknown-name');
    } else if (commands.every((command) => command.scope === 'user')) {
      cursor.error([name], 'names a mailbox user, whose route it takes; only server commands stand here');
    } else if (name === 'user' && target.kind === 'all') {
      cursor.error([name], 'the rows of "user" cannot be joined; name a backend, or write by_user');
    } else {
      byCommand.set(name, target);
    }
  }
  return { default: fallback, byCommand };
}

function targetOf(text: string): ServerTarget {
  if (text === 'all') return { kind: 'all' };
  if (text === 'by_user') return { kind: 'by-user' };
  return { kind: 'backend', backend: text };
}

function unknownCommand(name: string): string {
  const names = allSeries.flatMap((series) =>
    commandsOf(series).flatMap((command) => (command.scope === 'server' ? [command.name] : [])),
  );
  const nearest = nearestName(name, names);
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  return `no Dovecot has a server command ${JSON.stringify(name)}${hint}`;
}
