// Owns the whole reading of a configuration: files -> tree -> shape -> settings, or every problem at once.
// It does not open files (they come through ReadFiles) and knows no defaults (settings) and no shapes (schema).
// The rule: settings come out only when there is not one error; warnings come along with them.
import { sha256Hex } from '../identity/digest.js';
import { checkSettings } from './check-settings.js';
import { type Cursor, createCursor } from './cursor.js';
import { parseBackends } from './parse-backends.js';
import { parsePolicies } from './parse-policy.js';
import { parseAudit, parseLimits, parseListeners, parseMailUsers } from './parse-sections.js';
import { createProblemList, type Problem } from './problem.js';
import { gather, type ReadFiles } from './read-files.js';
import { configurationSchema, type RawConfiguration } from './schema.js';
import { logLevelDefault, type Settings, stateDefault } from './settings.js';
import { validate } from './validate.js';

/** `texts`: every file that was read, by its path, for showing source lines beside problems. */
export type ParsedSettings =
  | {
      readonly settings: Settings;
      readonly problems: readonly Problem[];
      readonly texts: ReadonlyMap<string, string>;
    }
  | {
      readonly settings?: undefined;
      readonly problems: readonly Problem[];
      readonly texts: ReadonlyMap<string, string>;
    };

/** Reads a configuration. `problems` holds warnings only, when there are settings. */
export function parseSettings(file: string, read: ReadFiles): ParsedSettings {
  const problems = createProblemList();
  const gathered = gather(file, read, problems);
  if (gathered === undefined) return { problems: problems.sorted(), texts: new Map() };
  const { root, texts } = gathered;
  const valid = validate(configurationSchema, root, problems);
  if (valid === undefined) return { problems: problems.sorted(), texts };
  const settings = build(valid.value, createCursor(valid.root, problems));
  // Names are looked up in what was written, so that one mistake is not told again wherever the name is used.
  checkSettings(settings, createCursor(root, problems), createCursor(valid.root, problems));
  if (problems.hasErrors) return { problems: problems.sorted(), texts };
  return { settings, problems: problems.sorted(), texts };
}

function build(raw: RawConfiguration, cursor: Cursor): Settings {
  const mailUsers = parseMailUsers(raw, cursor.down('mail_users'));
  const settings = {
    listeners: parseListeners(raw.listeners ?? {}, cursor.down('listeners')),
    ...parseBackends(raw, cursor),
    policies: parsePolicies(raw.policies ?? {}, cursor.down('policies'), mailUsers),
    mailUsers,
    state: cursor.file('state') ?? stateDefault,
    audit: parseAudit(raw.audit ?? {}, cursor.down('audit')),
    limits: parseLimits(raw.limits ?? {}, cursor.down('limits')),
    log: { level: raw.log?.level ?? logLevelDefault },
  };
  return { ...settings, hash: sha256Hex(meaningOf(settings)) };
}

/** One text for one meaning: places left out, policies by their version, keys in the order of the settings type. */
function meaningOf(settings: Omit<Settings, 'hash'>): string {
  const { routes, policies, audit } = settings;
  const plain = {
    ...settings,
    routes: routes.map(({ users, backend }) => ({ users: users.globs.map((glob) => glob.text), backend })),
    policies: [...policies].map(([name, policy]) => [name, policy.version]),
    audit: { ...audit, strict: [...audit.strict].toSorted() },
  };
  return JSON.stringify(plain, (key, value: unknown) => (key === 'place' ? undefined : value));
}
