// Compares test/ with src/: a test file lies where its source lies, and what is pure has a test file.
// `test/protocol/lines.test.ts` and `test/protocol/lines.escape.test.ts` both belong to `src/protocol/lines.ts`.
import { factsOf } from './references.js';
import { modules } from './table.js';

export interface MirrorExceptions {
  readonly otherTestFolders: readonly string[];
  readonly fullyTestedModules: readonly string[];
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
    if (exceptions.otherTestFolders.includes(path.split('/')[1] ?? '')) continue;
    if (moduleOf(path) === undefined) {
      problems.push(`${path}: src/ has no module for it`);
      continue;
    }
    if (!path.endsWith('.test.ts')) continue;
    const source = /^test\/((?:[a-z-]+\/)+[a-z0-9-]+)(\.[a-z0-9-]+)?\.test\.ts$/.exec(path)?.[1];
    if (source !== undefined && sources.has(`src/${source}.ts`)) tested.add(`src/${source}.ts`);
    else if (!unused.delete(path)) problems.push(`${path}: there is no source of this name`);
  }
  for (const [path, text] of sources) {
    if (!exceptions.fullyTestedModules.includes(moduleOf(path) ?? '')) continue;
    if (tested.has(path) || exceptions.needsNoTest(path) || factsOf(text).isTypeOnly) continue;
    if (!unused.delete(path))
      problems.push(`${path}: there is no ${path.replace(/^src/, 'test').replace(/ts$/, 'test.ts')}`);
  }
  return [...problems, ...[...unused].map((path) => `${path}: the exception is not needed`)];
}

/** `test/domain/policy/cases/x` belongs to `domain/policy`. */
function moduleOf(path: string): string | undefined {
  const parts = path.split('/').slice(1, -1);
  for (let length = parts.length; length > 0; length -= 1) {
    const module = parts.slice(0, length).join('/');
    if (Object.hasOwn(modules, module)) return module;
  }
  return undefined;
}
