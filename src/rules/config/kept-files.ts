// The files of a configuration as one text: the copy of what was served last. It holds all that the parser read, presets too, so a
// configuration is read from it without a look at the disk; secrets stay in the files that it names.

import * as z from 'zod';
import { parseLine } from '../../host/values/values.js';
import type { ReadFiles } from './read-files.js';

/** Name of the file in the `state` directory. */
export const keptName = 'served-configuration.json';

const pairs = <Value extends z.ZodType>(value: Value) => z.array(z.tuple([z.string(), value]));
const keptShape = z.object({
  /** As the command line named it. */
  file: z.string(),
  readMs: z.int().min(0),
  texts: pairs(z.string()),
  lists: pairs(z.array(z.string())),
  presets: pairs(z.string()),
  /** The last start or reload for which a file had changed; `by` absent: a start. */
  changed: z
    .object({ since: z.string(), by: z.string().optional(), files: z.array(z.string()).optional() })
    .optional(),
});
export type LastChange = NonNullable<z.infer<typeof keptShape>['changed']>;

/** Reads as `read` does, and keeps all that was read. */
export function keeping(read: ReadFiles) {
  const texts = new Map<string, string>();
  const lists = new Map<string, string[]>();
  const presets = new Map<string, string>();
  const note = <Value>(kept: Map<string, Value>, name: string, value: Value): Value => {
    kept.set(name, value);
    return value;
  };
  return {
    read: {
      ...read,
      readText: (path) => note(texts, path, read.readText(path)),
      glob: (pattern) => note(lists, pattern, read.glob(pattern)),
      presetText(name) {
        const text = read.presetText?.(name);
        return text && note(presets, name, text);
      },
    } satisfies ReadFiles,
    text(file: string, readMs: number): string {
      const parts = { texts: [...texts], lists: [...lists], presets: [...presets] };
      return JSON.stringify({ file, readMs, ...parts } satisfies z.infer<typeof keptShape>);
    },
  };
}

/**
 * `changed`: the files and presets whose texts differ between two copies; all of them if the first copy is missing or damaged. `all`: the
 * files and presets of the second copy.
 */
export function changedFiles(
  before: string | undefined,
  now: string,
): { readonly changed: readonly string[]; readonly all: readonly string[] } {
  const [old, fresh] = [textsIn(before), textsIn(now)];
  const all = [...fresh.keys()];
  const paths = new Set([...all, ...old.keys()]);
  return { changed: [...paths].filter((path) => old.get(path) !== fresh.get(path)), all };
}

/** The copy with the change that made it; `change` undefined: no file changed, so the copy keeps the change of the copy before. */
export function withChange(copy: string, before: string | undefined, change: LastChange | undefined): string {
  const changed = change ?? lastChangeIn(before);
  return changed === undefined ? copy : JSON.stringify({ ...parseLine(copy), changed });
}

export function lastChangeIn(copy: string | undefined): LastChange | undefined {
  return copy === undefined ? undefined : keptShape.safeParse(parseLine(copy)).data?.changed;
}

function textsIn(copy: string | undefined): ReadonlyMap<string, string> {
  const kept = copy === undefined ? undefined : keptShape.safeParse(parseLine(copy)).data;
  return new Map([
    ...(kept?.texts ?? []),
    ...(kept?.presets ?? []).map(([name, text]) => [`presets/${name}`, text] as const),
  ]);
}

/** Reads what `keeping` kept; undefined: the text is no such copy, or is damaged. */
export function readKept(
  text: string,
): { readonly file: string; readonly readMs: number; readonly read: ReadFiles } | undefined {
  const kept = keptShape.safeParse(parseLine(text)).data;
  if (kept === undefined) return undefined;
  const [texts, lists, presets] = [new Map(kept.texts), new Map(kept.lists), new Map(kept.presets)];
  const readText = (path: string): string => {
    const found = texts.get(path);
    if (found === undefined) throw new Error('it is not in the copy');
    return found;
  };
  const read = {
    readText,
    glob: (pattern: string) => lists.get(pattern) ?? [],
    presetText: (name: string) => presets.get(name),
  };
  return { file: kept.file, readMs: kept.readMs, read };
}
