// Owns what must hold between sections: names that exist, sockets that differ, users that lead somewhere.
// It does not look at single values; those were checked where they were read.
// The rule: one mistake is told once. A name counts as defined when it was written, even if its value is broken.
import type { Cursor } from './cursor.js';
import { nearestName } from './problem.js';
import type { Settings } from './settings.js';

/** `written` is the whole configuration, `valid` what was left of it and became the settings. */
export function checkSettings(settings: Settings, written: Cursor, valid: Cursor): void {
  checkPresence(written);
  checkListeners(settings, written, valid);
  checkRoutes(settings, written, valid);
  checkPolicies(settings, written, valid);
}

function checkPresence(written: Cursor): void {
  for (const [key, what] of [
    ['listeners', 'there is no listener, so nobody could connect'],
    ['backends', 'there is no backend, so no command could be sent'],
    ['policies', 'there is no policy, so every command would be denied'],
    ['routes', 'no user leads to a backend; for a single one: [{ users: ["*"], backend: NAME }]'],
  ] as const) {
    const node = written.node(key);
    if (node === undefined) written.error([key], `is missing: ${what}`);
    else if (sizeOf(written, key) === 0 && node.kind !== 'scalar') written.error([key], `is empty: ${what}`);
  }
}

function checkListeners(settings: Settings, written: Cursor, valid: Cursor): void {
  const policies = namesIn(written, 'policies');
  const sockets = new Map<string, string>();
  for (const { name, unix, policy, sessions, sessionsPerPeer } of settings.listeners) {
    const at = valid.down('listeners', name);
    const first = sockets.get(unix);
    if (first !== undefined) at.error(['unix'], `is the socket of listener ${first} already`);
    sockets.set(unix, first ?? name);
    if (!policies.includes(policy)) at.error(['policy'], unknownName('policy', policy, policies));
    if (sessionsPerPeer > sessions && at.node('sessions_per_peer') !== undefined) {
      at.warning(['sessions_per_peer'], `is above sessions (${sessions}), so it never counts`);
    }
  }
}

function checkRoutes(settings: Settings, written: Cursor, valid: Cursor): void {
  const backends = namesIn(written, 'backends');
  const named = settings.routes.map((route) => route.backend);
  let everything: number | undefined;
  for (const [index, { users, backend }] of settings.routes.entries()) {
    const at = valid.down('routes', index);
    if (!backends.includes(backend)) at.error(['backend'], unknownName('backend', backend, backends));
    if (everything !== undefined) at.warning([], 'is never reached: a route above takes every user');
    else if (users.isEverything) everything = index;
  }
  // A name that is there and unknown is told already; it may be the one that is missing here.
  if (
    named.length === 0 ||
    sizeOf(written, 'routes') !== named.length ||
    named.some((name) => !backends.includes(name))
  )
    return;
  for (const { name } of settings.backends) {
    if (!named.includes(name)) valid.warning(['backends', name], 'no route leads here');
  }
}

function checkPolicies(settings: Settings, written: Cursor, valid: Cursor): void {
  const names = namesIn(written, 'policies');
  const used = settings.listeners.map((listener) => listener.policy);
  const areUsesKnown =
    used.length === sizeOf(written, 'listeners') && used.every((name) => names.includes(name));
  const areRoutesKnown = settings.routes.length === sizeOf(written, 'routes');
  for (const [name, policy] of settings.policies) {
    const at = valid.down('policies', name);
    if (areUsesKnown && !used.includes(name)) at.warning([], 'no listener uses this policy');
    if (sizeOf(written, 'policies', name, 'allow') === 0) at.warning([], 'allows nothing');
    if (sizeOf(written, 'policies', name, 'users') === 0) at.warning(['users'], 'holds for nobody');
    for (const [index, { text }] of at.words('users').entries()) {
      if (areRoutesKnown && settings.routes.length > 0 && !isRouted(text.toLowerCase(), settings)) {
        at.warning(['users', index], 'no route takes these users');
      }
    }
    for (const rule of policy.allow) {
      const deny = policy.denyByCommand.get(rule.command)?.[0];
      if (deny === undefined) continue;
      const message = `never allows anything: "${rule.command}" is denied in line ${deny.place.line}`;
      at.warningAt(rule.place, ['allow'], message);
    }
  }
}

/** Whether a route can take a user of that pattern; asked by its domain alone, which is good enough for a warning. */
function isRouted(pattern: string, settings: Settings): boolean {
  const domain = domainOf(pattern);
  return (
    domain.includes('*') ||
    settings.routes.some(
      ({ users }) =>
        users.matches(pattern.replace(/\*+/g, 'x')) ||
        users.globs.some(({ text }) => domainOf(text) === domain || domainOf(text).includes('*')),
    )
  );
}

function domainOf(pattern: string): string {
  return pattern.slice(pattern.lastIndexOf('@') + 1);
}

function unknownName(what: string, name: string, names: readonly string[]): string {
  const nearest = nearestName(name, names);
  const shown = JSON.stringify(name);
  if (nearest !== undefined) return `there is no ${what} ${shown}; did you mean ${nearest}?`;
  return names.length === 0
    ? `there is no ${what} ${shown}`
    : `there is no ${what} ${shown}; there are: ${names.join(', ')}`;
}

function namesIn(written: Cursor, key: string): string[] {
  const node = written.node(key);
  return node?.kind === 'map' ? [...node.entries.keys()] : [];
}

/** Number of entries of a map or list; 0 where there is none. */
function sizeOf(written: Cursor, ...path: PropertyKey[]): number {
  const node = written.node(...path);
  if (node?.kind === 'map') return node.entries.size;
  return node?.kind === 'list' ? node.items.length : 0;
}
