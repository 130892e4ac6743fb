// Parses YAML into nodes of the yaml library. Only maps, lists and scalars are accepted: aliases, tags, merge keys, several documents and
// keys that are not plain text are problems, because an auditor must see what a line means.

import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Pair,
  parseDocument,
  Scalar,
  visit,
  YAMLMap,
  YAMLSeq,
  type Node as YamlNode,
} from 'yaml';
import type { Place, ProblemList } from './problem.js';

export type Node = Scalar | MapNode | ListNode;
/** The `source` of a key is its name. */
export type MapNode = YAMLMap<Scalar, Node>;
export type ListNode = YAMLSeq<Node>;
export type Entry = Pair<Scalar, Node>;

/** The file of each node; its `range` is relative to that file. */
const origins = new WeakMap<object, { readonly file: string; readonly counter: LineCounter }>();
/** Deepest accepted nesting; the deepest key of a configuration is at 8. Stops a stack overflow by `[[[[...`. */
const depthMax = 32;

/**
 * Whether the recursive parser might come near the end of its stack. There the process can end at once: the engine treats a regular
 * expression that it cannot compile as a lack of memory. The limit is far beyond depthMax, which is checked in the tree.
 */
function nests(text: string): boolean {
  const indents: number[] = [];
  let [open, marks] = [0, 0];
  let before = '\n';
  for (const token of new Lexer().lex(text)) {
    if (token === '\n') marks = 0;
    else if (before === '\n' && open === 0) {
      const indent = /^ *$/.test(token) ? token.length : 0;
      while ((indents.at(-1) ?? -1) >= indent) indents.pop();
      indents.push(indent);
    }
    if (token === '[' || token === '{') open += 1;
    else if (token === ']' || token === '}') open -= 1;
    else if (token === '-' || token === '?') marks += 1;
    if (open + marks + indents.length > 8 * depthMax) return true;
    before = token;
  }
  return false;
}

/** What is wrong and what to do, in the words of people who write a configuration; else those of the library. */
function yamlWords(code: string, message: string): string {
  switch (code) {
    case 'BAD_INDENT':
      return message.startsWith('Flow')
        ? `a list or map that is open here is not closed: add ${message.at(-1) ?? ''}`
        : 'the keys of one map begin in the same column, and this one does not: move it';
    case 'TAB_AS_INDENT':
      return 'a tab begins this line: write spaces';
    case 'DUPLICATE_KEY':
      return 'this key stands here twice: keep one of them';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'more stands behind a value: put a text with ": " in quotes, and the keys of a map into lines of their own';
    case 'MULTILINE_IMPLICIT_KEY':
      return 'a key needs a colon behind it, in the same line: write KEY: VALUE';
    case 'BAD_SCALAR_START':
      return `${message[0]?.toLowerCase() ?? ''}${message.slice(1)}: put the text in quotes`;
    case 'MISSING_CHAR': {
      const [, mark = ''] = /^Missing closing (.)quote$/.exec(message) ?? [];
      return mark === '' ? message : `a text that begins with ${mark} does not end: close it with ${mark}`;
    }
    case 'MULTIPLE_DOCS':
      return 'a second document begins here (---): a file has one';
    case 'BAD_ALIAS':
      return `${message}; put patterns with * in quotes`;
    default:
      return message;
  }
}

/**
 * Parses one file; an empty file is an empty map. Undefined for a text that is too damaged; the problems say why. `salvages`: accepts the
 * readable part of a text that is not YAML: good for finding something, never for applying it.
 */
export function parseYaml(
  file: string,
  text: string,
  problems: ProblemList,
  salvages = false,
): MapNode | undefined {
  const origin = { file, counter: new LineCounter() };
  const refuse = (offset: number | undefined, path: string, message: string): void =>
    problems.error(placeAt(origin, offset), path, message, 'not-yaml');
  if (nests(text)) {
    refuse(0, '', `more than ${depthMax} levels of nesting`);
    return undefined;
  }
  try {
    const document = parseDocument(text, {
      lineCounter: origin.counter,
      prettyErrors: false,
      // 7 and "7" are one name.
      uniqueKeys: (one, other) => isScalar(one) && isScalar(other) && one.source === other.source,
      version: '1.2',
    });
    // A tab may be the cause of all other faults.
    const tab = document.errors.find(({ code }) => code === 'TAB_AS_INDENT');
    const faults = tab === undefined ? [...document.errors, ...document.warnings] : [tab];
    for (const { code, message, pos } of faults)
      refuse(pos[0], '', `not valid YAML: ${yamlWords(code, message)}`);
    if (document.errors.length > 0 && !salvages) return undefined;
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      const empty = new YAMLMap<Scalar, Node>();
      origins.set(empty, origin);
      return empty;
    }
    visit(document, (_step, node, above) => {
      if (above.length > depthMax && above.filter((each) => isCollection(each)).length > depthMax)
        throw new RangeError('nesting');
      if (isPair(node)) return acceptEntry(node, above, refuse);
      if (!isNode(node)) return undefined;
      origins.set(node, origin);
      return acceptNode(node, above, refuse);
    });
    const root: unknown = document.contents;
    if (isMap<Scalar, Node>(root)) return root;
    refuse(document.contents.range?.[0], '', 'the file must be a map of keys, `KEY: VALUE` a line');
  } catch (error) {
    // Thrown for nesting deeper than depthMax.
    if (!(error instanceof RangeError)) throw error;
    refuse(0, '', `more than ${depthMax} levels of nesting`);
  }
  return undefined;
}

type Refuse = (offset: number | undefined, path: string, message: string) => void;

function acceptEntry(entry: Pair, above: readonly unknown[], refuse: Refuse): symbol | undefined {
  const { key } = entry;
  const [map] = above.slice(-1);
  if (!isScalar(key) || typeof key.value === 'object') {
    refuse(isMap(map) ? map.range?.[0] : 0, pathOf(above), 'a key must be plain text');
    return visit.REMOVE;
  }
  // Such a key would change the object itself, not its content.
  if (key.source === '__proto__' || key.source === '<<') {
    refuse(key.range?.[0], pathOf(above), `the key ${key.source} is not taken; write the keys out`);
    return visit.REMOVE;
  }
  entry.value ??= nothingAt(key);
  return undefined;
}

function acceptNode(node: YamlNode, above: readonly unknown[], refuse: Refuse): Scalar | undefined {
  const at = node.range?.[0];
  if (isMap(node) || isSeq(node)) {
    if (node.tag !== undefined) refuse(at, pathOf(above), `the tag ${node.tag} is not taken; leave it out`);
    return undefined;
  }
  if (isScalar(node) && (node.value === null || typeof node.value !== 'object')) return undefined;
  const message = isAlias(node)
    ? 'aliases (*name) are not taken; write the value out, and put patterns with * in quotes'
    : 'this kind of value is not taken; write plain text';
  refuse(at, pathOf(above), message);
  return nothingAt(node);
}

function nothingAt(node: YamlNode): Scalar {
  const scalar = new Scalar(null);
  scalar.source = '';
  scalar.range = node.range ?? null;
  return scalar;
}

/** `policies.support.allow[2]`, from the nodes above. */
function pathOf(above: readonly unknown[]): string {
  let path = '';
  for (const [at, node] of above.entries()) {
    if (isPair(node) && isScalar(node.key)) path += `${path === '' ? '' : '.'}${node.key.source}`;
    else if (isSeq(node) && at < above.length - 1) path += `[${node.items.indexOf(above[at + 1])}]`;
  }
  return path;
}

function placeAt({ file, counter }: { file: string; counter: LineCounter }, offset = 0): Place {
  const { line, col } = counter.linePos(offset);
  return { file, line: Math.max(1, line), column: Math.max(1, col) };
}

export function placeOf(node: Node): Place {
  const origin = origins.get(node);
  if (origin === undefined) throw new Error('a node of no file');
  return placeAt(origin, node.range?.[0]);
}

/** Makes a list of scalars that takes the place of another node. */
export function listLike(
  node: Node,
  values: readonly (readonly [source: string, value: unknown])[],
): ListNode {
  const alike = <Made extends Node>(made: Made): Made => {
    const origin = origins.get(node);
    if (origin !== undefined) origins.set(made, origin);
    made.range = node.range ?? null;
    return made;
  };
  const list = alike(new YAMLSeq<Node>());
  list.items = values.map(([source, value]) => Object.assign(alike(new Scalar(value)), { source }));
  return list;
}

/** A cache, because the library compares the keys one by one. */
const indexes = new WeakMap<MapNode, ReadonlyMap<string, Entry>>();

/** Call only after the last change of the map. */
export function entryOf(map: MapNode, key: string): Entry | undefined {
  const index = indexes.get(map) ?? new Map(map.items.map((entry) => [entry.key.source ?? '', entry]));
  indexes.set(map, index);
  return index.get(key);
}

/** The characters as written (without quotes): used for text values, so that `007` stays `007`. */
export function sourceOf(node: Node | null | undefined): string | undefined {
  return isScalar(node) ? (node.source ?? String(node.value)) : undefined;
}

/** As plain values in one spelling: scalars as written but for true, false and nothing; keys in order. */
export function plainOf(node: Node | null | undefined): unknown {
  if (isMap<Scalar, Node>(node)) {
    const entries = node.items.map(({ key, value }) => [key.source ?? '', plainOf(value)] as const);
    return Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1)));
  }
  if (isSeq<Node>(node)) return node.items.map(plainOf);
  return typeof node?.value === 'boolean' || node?.value === null ? node.value : sourceOf(node);
}
