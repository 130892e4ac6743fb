// Where a daemon is asked, as far as its configuration says so: also where the rest of the file has problems, because that is when
// operators need the daemon most. Nothing else of such a file is believed.

import { parseAdmin } from '../config/parse-sections.js';
import { configurationSchema } from '../config/schema.js';
import type { AdminSettings } from '../config/settings.js';
import { salvageYaml } from '../source/parse-yaml.js';
import { createProblemList } from '../source/problem.js';
import { createSources, gather, type ReadFiles } from '../source/read-files.js';
import { createCursor, validate } from '../source/written.js';

/** The section `admin` of `file`, or of what it includes; undefined where none can be read. Tells no problems. */
export function findAdmin(file: string, read: ReadFiles): AdminSettings | undefined {
  const untold = createProblemList();
  const root = gather(file, createSources(read, untold, salvageYaml), read, untold);
  const valid = root === undefined ? undefined : validate(configurationSchema, root, untold);
  return valid && parseAdmin(valid.value.admin, createCursor(valid.root, untold).down('admin'));
}
