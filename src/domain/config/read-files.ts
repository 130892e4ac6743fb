// Gathers a configuration from its files: the named one, what `include` finds, what policies refer to, and shipped presets with their
// parameters filled in. A name is defined in one place: two files never silently overrule one another.
import { dirname, join } from 'node:path';
import { type ListNode, type MapNode, type Node, parseYaml } from './parse-yaml.js';
import type { Place, ProblemList } from './problem.js';

/** How files are read. Paths are as given on the command line or joined to it. */
export interface ReadFiles {
  /** Throws when the file cannot be read; the message is shown. */
  readText(path: string): string;
  /** Paths that match a pattern with `*` in its last part, sorted; empty when none does. Throws when its directory cannot be read. */
  glob(pattern: string): string[];
  /** The text of the shipped preset of that name (`support-desk`); undefined when there is none. */
  presetText?(name: string): string | undefined;
}

/** What asks for a file: where a problem with it is told. */
export interface Asking {
  readonly place: Place;
  readonly path: string;
}

/** The files of one configuration, each read once. */
export interface Sources {
  /** The tree of a file; undefined when it cannot be read or is no map, which is told once. */
  load(path: string, from?: Asking): MapNode | undefined;
  /** The tree of a shipped preset, `presets/NAME`, as it is written. */
  preset(name: string, from: Asking): MapNode | undefined;
  readonly texts: ReadonlyMap<string, string>;
  /** The files among them, and what asked for each; undefined: it is the first one. Shipped presets are no files of the configuration. */
  readonly files: ReadonlyMap<string, Asking | undefined>;
}

/** Reads files through `read`; what is wrong with them goes to `problems`. `parse` makes trees of their texts. */
export function createSources(read: ReadFiles, problems: ProblemList, parse = parseYaml): Sources {
  const texts = new Map<string, string>();
  const files = new Map<string, Asking | undefined>();
  const trees = new Map<string, MapNode | undefined>();
  return {
    texts,
    files,
    load(path, from) {
      if (trees.has(path)) return trees.get(path);
      trees.set(path, undefined);
      try {
        texts.set(path, read.readText(path));
        files.set(path, from);
      } catch (error) {
        const place = from?.place ?? { file: path, line: 1, column: 1 };
        problems.error(place, from?.path ?? '', unreadable(path, error), 'unreadable-file');
        return undefined;
      }
      trees.set(path, parse(path, texts.get(path) ?? '', problems));
      return trees.get(path);
    },
    preset(name, from) {
      const text = read.presetText?.(name.replace(/^presets\//, ''));
      if (text === undefined) {
        problems.error(from.place, from.path, `there is no preset ${name}`, 'unknown-name');
        return undefined;
      }
      texts.set(name, text);
      return parseYaml(name, text, problems);
    },
  };
}

/** The merged tree of a configuration. Undefined when the named file itself is no map; the problems say why. */
export function gather(
  file: string,
  sources: Sources,
  read: ReadFiles,
  problems: ProblemList,
): MapNode | undefined {
  const main = sources.load(file);
  if (main === undefined) return undefined;
  const entries = new Map(main.entries);
  const gathered = new Set([file]);
  const include = main.entries.get('include')?.node;
  const patterns = include?.kind === 'list' ? include.items : [];
  for (const [index, item] of patterns.entries()) {
    if (item.kind !== 'scalar') continue;
    const pattern = item.source.startsWith('/') ? item.source : join(dirname(file), item.source);
    const from = { place: item.place, path: `include[${index}]` };
    const paths = pattern.includes('*') ? pathsOf(pattern, read, from, problems) : [pattern];
    for (const path of paths.filter((each) => !gathered.has(each))) {
      gathered.add(path);
      const part = sources.load(path, from);
      if (part !== undefined) merge(entries, part, problems);
    }
  }
  return { ...main, entries };
}

function pathsOf(pattern: string, read: ReadFiles, from: Asking, problems: ProblemList): string[] {
  try {
    return read.glob(pattern).toSorted();
  } catch (error) {
    problems.error(from.place, from.path, unreadable(pattern, error), 'unreadable-file');
    return [];
  }
}

function unreadable(path: string, error: unknown): string {
  return `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
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
      problems.error(
        entry.place,
        key,
        `is already set in ${file}:${line}; leave one of them`,
        'defined-twice',
      );
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
        'defined-twice',
      );
    }
  }
  return { ...before, entries };
}

/** What a parameter of a preset stands for. */
export type PresetValues = ReadonlyMap<string, readonly string[]>;

/**
 * The tree with `$(NAME)` replaced: a scalar that is nothing else becomes the value, or the list of values (joined into the
 * list that it stands in); within a longer text it must be one value. Places stay those of the preset.
 */
export function fillIn(node: Node, values: PresetValues, problems: ProblemList): Node {
  switch (node.kind) {
    case 'map': {
      const entries = [...node.entries].map(
        ([key, entry]) => [key, { ...entry, node: fillIn(entry.node, values, problems) }] as const,
      );
      return { ...node, entries: new Map(entries) };
    }
    case 'list': {
      const items = node.items.flatMap((item) => {
        const filled = fillIn(item, values, problems);
        return item.kind === 'scalar' && filled.kind === 'list' ? filled.items : [filled];
      });
      return { ...node, items };
    }
    case 'scalar': {
      const { place } = node;
      const toScalar = (source: string): Node => ({ kind: 'scalar', value: valueOf(source), source, place });
      const whole = /^\$\(([^()]*)\)$/.exec(node.source)?.[1];
      const list = whole === undefined ? undefined : values.get(whole);
      if (list !== undefined && list.length !== 1) return { kind: 'list', items: list.map(toScalar), place };
      if (!node.source.includes('$(')) return node;
      return toScalar(
        node.source.replace(/\$\(([^()]*)\)/g, (text, name: string) => {
          const value = values.get(name);
          if (value?.length === 1) return value[0] ?? '';
          problems.error(
            place,
            '',
            `${text} ${value === undefined ? 'is no parameter of this preset' : 'must be one value here'}`,
          );
          return '';
        }),
      );
    }
    default:
      return node satisfies never;
  }
}

/** A parameter may stand where a number or a boolean is asked for. */
function valueOf(source: string): string | number | boolean {
  if (/^\d{1,15}$/.test(source)) return Number(source);
  return source === 'true' || source === 'false' ? source === 'true' : source;
}
