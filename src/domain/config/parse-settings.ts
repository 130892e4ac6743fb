// Owns the whole reading of a configuration: files -> tree -> shape -> settings, or every problem at once; and what must hold
// between sections: names that exist, sockets that differ, users that lead somewhere.
// It does not open files (they come through ReadFiles) and knows no defaults (settings) and no shapes (schema).
// The rule: settings come out only when there is not one error; warnings come along with them. One mistake is told once: a
// name counts as defined when it was written, even if its value is broken.
import { commandNamed } from '../commands/catalog.js';
import { allSeries } from '../commands/series.js';
import { sha256Hex } from '../identity/credentials.js';
import { foldAscii } from '../identity/user-name.js';
import { reachable } from '../policy/route.js';
import type { Policy, Rule } from '../policy/rule.js';
import { checkListeners, policiesUsed } from './check-listeners.js';
import { checkNamespaces } from './check-namespaces.js';
import { parseBackends } from './parse-backends.js';
import { parseListeners } from './parse-listeners.js';
import { type PolicyReading, parsePolicies } from './parse-policy.js';
import { parseRoutes, parseServerCommands } from './parse-routes.js';
import { parseAdmin, parseAudit, parseLimits, parseMailUsers } from './parse-sections.js';
import { parseSinks } from './parse-sinks.js';
import { checkTests, parseTests } from './parse-tests.js';
import { createProblemList, formatProblem, type Place, type Problem, unknownName } from './problem.js';
import { createSources, gather, type ReadFiles, type Sources } from './read-files.js';
import { configurationSchema, type RawConfiguration } from './schema.js';
import { logLevelDefault, meaningOf, type Settings, stateDefault } from './settings.js';
import { type Cursor, createCursor, namesIn, validate, valuePlace } from './written.js';

/** What was read. */
export interface ParsedSettings {
  /** Undefined: there are errors. */
  readonly settings?: Settings;
  readonly problems: readonly Problem[];
  /** Every text that was read, by its path, for showing source lines beside problems. */
  readonly texts: Sources['texts'];
  readonly files: Sources['files'];
  /** Place of the value at a path, as `backends.mail1.ca`; undefined: there is none. */
  readonly valueAt: (path: string) => Place | undefined;
}

/** What may be known besides the files. */
export interface ParseOptions {
  /** For warnings about rules that are over, in Unix milliseconds. */
  readonly nowMs?: number;
}

/** Reads a configuration. `problems` holds warnings only, when there are settings. */
export function parseSettings(file: string, read: ReadFiles, options: ParseOptions = {}): ParsedSettings {
  const problems = createProblemList();
  const sources = createSources(read, problems);
  const root = gather(file, sources, read, problems);
  const { texts, files } = sources;
  const valueAt = (path: string): Place | undefined => root && valuePlace(root, path);
  const valid = root === undefined ? undefined : validate(configurationSchema, root, problems);
  if (root === undefined || valid === undefined)
    return { problems: problems.sorted(), texts, files, valueAt };
  const cursor = createCursor(valid.root, problems);
  const settings = build(valid.value, cursor, { sources, problems, nowMs: options.nowMs });
  // Names are looked up in what was written, so that one mistake is not told again wherever the name is used.
  checkSettings(settings, createCursor(root, problems), cursor);
  if (problems.hasErrors) return { problems: problems.sorted(), texts, files, valueAt };
  return { settings, problems: problems.sorted(), texts, files, valueAt };
}

/** All problems of a configuration. */
export interface ProblemReport {
  readonly found: readonly Problem[];
  /** The same as text, with their source lines. */
  readonly problems: readonly string[];
}

/** The problems of a configuration and those of `inspected`, which get the places of the values that their paths name. */
export function reportProblems(parsed: ParsedSettings, inspected: readonly Problem[]): ProblemReport {
  const placed = inspected.map((problem) => ({ ...problem, ...parsed.valueAt(problem.path) }));
  const found = [...parsed.problems, ...placed];
  return { found, problems: found.map((problem) => formatProblem(problem, parsed.texts.get(problem.file))) };
}

function build(raw: RawConfiguration, cursor: Cursor, reading: Omit<PolicyReading, 'mailUsers'>): Settings {
  const mailUsers = parseMailUsers(raw, cursor.down('mail_users'));
  const admin = parseAdmin(raw.admin, cursor.down('admin'));
  const settings = {
    listeners: parseListeners(raw.listeners ?? {}, cursor.down('listeners')),
    backends: parseBackends(raw, cursor),
    routes: parseRoutes(raw, cursor.down('routes')),
    serverCommands: parseServerCommands(raw, cursor.down('server_commands')),
    policies: parsePolicies(raw.policies ?? {}, cursor.down('policies'), { ...reading, mailUsers }),
    tests: parseTests(raw.tests ?? [], cursor.down('tests')),
    mailUsers,
    state: cursor.file('state') ?? stateDefault,
    audit: {
      ...parseAudit(raw.audit ?? {}, cursor.down('audit')),
      ship: parseSinks(raw.audit?.ship ?? [], cursor.down('audit', 'ship')),
    },
    ...(admin === undefined ? {} : { admin }),
    limits: parseLimits(raw.limits ?? {}, cursor.down('limits')),
    log: { level: raw.log?.level ?? logLevelDefault },
  };
  return { ...settings, hash: sha256Hex(meaningOf(settings)) };
}

/** `written` is the whole configuration, `valid` what was left of it and became the settings. */
function checkSettings(settings: Settings, written: Cursor, valid: Cursor): void {
  checkPresence(written);
  checkListeners(settings.listeners, settings.admin, written, valid);
  checkRoutes(settings, written, valid);
  checkNamespaces(settings, valid);
  checkPolicies(settings, written, valid);
  const listeners = namesIn(written, 'listeners');
  checkTests(settings, valid, (name) =>
    listeners.includes(name) ? undefined : unknownName('listener', name, listeners),
  );
}

function checkPresence(written: Cursor): void {
  for (const [key, what] of [
    ['listeners', 'there is no listener, so nobody could connect'],
    ['backends', 'there is no backend, so no command could be sent'],
    ['policies', 'there is no policy, so every command would be denied'],
    ['routes', 'no user leads to a backend; for a single one: [{ users: ["*"], backend: NAME }]'],
  ] as const) {
    const node = written.node(key);
    if (node === undefined) written.error([key], `is missing: ${what}`, 'missing-key');
    else if (sizeOf(written, key) === 0 && node.kind !== 'scalar')
      written.error([key], `is empty: ${what}`, 'missing-key');
  }
}

function checkRoutes(settings: Settings, written: Cursor, valid: Cursor): void {
  const backends = namesIn(written, 'backends');
  const unknown = checkTargets(settings, backends, valid);
  let everything: number | undefined;
  for (const [index, { users }] of settings.routes.entries()) {
    const at = valid.down('routes', index);
    for (const [item, { text }] of at.words('users').entries()) {
      if (lacksRealm(text, settings)) at.warning(['users', item], withRealm(text, settings));
    }
    if (everything !== undefined)
      at.warning([], 'is never reached: a route above takes every user', 'never-reached');
    else if (users.isEverything) everything = index;
  }
  // A name that is there and unknown is told already; it may be the one that is missing here.
  const { length } = settings.routes;
  if (length === 0 || sizeOf(written, 'routes') !== length || unknown > 0) return;
  const reached = new Set(reachable(settings.routes, backends));
  for (const { name } of settings.backends) {
    if (!reached.has(name)) valid.warning(['backends', name], 'no route leads here', 'unused');
  }
}

/** Names of backends in routes and server_commands; how many of the routes' are unknown. */
function checkTargets(settings: Settings, backends: readonly string[], valid: Cursor): number {
  let unknown = 0;
  const check = (name: string, at: Cursor, path: readonly PropertyKey[]): void => {
    if (backends.includes(name)) return;
    unknown += 1;
    at.error(path, unknownName('backend', name, backends), 'unknown-name');
  };
  for (const [index, { target }] of settings.routes.entries()) {
    const at = valid.down('routes', index);
    if (target.kind === 'backend') check(target.backend, at, ['backend']);
    else if (target.kind === 'spread') {
      for (const [item, name] of target.backends.entries()) check(name, at, ['spread', item]);
    }
  }
  const inRoutes = unknown;
  const { serverCommands } = settings;
  for (const [name, target] of [['default', serverCommands.default] as const, ...serverCommands.byCommand]) {
    if (target.kind === 'backend') check(target.backend, valid.down('server_commands'), [name]);
  }
  return inRoutes;
}

function checkPolicies(settings: Settings, written: Cursor, valid: Cursor): void {
  const names = namesIn(written, 'policies');
  const used = policiesUsed(settings.listeners);
  const areUsesKnown =
    settings.listeners.length === sizeOf(written, 'listeners') && used.every((name) => names.includes(name));
  const areRoutesKnown = settings.routes.length === sizeOf(written, 'routes');
  for (const [name, policy] of settings.policies) {
    const at = valid.down('policies', name);
    if (areUsesKnown && !used.includes(name)) at.warning([], 'no listener uses this policy', 'unused');
    const writes = (key: string): number => sizeOf(written, 'policies', name, key);
    if (writes('allow') + writes('use') === 0) at.warning([], 'allows nothing');
    if (writes('users') === 0) at.warning(['users'], 'holds for nobody');
    for (const [index, { text }] of at.words('users').entries()) {
      if (areRoutesKnown && settings.routes.length > 0 && !isRouted(text.toLowerCase(), settings)) {
        at.warning(['users', index], 'no route takes these users');
      }
    }
    checkPatterns(settings, at, policy);
    if (writes('except') > 0 && settings.mailUsers.resolve === undefined) {
      at.warning(
        ['except'],
        'an alias of such a user gets round it; set mail_users.resolve',
        'except-bypassed',
      );
    }
    for (const rule of policy.allow) {
      const deny = (policy.denyByCommand.get(rule.command) ?? []).find((each) => shadows(each, rule));
      if (deny !== undefined) {
        const message = `never allows anything: "${rule.command}" is denied in line ${deny.place.line}`;
        at.warningAt(rule.place, ['allow'], message);
      }
      if (!isKnownSomewhere(rule.command, settings)) {
        const message = `never matches: no backend is of a series that has "${rule.command}"`;
        at.warningAt(rule.place, ['allow'], message);
      }
    }
  }
}

/** Whether a deny strikes whatever the rule could allow: its command whatever it says, or on the very same conditions. */
function shadows(deny: Rule, rule: Rule): boolean {
  if (deny.users !== undefined) return false;
  if (deny.where === undefined) return true;
  const [denied = '', allowed] = [deny, rule].map(({ meaning }) => JSON.stringify(whereIn(meaning)));
  // A deny strikes what is given only, and `any` allows also what is not.
  return denied === allowed && !denied.includes('"any"') && !denied.includes('"optional"');
}

function whereIn(meaning: unknown): unknown {
  return typeof meaning === 'object' && meaning !== null && 'where' in meaning ? meaning.where : undefined;
}

function isKnownSomewhere(command: string, { backends }: Settings): boolean {
  const series = backends.flatMap((each) => (each.series === 'auto' ? allSeries : [each.series]));
  return series.length === 0 || series.some((each) => commandNamed(each, command) !== undefined);
}

/** Patterns that match nobody, because every name has a realm; users who are excepted altogether. */
function checkPatterns(settings: Settings, at: Cursor, { except }: Policy): void {
  for (const [index, { text }] of at.words('except').entries()) {
    // An error, since whoever wrote it relies on it.
    if (lacksRealm(text, settings)) at.error(['except', index], withRealm(text, settings));
  }
  for (const [index, { text }] of at.words('users').entries()) {
    if (lacksRealm(text, settings)) at.warning(['users', index], withRealm(text, settings));
    else if (except.isEverything || except.matches(foldAscii(text))) {
      at.warning(['users', index], 'is excepted altogether');
    }
  }
}

/** With a default realm every name has an @, which no single star crosses. */
function lacksRealm(pattern: string, { mailUsers }: Settings): boolean {
  return mailUsers.defaultRealm !== undefined && !/@|\*\*|^\*?$/.test(pattern);
}

function withRealm(pattern: string, { mailUsers }: Settings): string {
  return `matches nobody: names have a realm (default_realm); write ${pattern}@${mailUsers.defaultRealm ?? ''}`;
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

/** Number of entries of a map or list; 0 where there is none. */
function sizeOf(written: Cursor, ...path: PropertyKey[]): number {
  const node = written.node(...path);
  if (node?.kind === 'map') return node.entries.size;
  return node?.kind === 'list' ? node.items.length : 0;
}
