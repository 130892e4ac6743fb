// Owns the step from what the validator says to problems with places.
// It does not know the schema; every sentence comes from there.
import type { core, ZodType } from 'zod';
import { formatPath, placeOf } from './cursor.js';
import { type MapNode, nodeAt, toValue, without } from './parse-yaml.js';
import type { ProblemList } from './problem.js';
import { notYetMessage } from './schema.js';

/**
 * The tree's value. What has not the schema's shape is told and taken out (a map that lacks a key, as a whole), so that
 * what is left can still be checked and everything wrong is told in one go. `root` is the tree of what is left.
 */
export function validate<Value>(
  schema: ZodType<Value>,
  root: MapNode,
  problems: ProblemList,
): { readonly value: Value; readonly root: MapNode } | undefined {
  let left = root;
  const told = new Set<string>();
  for (;;) {
    const result = schema.safeParse(toValue(left));
    if (result.success) return { value: result.data, root: left };
    const bad: PropertyKey[][] = [];
    for (const issue of result.error.issues) tell(issue, [], left, { problems, bad, told });
    // From the back, so that taking out an item of a list does not move the ones still to go.
    const next = bad.toSorted(backwards).reduce(without, left);
    if (next === left) return undefined;
    left = next;
  }
}

/** What is told, what is to be taken out for it, and what was taken out so far (its key, after the place of its map). */
interface Telling {
  readonly problems: ProblemList;
  readonly bad: PropertyKey[][];
  readonly told: Set<string>;
}

function tell(issue: core.$ZodIssue, above: readonly PropertyKey[], root: MapNode, telling: Telling): void {
  const { problems, bad, told } = telling;
  const path = [...above, ...issue.path];
  const nameOf = (where: readonly PropertyKey[]): string => {
    const { file, line, column } = placeOf(root, where.slice(0, -1));
    return `${file}:${line}:${column}:${String(where.at(-1))}`;
  };
  const at = (where: PropertyKey[], message: string): void => {
    problems.error(placeOf(root, where), formatPath(root, where), message);
    bad.push(where);
    told.add(nameOf(where));
  };

  if (issue.code === 'unrecognized_keys') {
    const sentences = issue.message.split('\n');
    for (const [index, key] of issue.keys.entries()) at([...path, key], sentences[index] ?? issue.message);
    return;
  }
  if (issue.code === 'invalid_key') {
    for (const inner of issue.issues) at(path, inner.message);
    return;
  }
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one whose own kind (text, list, map) fits; its issues say more.
    const meant = issue.errors.filter(
      (errors) => !errors.some((error) => error.path.length === 0 && isAboutKind(error)),
    );
    const [only] = meant;
    if (meant.length === 1 && only !== undefined) {
      for (const inner of only) tell(inner, path, root, telling);
    } else {
      at(path, issue.message);
    }
    return;
  }
  if (issue.code === 'invalid_type' && nodeAt(root, path) === undefined) {
    // It was there and broken, when it was taken out in an earlier round: told already.
    if (!told.has(nameOf(path))) at(path, `is missing; it ${issue.message}`);
    bad.push(path.slice(0, -1));
    return;
  }
  at(path, issue.message);
  // Without the key that it should have lived from, the rest of it would only look incomplete.
  if (issue.message === notYetMessage && path.length > 2) bad.push(path.slice(0, 2));
}

/** Longer paths first, then higher numbers: what is inside goes before what holds it. */
function backwards(a: readonly PropertyKey[], b: readonly PropertyKey[]): number {
  for (const [index, step] of a.entries()) {
    const other = b[index];
    if (other === undefined) return -1;
    if (typeof step === 'number' && typeof other === 'number' && step !== other) return other - step;
    if (step !== other) return String(step) < String(other) ? -1 : 1;
  }
  return b.length - a.length;
}

function isAboutKind(issue: core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union';
}
