// Reads the project's own tree for the architecture tests: paths are relative to the root, with slashes.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { projectRoot } from '../kit/plain/root.js';

/** The root of the project, seen from build/test/architecture/. */
export const root = fileURLToPath(projectRoot);

/** Every file below a folder; none if there is no such folder. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .toSorted();
}

/** The text of a file of the project. */
export function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** All of src/ by path, but for READMEs and what only a browser reads (test/architecture/web.test.ts looks at that). */
export function readSources(): Map<string, string> {
  const paths = filesBelow('src').filter(
    (path) =>
      path !== 'src/README.md' &&
      !/^src\/(?:\w+\/README\.md$|page\/web\/.*\.(?:tsx|css|html|svg|md)$)/.test(path),
  );
  return new Map(paths.map((path) => [path, textOf(path)]));
}

const manifestShape = z.object({
  version: z.string(),
  license: z.string(),
  files: z.array(z.string()),
  optionalDependencies: z.record(z.string(), z.string()),
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

/** What package.json says, as far as the tests ask. */
export function readManifest(): z.infer<typeof manifestShape> {
  return manifestShape.parse(JSON.parse(textOf('package.json')));
}
