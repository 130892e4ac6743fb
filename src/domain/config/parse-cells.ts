// cells.yaml: the cells of a large fleet, each with the public key of its verifier and the directory where a copy of that verifier's
// signed lines lies, and of its mirror where there is one. For whoever reads many cells in one place; no cell has this file.

import * as z from 'zod';
import { bounds } from '../../bounds/bounds.js';
import { isHostWord } from '../records/fleet/names.js';
import { type Cursor, createCursor } from './cursor.js';
import { type FleetFiles, keyAt, verifierKeysAt } from './parse-fleet.js';
import { parseYaml } from './parse-yaml.js';
import { type Problem, ProblemList } from './problem.js';
import { count, duration, file, publicKeyText, section } from './schema-parts.js';
import { validate } from './validate.js';

const host = section('a host of a cell', {
  key: file('a public key in base64, or the file that holds it', publicKeyText).optional(),
});

const cell = section('a cell', {
  key: file(
    'the public key of the verifier in base64, or the file that holds its keys, as checkpoint.pub of its state',
    publicKeyText,
  ),
  directory: file('the directory with copies of checkpoints.jsonl and of journals/'),
  from_root: count(1, Number.MAX_SAFE_INTEGER).prefault(1),
  hosts: z
    .record(z.string(), z.union([host, z.null().transform(() => host.parse({}))]), {
      error:
        'must be a map from hosts to what is known of them, as { mail-gate-3: { key: mail-gate-3.pub } }',
    })
    .optional(),
});

const cellsSchema = section('the cells of a fleet', {
  root_every: duration('2h'),
  cells: z.record(z.string(), cell, {
    error:
      'must be a map from cells to where copies of them are, as { north: { key: north.pub, directory: /srv/cells/north } }',
  }),
});

export interface CellSettings {
  readonly name: string;
  /** Of its verifier, in base64, oldest first. */
  readonly keys: readonly string[];
  readonly directory: string;
  /** Earlier lines were looked at by a person, and are not compared any more. */
  readonly fromRoot: number;
  /** The hosts that it must have, each with its key in base64, if it is known; undefined: nothing is said. */
  readonly hosts: ReadonlyMap<string, string | undefined> | undefined;
}

export interface CellsSettings {
  readonly rootEveryMs: number;
  /** In the order of the file. */
  readonly cells: readonly CellSettings[];
}

/** Whether a text is meant as cells.yaml, and not as fleet.yaml. */
export function isOfCells(path: string, content: string): boolean {
  // A fleet of a thousand hosts takes a quarter of a second to parse.
  if (!content.includes('cells')) return false;
  const list = new ProblemList();
  const root = parseYaml(path, content, list);
  return root !== undefined && createCursor(root, list).has('cells');
}

/** As `parseFleetSettings`. */
export function parseCells(
  path: string,
  content: string,
  files: FleetFiles,
): { readonly settings: CellsSettings | undefined; readonly problems: readonly Problem[] } {
  const list = new ProblemList();
  const own = files.whyUnsafe(path, false);
  if (own !== undefined) list.error({ file: path, line: 1, column: 1 }, '', own.text, 'unsafe-file');
  const root = parseYaml(path, content, list);
  const valid = root && validate(cellsSchema, root, list);
  const settings = valid && settingsOf(valid.value, valid.cursor, files);
  return { settings: list.hasErrors ? undefined : settings, problems: list.sorted() };
}

const cellsMax = bounds.fleetCells;

function settingsOf(
  { rootEveryMs, cells: written }: z.infer<typeof cellsSchema>,
  cursor: Cursor,
  files: FleetFiles,
): CellsSettings {
  const owners = new Map<string, string>();
  const cells = Object.entries(written).map(([name, raw]) => {
    const at = cursor.down('cells', name);
    if (!isHostWord(name))
      at.error([], 'a cell is one word: letters, digits, dashes and underscores, at most 63');
    const keys = verifierKeysAt(raw.key, at, files);
    for (const key of keys) {
      const owner = owners.get(key);
      if (owner !== undefined) at.error(['key'], `is a key of ${owner} too: each verifier has its own`);
      owners.set(key, name);
    }
    const hosts =
      raw.hosts &&
      new Map(
        Object.entries(raw.hosts).map(([word, { key }]) => {
          if (!isHostWord(word))
            at.error(
              ['hosts', word],
              'a host is one word: letters, digits, dashes and underscores, at most 63',
            );
          return [word, keyAt(key, at.down('hosts', word), files)] as const;
        }),
      );
    return { name, keys, directory: raw.directory, fromRoot: raw.fromRoot, hosts };
  });
  if (cells.length === 0) cursor.error(['cells'], 'must list at least one cell');
  if (cells.length > cellsMax) cursor.error(['cells'], `must list at most ${cellsMax} cells`);
  return { rootEveryMs, cells };
}
