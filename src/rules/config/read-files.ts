// Gathers a configuration from its files: the named one, what `include` finds, what policies refer to, and shipped presets with their
// parameters filled in. A name is defined in one place: two files never silently overrule one another.
import { dirname, join } from 'node:path';
import { isMap, isSeq, type Scalar } from 'yaml';
import { type Entry, type MapNode, type Node, parseYaml, placeOf, sourceOf } from './parse-yaml.js';
import { meantBy, type Place, type ProblemList } from './problem.js';

/** Access to files. Paths are as given on the command line or joined to it. */
export interface ReadFiles {
  /** Throws if the file is unreadable; the message is shown. */
  readText(path: string): string;
  /** Paths that match a pattern with `*` in its last part, sorted; possibly none. Throws if its directory is unreadable. */
  glob(pattern: string): string[];
  /** The text of the shipped preset of that name (`support-desk`); undefined: there is none. */
  presetText?(name: string): string | undefined;
  /** Names of the shipped presets, for "did you mean". */
  presetNames?(): readonly string[];
}

/** The reference to a file, where its problems are reported. */
export interface Asking {
  readonly place: Place;
  readonly path: string;
}

/** The files of one configuration, each read once. Problems with them go to `problems`. */
export class Sources {
  readonly #read: ReadFiles;
  readonly #problems: ProblemList;
  readonly #salvages: boolean;
  readonly #trees = new Map<string, MapNode | undefined>();
  readonly texts = new Map<string, string>();
  /** The reference to each file; undefined: it is the first one. Shipped presets are not files of the configuration. */
  readonly files = new Map<string, Asking | undefined>();

  constructor(read: ReadFiles, problems: ProblemList, salvages = false) {
    this.#read = read;
    this.#problems = problems;
    this.#salvages = salvages;
  }

  /** The tree of a file; undefined if it is unreadable or not a map, which is reported once. */
  load(path: string, from?: Asking): MapNode | undefined {
    if (this.#trees.has(path)) return this.#trees.get(path);
    this.#trees.set(path, undefined);
    const at = from ?? { place: { file: path, line: 1, column: 1 }, path: '' };
    const text = this.#try(path, at, () => this.#read.readText(path));
    if (text === undefined) return undefined;
    this.texts.set(path, text);
    this.files.set(path, from);
    this.#trees.set(path, parseYaml(path, text, this.#problems, this.#salvages));
    return this.#trees.get(path);
  }

  /** The text of a file that is no YAML; undefined: it is unreadable, which is reported. */
  text(path: string, from: Asking): string | undefined {
    const text = this.texts.get(path) ?? this.#try(path, from, () => this.#read.readText(path));
    if (text === undefined) return undefined;
    this.texts.set(path, text);
    this.files.set(path, from);
    return text;
  }

  /** The tree of a shipped preset, `presets/NAME`, as it is written; a new one for each call. */
  preset(name: string, from: Asking): MapNode | undefined {
    const text = this.#read.presetText?.(name.replace(/^presets\//, ''));
    if (text !== undefined) {
      this.texts.set(name, text);
      return parseYaml(name, text, this.#problems);
    }
    this.#problems.error(
      from.place,
      from.path,
      `there is no preset ${name}${meantBy(
        name,
        (this.#read.presetNames?.() ?? []).map((each) => `presets/${each}`),
      )}`,
      'unknown-name',
    );
    return undefined;
  }

  /** The merged tree of a configuration. Undefined when the named file itself is no map; the problems say why. */
  gather(file: string): MapNode | undefined {
    const main = this.load(file);
    const include = main?.items.find(({ key }) => key.source === 'include')?.value;
    const gathered = new Set([file]);
    for (const [index, item] of (isSeq<Node>(include) ? include.items : []).entries()) {
      const written = sourceOf(item);
      if (written === undefined) continue;
      const pattern = written.startsWith('/') ? written : join(dirname(file), written);
      const from = { place: placeOf(item), path: `include[${index}]` };
      const found = pattern.includes('*')
        ? this.#try(pattern, from, () => this.#read.glob(pattern))
        : [pattern];
      for (const path of (found ?? []).toSorted().filter((each) => !gathered.has(each))) {
        gathered.add(path);
        const part = this.load(path, from);
        if (main !== undefined && part !== undefined) merge(main, part, this.#problems);
      }
    }
    return main;
  }

  #try<Result>(path: string, { place, path: key }: Asking, read: () => Result): Result | undefined {
    try {
      return read();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#problems.error(place, key, `${path} cannot be read: ${why}`, 'unreadable-file');
      return undefined;
    }
  }
}

/** Adds a file's keys: maps are joined name by name, lists are appended, all other keys may occur once. */
function merge(main: MapNode, part: MapNode, problems: ProblemList): void {
  const known = byName(main);
  for (const entry of part.items) {
    const name = entry.key.source ?? '';
    const before = known.get(name);
    if (name === 'include')
      problems.error(placeOf(entry.key), name, 'only the main file can include others; move this there');
    else if (before === undefined) main.items.push(entry);
    else if (isMap<Scalar, Node>(before.value) && isMap<Scalar, Node>(entry.value)) {
      const names = byName(before.value);
      for (const each of entry.value.items) {
        const first = names.get(each.key.source ?? '');
        if (first === undefined) before.value.items.push(each);
        else refuseTwice('defined', `${name}.${each.key.source}`, first, each, problems);
      }
    } else if (isSeq<Node>(before.value) && isSeq<Node>(entry.value)) {
      for (const each of entry.value.items) before.value.items.push(each);
    } else if (name !== 'version' || sourceOf(before.value) !== sourceOf(entry.value)) {
      refuseTwice('set', name, before, entry, problems);
    }
  }
}

function byName(map: MapNode): ReadonlyMap<string, Entry> {
  return new Map(map.items.map((entry) => [entry.key.source ?? '', entry]));
}

function refuseTwice(what: string, path: string, first: Entry, second: Entry, problems: ProblemList): void {
  const { file, line } = placeOf(first.key);
  const message = `is already ${what} in ${file}:${line}; leave one of them`;
  problems.error(placeOf(second.key), path, message, 'defined-twice');
}
