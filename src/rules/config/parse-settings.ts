// Reads a configuration: files -> tree -> shape -> settings, or every problem at once; and single sections of a file whose other parts have
// problems. There are settings only without errors; warnings are returned with them.

import { GlobList } from '../../doveadm/names/glob.js';
import { foldFor } from '../../doveadm/names/user-name.js';
import { sha256Hex } from '../../host/values/digest.js';
import { checkSettings } from './check-settings.js';
import { type Cursor, createCursor, valuePlace } from './cursor.js';
import { parseBackends } from './parse-backends.js';
import { parseCatalog } from './parse-catalog.js';
import { listenersOf } from './parse-listeners.js';
import { parseNotices } from './parse-notices.js';
import { parsePersons } from './parse-persons.js';
import { type PolicyReading, parsePolicies } from './parse-policy.js';
import { adminOf, parseAudit, parseMailUsers, parseRoutes, parseServerCommands } from './parse-sections.js';
import type { MapNode } from './parse-yaml.js';
import {
  type Finding,
  formatProblem,
  type Place,
  type Places,
  type Problem,
  ProblemList,
  placeIn,
} from './problem.js';
import { type Asking, type ReadFiles, Sources } from './read-files.js';
import { configurationSchema, type RawConfiguration } from './schema.js';
import type { Settings } from './settings.js';
import { validate } from './validate.js';

export interface ParsedSettings {
  /** Undefined: there are errors. */
  readonly settings?: Settings;
  readonly problems: readonly Problem[];
  /** Every text that was read, by its path, for showing source lines beside problems. */
  readonly texts: ReadonlyMap<string, string>;
  /** The origin of each file; undefined: it is the first one. */
  readonly files: ReadonlyMap<string, Asking | undefined>;
  /** Place of the value at a path, as `backends.mail1.ca`, or of what is above it. */
  readonly placeAt: (path: string) => Place;
}

interface ParseOptions {
  /** For warnings about rules that are over. */
  readonly nowMs?: number;
  /** Policies without the rest, so whether somebody could approve, and how long the journal is kept, is not known. */
  readonly isPart?: boolean;
  /** Further checks for a person, as `checkBeside`. */
  readonly checkBeside?: CheckBeside | undefined;
}

/** `written` is the whole configuration, `valid` its valid part, from which the settings were made. */
export type CheckBeside = (settings: Settings, written: Cursor, valid: Cursor) => void;

/** Reads a configuration. `problems` holds warnings only, when there are settings. */
export function parseSettings(
  file: string,
  read: ReadFiles,
  { nowMs, isPart = false, checkBeside }: ParseOptions = {},
): ParsedSettings {
  const problems = new ProblemList();
  const sources = new Sources(read, problems);
  const root = sources.gather(file);
  const valid = root && validate(configurationSchema, root, problems);
  const places = placesOf(file, root);
  let settings: Settings | undefined;
  if (root !== undefined && valid !== undefined) {
    settings = build(valid.value, valid.cursor, { sources, problems, nowMs, places });
    // Names are checked against the written ones, so that one mistake is not reported again at each use.
    const written = createCursor(root, problems);
    checkSettings(settings, written, valid.cursor, isPart);
    checkBeside?.(settings, written, valid.cursor);
  }
  return {
    ...(settings !== undefined && !problems.hasErrors && { settings }),
    problems: problems.sorted(),
    texts: sources.texts,
    files: sources.files,
    placeAt: (path) => (path === '' ? undefined : root && valuePlace(root, path)) ?? placeIn(places, path),
  };
}

export interface ProblemReport {
  readonly found: readonly Problem[];
  readonly problems: readonly string[];
}

export function reportProblems(parsed: ParsedSettings, inspected: readonly Finding[]): ProblemReport {
  const placed = inspected.map((problem) => ({ ...problem, ...parsed.placeAt(problem.path) }));
  const found = [...parsed.problems, ...placed];
  return { found, problems: found.map((problem) => formatProblem(problem, parsed.texts.get(problem.file))) };
}

function build(
  raw: RawConfiguration,
  cursor: Cursor,
  { places, ...reading }: Omit<PolicyReading, 'mailUsers' | 'catalog'> & Pick<Settings, 'places'>,
): Settings {
  const { state, limits, log } = raw;
  const mailUsers = parseMailUsers(raw, cursor.down('mail_users'));
  const catalog = parseCatalog(raw.catalogFiles ?? [], cursor.down('catalog'), reading);
  const admin = raw.admin && adminOf(raw.admin, foldFor(mailUsers.case));
  const notices = parseNotices(raw, cursor);
  const settings = {
    listeners: listenersOf(raw.listeners, cursor.down('listeners'), reading.nowMs),
    backends: parseBackends(raw.backends, cursor.down('backends')),
    routes: parseRoutes(raw.routes, cursor.down('routes'), mailUsers),
    serverCommands: parseServerCommands(raw.serverCommands, cursor.down('server_commands'), catalog?.added),
    policies: parsePolicies(raw, cursor, { ...reading, mailUsers, catalog }),
    persons: parsePersons(raw.persons, cursor.down('persons')),
    tests: raw.tests.map((test, index) => ({ ...test, place: cursor.place('tests', index) })),
    mailUsers,
    state,
    audit: parseAudit(raw, cursor.down('audit')),
    ...(admin && { admin }),
    ...(notices.length > 0 && { notices }),
    ...(catalog && { catalog }),
    limits,
    log,
  };
  return { ...settings, places, hash: hashOf(settings) };
}

/** Paths whose entries have places in the settings: problems with them may be found after parsing. */
const placedBelow = [
  'listeners',
  'backends',
  'persons',
  'notices',
  'admin',
  'admin.page.people',
  'audit.ship',
];

function placesOf(file: string, root: MapNode | undefined): Places {
  const all = root && createCursor(root, new ProblemList());
  const parts = placedBelow.map((path) => all?.down(...path.split('.')));
  return new Map([
    ['', { file, line: 1, column: 1 }],
    ...parts.flatMap((at) => at?.steps().map((step) => [at.path(step), at.place(step)] as const) ?? []),
  ]);
}

/** Equal settings have equal hashes: without places and tests, keys in order, policies and candidates by version. */
function hashOf(settings: Omit<Settings, 'hash' | 'places'>): string {
  const { policies, catalog, tests: _, ...rest } = settings;
  const plain = {
    ...rest,
    catalog: catalog?.files.map(({ hash }) => hash),
    policies: [...policies].map(([name, { version, shadow }]) => [name, version, shadow?.version]),
  };
  return sha256Hex(
    JSON.stringify(plain, (key, value: unknown) => (key === 'place' ? undefined : canonical(value))),
  );
}

function canonical(value: unknown): unknown {
  if (value instanceof GlobList) return value.texts;
  if (value instanceof Set) return [...value].toSorted((one, other) => (one < other ? -1 : 1));
  if (value instanceof Map) return [...value];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

/** The readable part of a configuration with errors: for questions and for finding the journal, never for serving. */
export interface FoundSettings {
  /** Parts with errors are missing, or have their defaults. Undefined: the file is not a map. */
  readonly settings: Settings | undefined;
  /** The errors that hide the journal or its keys; empty: `settings.audit` says where it is. */
  readonly hiding: readonly Problem[];
  /** False: the value of `state` may be another one. */
  readonly isStateSaid: boolean;
  readonly texts: ReadonlyMap<string, string>;
}

/** Keys of `audit` that find the journal; a problem with another one does not matter to its readers. */
const journalKeys = ['audit', 'audit.directory', 'audit.hmac_key', 'audit.sign_key'];

/** Reads a broken configuration for commands that must answer nevertheless. Reports only problems that hide the journal. */
export function findSettings(file: string, read: ReadFiles): FoundSettings {
  const problems = new ProblemList();
  const sources = new Sources(read, problems, true);
  const root = sources.gather(file);
  const valid = root && validate(configurationSchema, root, problems);
  const { texts } = sources;
  const errors = problems.sorted().filter(({ severity }) => severity === 'error');
  if (valid === undefined) return { settings: undefined, hiding: errors, isStateSaid: false, texts };
  // A missing key has its default only if every file was read: an unread file may set it.
  const unread = errors.filter(({ code }) => code === 'not-yaml' || code === 'unreadable-file');
  const ofJournal = errors.filter(({ path }) => journalKeys.includes(path));
  const { cursor } = valid;
  return {
    settings: build(valid.value, cursor, {
      sources,
      problems,
      nowMs: undefined,
      places: placesOf(file, root),
    }),
    hiding: ofJournal.length > 0 || cursor.has('audit', 'directory') ? ofJournal : unread,
    isStateSaid: cursor.has('state') || (unread.length === 0 && !errors.some(({ path }) => path === 'state')),
    texts,
  };
}
