// Parses YAML into a tree in which every key and scalar has its line and column. Only maps, lists and scalars are accepted: aliases, tags,
// merge keys, several documents and keys that are not plain text are problems, because an auditor must see what a line means.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node as YamlNode } from 'yaml';
import type { Place, ProblemList } from './problem.js';

/** One value of the file. */
export type Node = ScalarNode | MapNode | ListNode;

/** A text, a number, true, false, or nothing. */
export interface ScalarNode {
  readonly kind: 'scalar';
  /** As YAML 1.2 reads it: `0660` is a number, `off` is text. */
  readonly value: string | number | boolean | null;
  /** The characters as written (without quotes): what text-valued keys take, so that `007` stays `007`. */
  readonly source: string;
  readonly place: Place;
}

/** Keys in the order of the file, each with its place and its value. */
export interface MapNode {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, { readonly place: Place; readonly node: Node }>;
  readonly place: Place;
}

/** Items in the order of the file. */
export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly Node[];
  /** Where each item stood in the file, once others were taken out; absent: where it stands. */
  readonly numbers?: readonly number[];
  readonly place: Place;
}

/** Deepest nesting taken; the deepest key of a configuration is at 8. Stops a stack overflow by `[[[[...`. */
const depthMax = 32;

/**
 * Parses one file. Undefined for a text that is empty or too broken to go on with; the problems say why.
 * An empty file is an empty map.
 */
export function parseYaml(file: string, text: string, problems: ProblemList): MapNode | undefined {
  return parseWithin(file, text, problems, 'whole');
}

/** The same, but of a text that is no YAML what could be read of it: good for finding something, never for obeying it. */
export function salvageYaml(file: string, text: string, problems: ProblemList): MapNode | undefined {
  return parseWithin(file, text, problems, 'what-can-be-read');
}

type Wanted = 'whole' | 'what-can-be-read';

function parseWithin(file: string, text: string, problems: ProblemList, wanted: Wanted): MapNode | undefined {
  try {
    return parseOne(file, text, problems, wanted);
  } catch (error) {
    // Nesting deep enough to exhaust the parser's stack, or deeper than depthMax.
    if (!(error instanceof RangeError)) throw error;
    problems.error({ file, line: 1, column: 1 }, '', `more than ${depthMax} levels of nesting`, 'not-yaml');
    return undefined;
  }
}

function parseOne(file: string, text: string, problems: ProblemList, wanted: Wanted): MapNode | undefined {
  const counter = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const start: Place = { file, line: 1, column: 1 };
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: true,
    version: '1.2',
  });
  for (const fault of [...document.errors, ...document.warnings]) {
    const hint = /alias/i.test(fault.message) ? '; put patterns with * in quotes' : '';
    problems.error(placeAt(fault.pos[0]), '', `not valid YAML: ${fault.message}${hint}`, 'not-yaml');
  }
  if (document.errors.length > 0 && wanted === 'whole') return undefined;
  const isEmpty =
    document.contents === null || (isScalar(document.contents) && document.contents.value === null);
  if (isEmpty) return { kind: 'map', entries: new Map(), place: start };

  function place(node: YamlNode): Place {
    return node.range ? placeAt(node.range[0]) : start;
  }

  function convert(node: unknown, path: string, fallback: Place, depth: number): Node {
    if (depth > depthMax) throw new RangeError('nesting');
    if (isScalar(node)) return scalar(node.value, node.source, place(node), path);
    if (isMap(node)) {
      const entries = new Map<string, { place: Place; node: Node }>();
      const mapPlace = place(node);
      refuseTag(node.tag, mapPlace, path);
      for (const pair of node.items) {
        const key = pair.key;
        if (!isScalar(key) || typeof key.value === 'object') {
          problems.error(mapPlace, path, 'a key must be plain text', 'not-yaml');
          continue;
        }
        const name = key.source ?? '';
        const keyPlace = place(key);
        // A key of this name would change what the object is, not what it holds.
        if (name === '__proto__' || name === '<<') {
          problems.error(keyPlace, path, `the key ${name} is not taken; write the keys out`, 'not-yaml');
          continue;
        }
        const below = path === '' ? name : `${path}.${name}`;
        entries.set(name, { place: keyPlace, node: convert(pair.value, below, keyPlace, depth + 1) });
      }
      return { kind: 'map', entries, place: mapPlace };
    }
    if (isSeq(node)) {
      const listPlace = place(node);
      refuseTag(node.tag, listPlace, path);
      const items = node.items.map((item, index) => convert(item, `${path}[${index}]`, listPlace, depth + 1));
      return { kind: 'list', items, place: listPlace };
    }
    if (isAlias(node)) {
      problems.error(
        place(node),
        path,
        'aliases (*name) are not taken; write the value out, and put patterns with * in quotes',
        'not-yaml',
      );
    }
    return { kind: 'scalar', value: null, source: '', place: fallback };
  }

  function scalar(value: unknown, source: string | undefined, at: Place, path: string): ScalarNode {
    const isPlain =
      value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (!isPlain) problems.error(at, path, 'this kind of value is not taken; write plain text', 'not-yaml');
    return { kind: 'scalar', value: isPlain ? value : null, source: source ?? String(value), place: at };
  }

  function refuseTag(tag: string | undefined, at: Place, path: string): void {
    if (tag !== undefined) problems.error(at, path, `the tag ${tag} is not taken; leave it out`, 'not-yaml');
  }

  const root = convert(document.contents, '', start, 0);
  if (root.kind === 'map') return root;
  problems.error(
    root.place,
    '',
    'a configuration is a map of keys, such as listeners: and backends:',
    'not-yaml',
  );
  return undefined;
}

/** The tree as plain values, for the validator. */
export function toValue(node: Node): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(toValue);
    case 'map': {
      // The key __proto__ never gets here, so that a plain object is what it looks like.
      return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toValue(entry.node)]));
    }
    default:
      return node satisfies never;
  }
}

/** The node that a path of keys and indexes leads to, and the place of its key; undefined where there is none. */
export function nodeAt(
  root: Node,
  path: readonly PropertyKey[],
): { readonly node: Node; readonly place: Place } | undefined {
  let node: Node = root;
  let place = root.place;
  for (const step of path) {
    if (node.kind === 'map' && typeof step === 'string') {
      const entry = node.entries.get(step);
      if (entry === undefined) return undefined;
      ({ node, place } = entry);
    } else if (node.kind === 'list' && typeof step === 'number') {
      const item = node.items[step];
      if (item === undefined) return undefined;
      node = item;
      place = item.place;
    } else {
      return undefined;
    }
  }
  return { node, place };
}

/** The tree without what a path leads to; list items keep their numbers. The same tree, if there is nothing there. */
export function without(root: MapNode, path: readonly PropertyKey[]): MapNode {
  const pruned = prune(root, path);
  return pruned?.kind === 'map' ? pruned : { ...root, entries: new Map() };
}

function prune(node: Node, path: readonly PropertyKey[]): Node | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return undefined;
  if (node.kind === 'map' && typeof step === 'string') {
    const entry = node.entries.get(step);
    if (entry === undefined) return node;
    const entries = new Map(node.entries);
    const below = prune(entry.node, rest);
    if (below === entry.node) return node;
    if (below === undefined) entries.delete(step);
    else entries.set(step, { place: entry.place, node: below });
    return { ...node, entries };
  }
  if (node.kind === 'list' && typeof step === 'number') {
    const item = node.items[step];
    if (item === undefined) return node;
    const below = prune(item, rest);
    if (below === item) return node;
    const numbers = node.numbers ?? node.items.map((_, index) => index);
    if (below !== undefined) return { ...node, items: node.items.with(step, below) };
    const isOther = (_: unknown, index: number): boolean => index !== step;
    return { ...node, items: node.items.filter(isOther), numbers: numbers.filter(isOther) };
  }
  return node;
}

/** The tree as plain values in one spelling: scalars as written but for true, false and nothing; keys in order. */
export function plainOf(node: Node): unknown {
  switch (node.kind) {
    case 'scalar':
      return typeof node.value === 'boolean' || node.value === null ? node.value : node.source;
    case 'list':
      return node.items.map(plainOf);
    case 'map':
      return Object.fromEntries(
        [...node.entries]
          .toSorted(([one], [other]) => (one < other ? -1 : 1))
          .map(([key, entry]) => [key, plainOf(entry.node)]),
      );
    default:
      return node satisfies never;
  }
}
