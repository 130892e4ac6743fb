// Maps between the YAML tree (with positions) and validated values: from a value to its line, its spelling and its path. Every reading
// step uses a cursor instead of carrying nodes.
import { dirname, resolve } from 'node:path';
import { isMap, isSeq, type Scalar } from 'yaml';
import type { core } from 'zod';
import { expectedBy } from './expected.js';
import {
  type Entry,
  entryOf,
  type ListNode,
  type MapNode,
  type Node,
  placeOf,
  plainOf,
  sourceOf,
} from './parse-yaml.js';
import { type Place, type ProblemCode, type ProblemList, warningCodes } from './problem.js';

export type Path = readonly PropertyKey[];

/** A tree without the parts that violate the schema. */
interface Tree {
  readonly root: MapNode;
  readonly problems: ProblemList;
  readonly removed: ReadonlySet<Node | Entry>;
  readonly left: Map<Node, readonly Node[]>;
}

interface Point {
  readonly node: Node | undefined;
  /** The node with the place: the key, or the item of a list; if missing, that of the nearest point above. */
  readonly placed: Node;
  /** The part that {@link Cursor.without} removes. */
  readonly part: Node | Entry | undefined;
  readonly path: string;
}

/** A point in a tree. Paths of keys and indexes are relative to it. */
export class Cursor {
  readonly #tree: Tree;
  readonly #point: Point;

  constructor(tree: Tree, point: Point) {
    this.#tree = tree;
    this.#point = point;
  }

  down(...steps: PropertyKey[]): Cursor {
    if (steps.length === 0) return this;
    return new Cursor(
      this.#tree,
      steps.reduce((point: Point, step) => this.#below(point, step), this.#point),
    );
  }

  #below({ node, placed, path }: Point, step: PropertyKey): Point {
    if (typeof step === 'number') {
      const item = isSeq<Node>(node) ? this.#itemsOf(node)[step] : undefined;
      const isMoved = isSeq<Node>(node) && item !== undefined && this.#tree.removed.size > 0;
      const number = isMoved ? node.items.indexOf(item) : step;
      return { node: item, part: item, placed: item ?? placed, path: `${path}[${number}]` };
    }
    const entry = isMap<Scalar, Node>(node) ? entryOf(node, String(step)) : undefined;
    const found = entry && !this.#tree.removed.has(entry) ? entry : undefined;
    return {
      node: found?.value ?? undefined,
      part: found,
      placed: found?.key ?? placed,
      path: path === '' ? String(step) : `${path}.${String(step)}`,
    };
  }

  #itemsOf(list: ListNode): readonly Node[] {
    const { removed, left } = this.#tree;
    if (removed.size === 0) return list.items;
    const items = left.get(list) ?? list.items.filter((item) => !removed.has(item));
    left.set(list, items);
    return items;
  }

  #entriesOf(map: MapNode): readonly Entry[] {
    return map.items.filter((entry) => !this.#tree.removed.has(entry));
  }

  /** A cursor at the same point of a tree without these parts; undefined: they are gone already. */
  without(parts: readonly Cursor[]): Cursor | undefined {
    const removed = new Set(this.#tree.removed);
    for (const part of parts) if (part.#point.part !== undefined) removed.add(part.#point.part);
    if (removed.size === this.#tree.removed.size) return undefined;
    return new Cursor({ ...this.#tree, removed, left: new Map() }, this.#point);
  }

  /** As plain values for the schema. The key __proto__ never gets here, so that a plain object is safe. */
  value(schema?: core.$ZodType, node: Node | null | undefined = this.#point.node): unknown {
    const expected = schema && expectedBy(schema);
    if (isSeq<Node>(node)) return this.#itemsOf(node).map((item) => this.value(expected?.item, item));
    if (isMap<Scalar, Node>(node))
      return Object.fromEntries(
        this.#entriesOf(node).map(({ key, value }) => {
          const name = key.source ?? '';
          return [name, this.value(expected?.at(name), value)];
        }),
      );
    const spelling = expected?.spelling;
    if (node === undefined || node === null || spelling === undefined) return node?.value;
    const absolute = (path: string): string => resolve(dirname(placeOf(node).file), path);
    return spelling({ value: node.value, source: sourceOf(node) ?? '', absolute });
  }

  /** As plain values in one spelling; see {@link plainOf}. */
  plain(): unknown {
    return plainOf(this.#point.node);
  }

  kind(...path: PropertyKey[]): 'scalar' | 'list' | 'map' | undefined {
    const { node } = this.down(...path).#point;
    return isMap(node) ? 'map' : isSeq(node) ? 'list' : node && 'scalar';
  }

  /** How a list is written; undefined: it is none. */
  listForm(...path: PropertyKey[]): 'block' | 'flow' | 'empty' | undefined {
    const { node } = this.down(...path).#point;
    if (!isSeq<Node>(node)) return undefined;
    if (node.items.length === 0) return 'empty';
    return node.flow === true ? 'flow' : 'block';
  }

  has(...path: PropertyKey[]): boolean {
    return this.kind(...path) !== undefined;
  }

  /** Whether the key is in the file, also if its value was removed, so that it is not reported as missing. */
  isWritten(key: string): boolean {
    const { node } = this.#point;
    return isMap<Scalar, Node>(node) && entryOf(node, key) !== undefined;
  }

  /** Whether items of the list, or entries of the map, were removed. */
  isShortened(...path: PropertyKey[]): boolean {
    const { node } = this.down(...path).#point;
    return (isSeq(node) || isMap(node)) && this.size(...path) < node.items.length;
  }

  /** Names of a map's keys as written, including those with invalid values; empty if there is no map. */
  keys(...path: PropertyKey[]): string[] {
    const { node } = this.down(...path).#point;
    return isMap<Scalar, Node>(node) ? this.#entriesOf(node).map(({ key }) => key.source ?? '') : [];
  }

  /** Number of items of a list or entries of a map; 0 where there is none. */
  size(...path: PropertyKey[]): number {
    const { node } = this.down(...path).#point;
    return isSeq<Node>(node) ? this.#itemsOf(node).length : this.keys(...path).length;
  }

  /** The way to each item of a list, or entry of a map. */
  steps(): PropertyKey[] {
    return this.kind() === 'list' ? Array.from({ length: this.size() }, (_, index) => index) : this.keys();
  }

  /** Place of the key (of the item, in a list); if missing, of the nearest one above. */
  place(...path: PropertyKey[]): Place {
    return placeOf(this.down(...path).#point.placed);
  }

  /** The path from the root as `policies.support.allow[2].command`, with the numbers that list items have in the file. */
  path(...path: PropertyKey[]): string {
    return this.down(...path).#point.path;
  }

  /** The scalar's characters as written; undefined where there is no scalar. */
  source(...path: PropertyKey[]): string | undefined {
    return sourceOf(this.down(...path).#point.node);
  }

  /** The scalars of a list (or the one scalar) as written. */
  words(...path: PropertyKey[]): string[] {
    const { node } = this.down(...path).#point;
    const items: readonly (Node | undefined)[] = isSeq<Node>(node) ? this.#itemsOf(node) : [node];
    return items.flatMap((item) => sourceOf(item) ?? []);
  }

  /** `place`: of the problem, if not the path's. */
  error(path: Path, message: string, code?: ProblemCode, place: Place = this.place(...path)): void {
    this.#tree.problems.error(place, this.path(...path), message, code);
  }

  /** An error or a warning, as the code says. */
  problem(path: Path, message: string, code: ProblemCode): void {
    if (warningCodes.has(code)) this.warning(path, message, code);
    else this.error(path, message, code);
  }

  /** `place`: of the problem, if not the path's. */
  warning(path: Path, message: string, code?: ProblemCode, place: Place = this.place(...path)): void {
    this.#tree.problems.warning(place, this.path(...path), message, code);
  }
}

export function createCursor(root: MapNode, problems: ProblemList): Cursor {
  const tree = { root, problems, removed: new Set<Node>(), left: new Map<Node, Node[]>() };
  return new Cursor(tree, { node: root, placed: root, part: undefined, path: '' });
}

/**
 * Place of the value at a path written as `backends.mail1.ca` or `audit.ship[0].key`, including names with dots; undefined if there is
 * none. For a list with one item, that of the item.
 */
export function valuePlace(root: MapNode, path: string): Place | undefined {
  const found = valueNode(root, path);
  const [only, ...more] = isSeq<Node>(found) ? found.items : [];
  const placed = only !== undefined && more.length === 0 ? only : found;
  return placed && placeOf(placed);
}

function valueNode(node: Node | null, path: string): Node | undefined {
  if (node === null || path === '') return node ?? undefined;
  if (isSeq<Node>(node)) {
    const [whole = '', index] = /^\[(\d+)\]\.?/.exec(path) ?? [];
    const item = index === undefined ? undefined : node.items[Number(index)];
    return item && valueNode(item, path.slice(whole.length));
  }
  if (!isMap<Scalar, Node>(node)) return undefined;
  for (const { key, value } of node.items) {
    const name = key.source ?? '';
    if (!path.startsWith(name) || !/^(?:$|\.|\[)/.test(path.slice(name.length))) continue;
    const found = valueNode(value, path.slice(name.length).replace(/^\./, ''));
    if (found !== undefined) return found;
  }
  return undefined;
}
