// Reads a configuration: files -> tree -> shape -> settings, or every problem at once; and single sections of a file whose other parts
// have problems. Settings come out only when there is not one error; warnings come along with them.
import { sha256Hex } from '../identity/credentials.js';
import { checkSettings } from './check-settings.js';
import { type Cursor, createCursor, validate, valuePlace } from './cursor.js';
import { parseBackends } from './parse-backends.js';
import { parseListeners } from './parse-listeners.js';
import { type PolicyReading, parsePolicies } from './parse-policy.js';
import { parseRoutes, parseServerCommands } from './parse-routes.js';
import { parseAdmin, parseAudit, parseLimits, parseMailUsers, parseSinks } from './parse-sections.js';
import { parseTests } from './parse-tests.js';
import { salvageYaml } from './parse-yaml.js';
import { createProblemList, formatProblem, type Place, type Problem } from './problem.js';
import { createSources, gather, type ReadFiles, type Sources } from './read-files.js';
import { configurationSchema, type RawConfiguration } from './schema.js';
import {
  type AdminSettings,
  type AuditSettings,
  meaningOf,
  type Settings,
  stateDefault,
} from './settings.js';

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
      ...parseAudit(raw.audit, cursor.down('audit')),
      ship: parseSinks(raw.audit.ship ?? [], cursor.down('audit', 'ship')),
    },
    ...(admin === undefined ? {} : { admin }),
    limits: parseLimits(raw.limits, cursor.down('limits')),
    log: raw.log,
  };
  return { ...settings, hash: sha256Hex(meaningOf(settings)) };
}

/** The section `audit`, without the receivers of copies. */
export type AuditSection = Omit<AuditSettings, 'ship'>;

/** What could be read of a configuration, and everything that was wrong with it so far. */
interface Salvaged {
  readonly raw: RawConfiguration | undefined;
  readonly cursor: Cursor | undefined;
  readonly problems: () => Problem[];
  readonly texts: ReadonlyMap<string, string>;
}

function salvage(file: string, read: ReadFiles): Salvaged {
  const problems = createProblemList();
  const sources = createSources(read, problems, salvageYaml);
  const root = gather(file, sources, read, problems);
  const valid = root === undefined ? undefined : validate(configurationSchema, root, problems);
  return {
    raw: valid?.value,
    cursor: valid && createCursor(valid.root, problems),
    problems: () => problems.sorted(),
    texts: sources.texts,
  };
}

/** The section `admin` of `file`, or of what it includes; undefined where none can be read. Reports no problems. */
export function findAdmin(file: string, read: ReadFiles): AdminSettings | undefined {
  const { raw, cursor } = salvage(file, read);
  return cursor && parseAdmin(raw?.admin, cursor.down('admin'));
}

/** The section `audit`; or the errors because of which nobody can say where the journal and its keys are. */
export type FoundAudit =
  | {
      readonly audit: AuditSection;
      /** The directory of `state`; undefined: nobody can say which. */
      readonly state: string | undefined;
    }
  | {
      readonly audit?: undefined;
      readonly problems: readonly Problem[];
      readonly texts: ReadonlyMap<string, string>;
    };

/** Keys of `audit` that are used; a problem with another one does not matter here. */
const usedKeys = ['audit', 'audit.directory', 'audit.hmac_key', 'audit.sign_key'];

/** The section `audit` of `file`, or of what it includes. */
export function findAudit(file: string, read: ReadFiles): FoundAudit {
  const { raw, cursor, problems, texts } = salvage(file, read);
  const audit = raw && cursor && parseAudit(raw.audit, cursor.down('audit'));
  const errors = problems().filter(({ severity }) => severity === 'error');
  const ofAudit = errors.filter(({ path }) => usedKeys.includes(path));
  // The default directory counts only if every file was read: the section may stand in what could not be.
  const unread = errors.filter(({ code }) => code === 'not-yaml' || code === 'unreadable-file');
  const isSaid = raw?.audit.directory !== undefined;
  const why = ofAudit.length > 0 ? ofAudit : isSaid ? [] : unread;
  if (audit === undefined) return { problems: errors, texts };
  if (why.length > 0) return { problems: why, texts };
  const said = cursor?.file('state');
  const isDoubtful = errors.some(({ path }) => path === 'state') || (said === undefined && unread.length > 0);
  return { audit, state: isDoubtful ? undefined : (said ?? stateDefault) };
}
