// Maps between the YAML tree (with positions) and validated values: from a value to its line, its spelling and its path. Every reading
// step uses a cursor instead of carrying nodes.
import { dirname, resolve } from 'node:path';
import type { core, ZodType } from 'zod';
import { type MapNode, type Node, nodeAt, toValue, without } from './parse-yaml.js';
import type { Place, ProblemCode, ProblemList } from './problem.js';

/** A point in the tree. Paths of keys and indexes are relative to it. */
export interface Cursor {
  down(...path: PropertyKey[]): Cursor;
  /** Place of the key (of the item, in a list); of the nearest one above, where there is none. */
  place(...path: PropertyKey[]): Place;
  /** The scalar's characters as written; undefined where there is no scalar. */
  source(...path: PropertyKey[]): string | undefined;
  /** The scalars of a list (or the one scalar) as written, with their places. */
  words(...path: PropertyKey[]): { readonly text: string; readonly place: Place }[];
  node(...path: PropertyKey[]): Node | undefined;
  /** The path below this point as `policies.support.allow[2]`. */
  path(...path: PropertyKey[]): string;
  /** A path named in the file, made absolute from the file that names it. */
  file(...path: PropertyKey[]): string | undefined;
  /** A path made absolute from the file that holds the key. */
  resolve(text: string, ...path: PropertyKey[]): string;
  /** Tells a problem at the place of a path below this point. */
  error(path: readonly PropertyKey[], message: string, code?: ProblemCode): void;
  warning(path: readonly PropertyKey[], message: string, code?: ProblemCode): void;
  /** The same at a place that is known already; the path only names the section. */
  warningAt(place: Place, path: readonly PropertyKey[], message: string, code?: ProblemCode): void;
}

/** A cursor at the root of a tree, or at a path in it. Its problems go to `problems`. */
export function createCursor(root: MapNode, problems: ProblemList, at: readonly PropertyKey[] = []): Cursor {
  const whole = (path: readonly PropertyKey[]): PropertyKey[] => [...at, ...path];
  const place = (...path: PropertyKey[]): Place => placeOf(root, whole(path));
  const source = (...path: PropertyKey[]): string | undefined => {
    const found = nodeAt(root, whole(path));
    return found?.node.kind === 'scalar' ? found.node.source : undefined;
  };
  return {
    down: (...path) => createCursor(root, problems, whole(path)),
    place,
    source,
    words(...path) {
      const found = nodeAt(root, whole(path));
      const items = found?.node.kind === 'list' ? found.node.items : found === undefined ? [] : [found.node];
      return items.flatMap((item) =>
        item.kind === 'scalar' ? [{ text: item.source, place: item.place }] : [],
      );
    },
    node: (...path) => nodeAt(root, whole(path))?.node,
    file(...path) {
      const text = source(...path);
      return text === undefined ? undefined : fromFile(text, place(...path));
    },
    resolve: (text, ...path) => fromFile(text, place(...path)),
    path: (...path) => formatPath(root, whole(path)),
    error: (path, ...said) => problems.error(place(...path), formatPath(root, whole(path)), ...said),
    warning: (path, ...said) => problems.warning(place(...path), formatPath(root, whole(path)), ...said),
    warningAt: (where, path, ...said) => problems.warning(where, formatPath(root, whole(path)), ...said),
  };
}

function fromFile(text: string, place: Place): string {
  return resolve(dirname(place.file), text);
}

/** The keys of a map as they were written, broken values included; empty where there is no map. */
export function namesIn(written: Cursor, key: string): string[] {
  const node = written.node(key);
  return node?.kind === 'map' ? [...node.entries.keys()] : [];
}

/** Place of the deepest part of a path that exists. */
export function placeOf(root: MapNode, path: readonly PropertyKey[]): Place {
  for (let length = path.length; length > 0; length -= 1) {
    const found = nodeAt(root, path.slice(0, length));
    if (found !== undefined) return found.place;
  }
  return root.place;
}

/**
 * Place of the value at a path that is written as `backends.mail1.ca` or `audit.ship[0].key`, names with dots included; undefined where
 * there is none. Of a list with one item, that of the item.
 */
export function valuePlace(root: MapNode, path: string): Place | undefined {
  const found = valueNode(root, path);
  const [only, ...more] = found?.kind === 'list' ? found.items : [];
  return only !== undefined && more.length === 0 ? only.place : found?.place;
}

function valueNode(node: Node, path: string): Node | undefined {
  if (path === '') return node;
  if (node.kind === 'list') {
    const [whole = '', index] = /^\[(\d+)\]\.?/.exec(path) ?? [];
    const item = index === undefined ? undefined : node.items[Number(index)];
    return item && valueNode(item, path.slice(whole.length));
  }
  if (node.kind !== 'map') return undefined;
  for (const [key, entry] of node.entries) {
    if (!path.startsWith(key) || !/^(?:$|\.|\[)/.test(path.slice(key.length))) continue;
    const found = valueNode(entry.node, path.slice(key.length).replace(/^\./, ''));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `policies.support.allow[2].command`, with the numbers that list items have in the file. */
export function formatPath(root: MapNode, path: readonly PropertyKey[]): string {
  let text = '';
  for (const [index, step] of path.entries()) {
    if (typeof step === 'number') {
      const list = nodeAt(root, path.slice(0, index))?.node;
      text += `[${(list?.kind === 'list' ? list.numbers?.[step] : undefined) ?? step}]`;
    } else text += index === 0 ? String(step) : `.${String(step)}`;
  }
  return text;
}

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
    // The tree as a whole lacks something, so nothing is left of it.
    if (bad.some((path) => path.length === 0)) return undefined;
    // Each once, and from the back, so that taking out an item of a list does not move the ones still to go.
    const each = new Map(bad.map((path) => [path.join('\0'), path]));
    const next = [...each.values()].toSorted(backwards).reduce(without, left);
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
  const at = (where: PropertyKey[], message: string, code?: ProblemCode): void => {
    problems.error(placeOf(root, where), formatPath(root, where), message, code);
    bad.push(where);
    told.add(nameOf(where));
  };

  if (issue.code === 'unrecognized_keys') {
    const sentences = issue.message.split('\n');
    for (const [index, key] of issue.keys.entries())
      at([...path, key], sentences[index] ?? issue.message, 'unknown-key');
    // Of a map that held nothing else, nothing is left to look at.
    const node = nodeAt(root, path)?.node;
    if (path.length > 0 && node?.kind === 'map' && node.entries.size === issue.keys.length) bad.push(path);
    return;
  }
  if (nodeAt(root, path) === undefined) {
    // It was there and broken, when it was taken out in an earlier round: told already.
    if (!told.has(nameOf(path))) at(path, `is missing; it ${issue.message}`, 'missing-key');
    bad.push(path.slice(0, -1));
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
  at(path, issue.message);
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
