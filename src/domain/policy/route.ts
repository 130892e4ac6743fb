// Owns which backend a mail user's commands go to, as far as the configuration alone says it. Pure.
// It does not know pools, and asks nobody: a route by passdb only says whom to ask.
// The rule: the first route that matches counts, and users are compared as they are judged.
import type { GlobList } from '../commands/glob.js';
import { chooseByRendezvous } from './spread.js';

/** Where a route leads. */
export type RouteTarget =
  | { readonly kind: 'backend'; readonly backend: string }
  /** One of these, by the user's name; at least one. */
  | { readonly kind: 'spread'; readonly backends: readonly string[] }
  /** Dovecot's auth service at that socket says it. */
  | { readonly kind: 'passdb'; readonly socket: string; readonly cacheTtlMs: number };

/** One line of the routes. */
export interface Route {
  readonly users: GlobList;
  readonly target: RouteTarget;
}

/** What the routes say of a user. */
export type UserRoute =
  | { readonly kind: 'backend'; readonly backend: string }
  | { readonly kind: 'ask'; readonly socket: string; readonly cacheTtlMs: number }
  | { readonly kind: 'none' };

/** The route of a user in normal form. */
export function routeUser(routes: readonly Route[], user: string): UserRoute {
  const target = routes.find((route) => route.users.matches(user))?.target;
  switch (target?.kind) {
    case undefined:
      return { kind: 'none' };
    case 'backend':
      return target;
    case 'spread':
      return { kind: 'backend', backend: chooseByRendezvous(user, target.backends) };
    case 'passdb':
      return { kind: 'ask', socket: target.socket, cacheTtlMs: target.cacheTtlMs };
    default:
      return target satisfies never;
  }
}

/** The backends that commands of a user in normal form may go to, in the order of `backends`; none where no route matches. */
export function reachableFor(
  routes: readonly Route[],
  user: string,
  backends: readonly string[],
): readonly string[] {
  const route = routeUser(routes, user);
  switch (route.kind) {
    case 'none':
      return [];
    case 'ask':
      return backends;
    case 'backend':
      return backends.filter((name) => name === route.backend);
    default:
      return route satisfies never;
  }
}

/** Every backend that a route can lead to, in the order of `backends`; a passdb may name any of them. */
export function reachable(routes: readonly Route[], backends: readonly string[]): readonly string[] {
  const named = new Set<string>();
  for (const { target } of routes) {
    if (target.kind === 'passdb') return backends;
    for (const name of target.kind === 'spread' ? target.backends : [target.backend]) named.add(name);
  }
  return backends.filter((name) => named.has(name));
}

/** The route for people: `-> mail1`, `-> one of mail1, mail2 by name`. */
export function formatTarget(target: RouteTarget): string {
  switch (target.kind) {
    case 'backend':
      return target.backend;
    case 'spread':
      return `one of ${target.backends.join(', ')} by the user's name`;
    case 'passdb':
      return `what the passdb at ${target.socket} says`;
    default:
      return target satisfies never;
  }
}

/** The prefixes of shared namespaces of several backends together: undefined as soon as one of them is not said, or where there is none. */
export function jointNamespaces(
  said: readonly (readonly string[] | undefined)[],
): readonly string[] | undefined {
  const all = new Set<string>();
  for (const prefixes of said) {
    if (prefixes === undefined) return undefined;
    for (const prefix of prefixes) all.add(prefix);
  }
  return said.length === 0 ? undefined : [...all];
}
