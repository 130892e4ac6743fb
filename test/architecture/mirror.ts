// Compares test/ with src/: a test file lies where its source lies, and what is pure has a test file.
// `test/wire/escape.test.ts` and `test/wire/escape.fuzz.test.ts` both belong to `src/wire/escape.ts`.
import { factsOf } from './references.js';
import { folders } from './table.js';

export interface MirrorExceptions {
  readonly otherTestFolders: readonly string[];
  readonly fullyTestedFolders: readonly string[];
  readonly needsNoTest: (path: string) => boolean;
  readonly testsWithoutSource: Readonly<Record<string, string>>;
  readonly sourcesWithoutTest: Readonly<Record<string, string>>;
}

/** What is wrong, one line each. `tests` are paths below test/; sources come by path with their text. */
export function checkMirror(
  sources: ReadonlyMap<string, string>,
  tests: readonly string[],
  exceptions: MirrorExceptions,
): string[] {
  const problems: string[] = [];
  const tested = new Set<string>();
  const unused = new Set([
    ...Object.keys(exceptions.testsWithoutSource),
    ...Object.keys(exceptions.sourcesWithoutTest),
  ]);
  for (const path of tests) {
    const folder = path.split('/')[1] ?? '';
    if (exceptions.otherTestFolders.includes(folder)) continue;
    if (!Object.hasOwn(folders, folder)) {
      problems.push(`${path}: test/ has no folder ${folder}`);
      continue;
    }
    const source = /^test\/([^/]+\/[a-z0-9-]+)(\.[a-z0-9-]+)?\.test\.ts$/.exec(path)?.[1];
    if (!path.endsWith('.test.ts')) continue;
    if (source !== undefined && sources.has(`src/${source}.ts`)) tested.add(`src/${source}.ts`);
    else if (!unused.delete(path)) problems.push(`${path}: there is no source of this name`);
  }
  for (const [path, text] of sources) {
    if (!exceptions.fullyTestedFolders.includes(path.split('/')[1] ?? '')) continue;
    if (tested.has(path) || exceptions.needsNoTest(path) || factsOf(text).isTypeOnly) continue;
    if (!unused.delete(path))
      problems.push(`${path}: there is no ${path.replace(/^src/, 'test').replace(/ts$/, 'test.ts')}`);
  }
  return [...problems, ...[...unused].map((path) => `${path}: the exception is not needed`)];
}
