// Owns the gathering of a configuration from its files: the named one and what its `include` patterns find.
// It does not know what keys mean. Files are read by whoever is asked through ReadFiles; nothing here opens one.
// The rule: a name is defined in one place. Two files never silently overrule one another.
import { dirname, join } from 'node:path';
import { type ListNode, type MapNode, type Node, parseYaml } from './parse-yaml.js';
import type { ProblemList } from './problem.js';

/** How files are read. Paths are as given on the command line or joined to it. */
export interface ReadFiles {
  /** Throws when the file cannot be read; the message is shown. */
  readText(path: string): string;
  /** Paths that match a pattern with `*` in its last part, sorted; empty when none does. */
  glob(pattern: string): string[];
}

/** The merged tree and the text of each file that was read. */
export interface Gathered {
  readonly root: MapNode;
  readonly texts: ReadonlyMap<string, string>;
}

/** Undefined when the named file itself is no map; the problems say why. */
export function gather(file: string, read: ReadFiles, problems: ProblemList): Gathered | undefined {
  const texts = new Map<string, string>();

  function load(path: string, from?: { node: Node; path: string }): MapNode | undefined {
    if (texts.has(path)) return undefined;
    try {
      texts.set(path, read.readText(path));
    } catch (error) {
      const place = from?.node.place ?? { file: path, line: 1, column: 1 };
      const why = error instanceof Error ? error.message : String(error);
      problems.error(place, from?.path ?? '', `${path} cannot be read: ${why}`);
      return undefined;
    }
    return parseYaml(path, texts.get(path) ?? '', problems);
  }

  const main = load(file);
  if (main === undefined) return undefined;
  const entries = new Map(main.entries);
  const include = main.entries.get('include')?.node;
  const patterns = include?.kind === 'list' ? include.items : [];
  for (const [index, item] of patterns.entries()) {
    if (item.kind !== 'scalar') continue;
    const from = { node: item, path: `include[${index}]` };
    const pattern = item.source.startsWith('/') ? item.source : join(dirname(file), item.source);
    const paths = pattern.includes('*') ? read.glob(pattern).toSorted() : [pattern];
    for (const path of paths) {
      const part = load(path, from);
      if (part !== undefined) merge(entries, part, problems);
    }
  }
  return { root: { ...main, entries }, texts };
}

type Entries = Map<string, { place: Node['place']; node: Node }>;

/** Adds a file's keys: maps are joined name by name, lists one behind the other, all else may stand only once. */
function merge(entries: Entries, part: MapNode, problems: ProblemList): void {
  for (const [key, entry] of part.entries) {
    if (key === 'include') {
      problems.error(entry.place, key, 'only the main file can include others; move this there');
      continue;
    }
    const before = entries.get(key);
    if (before === undefined) {
      entries.set(key, entry);
    } else if (before.node.kind === 'map' && entry.node.kind === 'map') {
      entries.set(key, { place: before.place, node: joinMaps(key, before.node, entry.node, problems) });
    } else if (before.node.kind === 'list' && entry.node.kind === 'list') {
      const node: ListNode = { ...before.node, items: [...before.node.items, ...entry.node.items] };
      entries.set(key, { place: before.place, node });
    } else if (key !== 'version' || sourceOf(before.node) !== sourceOf(entry.node)) {
      const { file, line } = before.place;
      problems.error(entry.place, key, `is already set in ${file}:${line}; leave one of them`);
    }
  }
}

function sourceOf(node: Node): string | undefined {
  return node.kind === 'scalar' ? node.source : undefined;
}

function joinMaps(key: string, before: MapNode, more: MapNode, problems: ProblemList): MapNode {
  const entries = new Map(before.entries);
  for (const [name, entry] of more.entries) {
    const first = entries.get(name);
    if (first === undefined) {
      entries.set(name, entry);
    } else {
      const { file, line } = first.place;
      problems.error(
        entry.place,
        `${key}.${name}`,
        `is already defined in ${file}:${line}; leave one of them`,
      );
    }
  }
  return { ...before, entries };
}
