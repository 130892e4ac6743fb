// Owns the way from a value of the validated configuration back to its line: every reading step asks a cursor for
// places and source texts instead of carrying nodes around.
// It does not know what is read.
import { dirname, resolve } from 'node:path';
import { type MapNode, type Node, nodeAt } from './parse-yaml.js';
import type { Place, ProblemList } from './problem.js';

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
  /** A path named in the file, made absolute from the file that names it. */
  file(...path: PropertyKey[]): string | undefined;
  /** A path made absolute from the file that holds the key. */
  resolve(text: string, ...path: PropertyKey[]): string;
  /** Tells a problem at the place of a path below this point. */
  error(path: readonly PropertyKey[], message: string): void;
  warning(path: readonly PropertyKey[], message: string): void;
  /** The same at a place that is known already; the path only names the section. */
  warningAt(place: Place, path: readonly PropertyKey[], message: string): void;
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
    error: (path, message) => problems.error(place(...path), formatPath(root, whole(path)), message),
    warning: (path, message) => problems.warning(place(...path), formatPath(root, whole(path)), message),
    warningAt: (where, path, message) => problems.warning(where, formatPath(root, whole(path)), message),
  };
}

function fromFile(text: string, place: Place): string {
  return resolve(dirname(place.file), text);
}

/** Place of the deepest part of a path that exists. */
export function placeOf(root: MapNode, path: readonly PropertyKey[]): Place {
  for (let length = path.length; length > 0; length -= 1) {
    const found = nodeAt(root, path.slice(0, length));
    if (found !== undefined) return found.place;
  }
  return root.place;
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
