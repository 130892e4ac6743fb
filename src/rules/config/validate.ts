// Validates a tree by its schema and reports every problem at once: of single parts, and between the keys of a section.
import type { core, ZodType } from 'zod';
import { type Cursor, createCursor, type Path } from './cursor.js';
import type { MapNode } from './parse-yaml.js';
import type { ProblemCode, ProblemList } from './problem.js';
import { runChecks } from './schema-parts.js';

/**
 * The tree's value. Parts that violate the schema are reported and removed (a map that lacks a key, as a whole), so that the rest can still
 * be checked and every problem is reported at once. `cursor` is at the root of the rest.
 */
export function validate<Value>(
  schema: ZodType<Value>,
  root: MapNode,
  problems: ProblemList,
): { readonly value: Value; readonly cursor: Cursor } | undefined {
  const reported = new Set<string>();
  for (let cursor: Cursor | undefined = createCursor(root, problems); cursor !== undefined; ) {
    const result = schema.safeParse(cursor.value(schema));
    if (result.success) {
      runChecks(schema, result.data, cursor);
      return { value: result.data, cursor };
    }
    const bad: Path[] = [];
    for (const issue of result.error.issues) report(issue, [], cursor, { bad, reported });
    // The tree as a whole lacks something, so nothing remains.
    if (bad.some((path) => path.length === 0)) return undefined;
    const at: Cursor = cursor;
    cursor = at.without(bad.map((path) => at.down(...path)));
  }
  return undefined;
}

/** `bad`: paths to remove. `reported`: keys of earlier reports, each after the place of its map. */
interface Reporting {
  readonly bad: Path[];
  readonly reported: Set<string>;
}

function report(issue: core.$ZodIssue, above: Path, root: Cursor, reporting: Reporting): void {
  const { bad, reported } = reporting;
  const path = [...above, ...issue.path];
  const nameOf = (where: Path): string => {
    const { file, line, column } = root.place(...where.slice(0, -1));
    return `${file}:${line}:${column}:${String(where.at(-1))}`;
  };
  const at = (where: Path, message: string, code?: ProblemCode): void => {
    root.error(where, message, code);
    bad.push(where);
    reported.add(nameOf(where));
  };

  if (issue.code === 'unrecognized_keys') {
    const sentences = issue.message.split('\n');
    for (const [index, key] of issue.keys.entries())
      at([...path, key], sentences[index] ?? issue.message, 'unknown-key');
    // A map with no other content is removed as well.
    if (path.length > 0 && root.size(...path) === issue.keys.length) bad.push(path);
  } else if (!root.has(...path)) {
    // A value that an earlier round removed was reported already.
    if (!reported.has(nameOf(path))) at(path, `is missing; it ${issue.message}`, 'missing-key');
    bad.push(path.slice(0, -1));
  } else if (issue.code === 'invalid_key') {
    for (const inner of issue.issues) at(path, inner.message);
  } else if (issue.code === 'invalid_union') {
    // The intended alternative is the one of the value's kind (text, list, map); its issues are more specific.
    const [only, ...others] = issue.errors.filter(
      (errors) => !errors.some((error) => error.path.length === 0 && isAboutKind(error)),
    );
    const meant = only === undefined || others.length === 0 ? only : nearestOf([only, ...others]);
    if (meant === undefined) at(path, issue.message);
    else for (const inner of meant) report(inner, path, root, reporting);
  } else if (issue.code === 'too_small' && root.isShortened(...path)) {
    // The missing items were removed earlier, and reported then.
    bad.push(path);
    reported.add(nameOf(path));
  } else {
    at(path, issue.message);
  }
}

/** The alternative with the fewest faults; undefined: several have as few. */
function nearestOf(
  alternatives: readonly (readonly core.$ZodIssue[])[],
): readonly core.$ZodIssue[] | undefined {
  const counted = alternatives.map((issues) => ({
    issues,
    count: issues.reduce(
      (sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1),
      0,
    ),
  }));
  const least = Math.min(...counted.map(({ count }) => count));
  const [nearest, ...others] = counted.filter(({ count }) => count === least);
  return others.length === 0 ? nearest?.issues : undefined;
}

function isAboutKind(issue: core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union';
}
