// Checks a set of sources: packages and Node modules of each part, the floors of the gate (table.ts), names, opening comments, cycles.
// It reads no files: sources come in by path, so that forged ones can prove what it catches. Globals are the linter's (.oxlintrc.json).
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { findCycles } from './cycles.js';
import { parts } from './parts.js';
import { type Reference, referencesOf } from './references.js';
import { bannedFileNames, builtinsEverywhere, type ModuleRule, modules } from './table.js';

export type Rule =
  | 'unknown-module'
  | 'too-deep'
  | 'stray-file'
  | 'file-name'
  | 'import'
  | 'import-private'
  | 'import-builtin'
  | 'import-package'
  | 'import-missing'
  | 'import-unclear'
  | 'import-cycle'
  | 'clock'
  | 'opening-comment';

export interface Violation {
  readonly rule: Rule;
  /** `src/doveadm/protocol/lines.ts`, or a folder. */
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** Checks sources by path (`src/doveadm/protocol/lines.ts` -> text). */
export function check(sources: ReadonlyMap<string, string>, rules: Rules = modules): Violation[] {
  const violations: Violation[] = [];
  const arrows = new Map<string, string[]>();
  for (const [path, source] of sources) {
    const add = (rule: Rule, line: number, message: string): void =>
      void violations.push({ rule, path, line, message });
    const place = placeOf(path, rules);
    if (typeof place === 'string') {
      add(place, 1, 'src/ holds main.ts, program.ts, help.ts and the parts, of TypeScript files');
      continue;
    }
    checkFile(path, source, add);
    checkClock(path, source, add);
    const targets: string[] = [];
    const { references, unclear } = referencesOf(source);
    for (const { line, text } of unclear) add('import-unclear', line, `${text}: no known form of an import`);
    for (const reference of references) {
      const target = checkReference(path, place, reference, { sources, rules, add });
      // A file loaded by its address runs as a program of its own.
      if (target !== undefined && reference.kind !== 'url') targets.push(target);
    }
    arrows.set(path, targets);
  }
  for (const cycle of findCycles(arrows)) {
    const path = cycle[0] ?? '';
    violations.push({ rule: 'import-cycle', path, line: 1, message: cycle.join(', ') });
  }
  return violations;
}

/** One line for people, with what to do. */
export function formatViolation({ rule, path, line, message }: Violation): string {
  return `${path}:${line}: ${rule}: ${message}`;
}

type Rules = Readonly<Record<string, ModuleRule>>;

interface Surroundings {
  readonly sources: ReadonlyMap<string, string>;
  readonly rules: Rules;
  readonly add: Add;
}

type Add = (rule: Rule, line: number, message: string) => void;

interface Place {
  readonly module: string;
  readonly rule: ModuleRule;
}

/** Stands on top of all parts. */
const top: Place = {
  module: 'top',
  rule: { imports: [], builtins: ['path', 'process'], packages: ['commander'] },
};
const onTop = ['src/main.ts', 'src/program.ts', 'src/help.ts'];

/** The part of a file; in the gate, the folder that it lies in. */
function placeOf(path: string, rules: Rules): Place | 'unknown-module' | 'too-deep' | 'stray-file' {
  const folders = path.split('/').slice(1, -1);
  if (folders.length > 3) return 'too-deep';
  const [part] = folders;
  if (part === undefined) return onTop.includes(path) ? top : 'stray-file';
  const module = part === 'gate' ? folders.join('/') : part;
  const row = parts.find(({ name }) => name === part);
  const rule =
    part === 'gate'
      ? Object.hasOwn(rules, module)
        ? rules[module]
        : undefined
      : row && { ...row, imports: [] };
  if (rule === undefined) return 'unknown-module';
  return path.endsWith('.ts') && !path.endsWith('.d.ts') ? { module, rule } : 'stray-file';
}

function checkFile(path: string, source: string, add: Add): void {
  const name = posix.basename(path, '.ts');
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) add('file-name', 1, 'names are kebab-case');
  if (bannedFileNames.some((banned) => name === banned || name.endsWith(`-${banned}`)))
    add('file-name', 1, 'name the file after what it owns');
  // The doc comment of a first export is not about the file.
  if (!/^(?:#!.*\n)?(?:\/\/ |\/\*(?!\*[^/]*\*\/\s*export\b))/.test(source))
    add('opening-comment', 1, 'a file opens with what it owns');
}

/** `new Date()`, `Date()`, `Date.now` and the class as a value read the clock. Parsing and formatting a given instant is allowed. */
function checkClock(path: string, source: string, add: Add): void {
  if (path.startsWith('src/host/machine/')) return;
  const given = /\bDate\.(?:parse|UTC)\(|\bnew Date\((?!\)|\.\.\.)/g;
  for (const [at, line] of source.replaceAll(given, '').split('\n').entries())
    if (/(?<![\w-])Date\b(?!-)/.test(line)) add('clock', at + 1, 'only host/machine reads the clock');
}

/** The path of the source that is referred to, if it is one of ours and may be. */
function checkReference(
  path: string,
  place: Place,
  reference: Reference,
  { sources, rules, add }: Surroundings,
): string | undefined {
  const { specifier, line, kind } = reference;
  // An address is an arrow to a program to run. One place knows the folders of the program.
  if (kind === 'url' && !specifier.endsWith('.js')) {
    if (path !== 'src/host/machine/process.ts')
      add('import-unclear', line, "write new URL('./NAME.js', import.meta.url)");
    return undefined;
  }
  if (!/^\.\.?\//.test(specifier)) {
    checkForeign(place, specifier, reference, add);
    return undefined;
  }
  const target = posix.join(posix.dirname(path), specifier);
  const file = target.replace(/\.js$/, '.ts');
  if (!target.endsWith('.js') || !sources.has(file)) {
    add('import-missing', line, `${specifier} is no file under src/`);
    return undefined;
  }
  const to = placeOf(file, rules);
  if (typeof to === 'string') return undefined; // told where that file is checked
  if (to.module === place.module) return file;
  // Between parts: parts.test.ts.
  if (!Object.hasOwn(rules, place.module) || !Object.hasOwn(rules, to.module)) return file;
  if (!place.rule.imports.includes(to.module)) {
    add('import', line, `${place.module} may not import ${to.module} (${specifier})`);
    return undefined;
  }
  if (to.rule.public?.includes(posix.basename(file, '.ts')) === false) {
    const files = to.rule.public.join(', ');
    add('import-private', line, `${specifier} is not a public file of ${to.module} (${files})`);
    return undefined;
  }
  return file;
}

function checkForeign(place: Place, specifier: string, { line, clause }: Reference, add: Add): void {
  if (isBuiltin(specifier)) {
    const name = specifier.replace(/^node:/, '').split('/')[0] ?? '';
    if (!specifier.startsWith('node:')) add('import-builtin', line, `write node:${specifier}`);
    if (!place.rule.builtins.includes(name) && !builtinsEverywhere.includes(name))
      add('import-builtin', line, `${place.module} may not import ${specifier}`);
    // Under its own name only: the rules about globals go by name.
    else if (name === 'process' && clause !== 'process')
      add('import-builtin', line, "write import process from 'node:process'");
    return;
  }
  const words = specifier.split('/');
  const name = specifier.startsWith('@') ? words.slice(0, 2).join('/') : (words[0] ?? '');
  if (!place.rule.packages.includes(name))
    add('import-package', line, `${place.module} may not import ${specifier}`);
}
