// Reads one section of a configuration whose other parts may have problems: that is when operators need the daemon and auditors its
// journal most. The rule: nothing else of such a file is used, and a value that is itself doubtful counts as not found.

import { parseAdmin, parseAudit } from './parse-sections.js';
import { salvageYaml } from './parse-yaml.js';
import { createProblemList, type Problem } from './problem.js';
import { createSources, gather, type ReadFiles } from './read-files.js';
import { configurationSchema, type RawConfiguration } from './schema.js';
import { type AdminSettings, type AuditSettings, stateDefault } from './settings.js';
import { type Cursor, createCursor, validate } from './written.js';

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
  const audit = cursor && parseAudit(raw?.audit ?? {}, cursor.down('audit'));
  const errors = problems().filter(({ severity }) => severity === 'error');
  const ofAudit = errors.filter(({ path }) => usedKeys.includes(path));
  // The default directory counts only if every file was read: the section may stand in what could not be.
  const unread = errors.filter(({ code }) => code === 'not-yaml' || code === 'unreadable-file');
  const isSaid = raw?.audit?.directory !== undefined;
  const why = ofAudit.length > 0 ? ofAudit : isSaid ? [] : unread;
  if (audit === undefined) return { problems: errors, texts };
  if (why.length > 0) return { problems: why, texts };
  const said = cursor?.file('state');
  const isDoubtful = errors.some(({ path }) => path === 'state') || (said === undefined && unread.length > 0);
  return { audit, state: isDoubtful ? undefined : (said ?? stateDefault) };
}
