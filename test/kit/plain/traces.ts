// What a daemon leaves behind: its audit journal, and secrets where none may be.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** One record of the journal, and where it stands. */
export interface AuditLine {
  file: string;
  /** From 1. */
  line: number;
  text: string;
  record: Readonly<Record<string, unknown>>;
}

/** All whole records of a journal: segments `*.jsonl` and `*.jsonl.gz` by name. Text that is cut off at the end of a file is left out. */
export function readAudit(directory: string): AuditLine[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => /\.jsonl(\.gz)?$/.test(name));
  return names.toSorted().flatMap((file) => {
    const lines = readPlain(join(directory, file)).toString().split('\n').slice(0, -1);
    return lines.map((text, index) => ({ file, line: index + 1, text, record: parseObject(text) }));
  });
}

/**
 * Looks for texts in all files below a folder, except the ones named, and in the output; plain, in JSON's and the protocol's escapes,
 * percent-encoded, in hex and in base64. Compressed files are opened. Gives `FILE: needle`, or `output: needle`.
 */
export function findSecrets(
  needles: readonly string[],
  folder: string,
  except: readonly string[],
  output: string,
): string[] {
  const places = new Map<string, Buffer>([['output', Buffer.from(output)]]);
  for (const path of filesBelow(folder)) {
    const name = relative(folder, path);
    if (!except.includes(name)) places.set(name, readPlain(path));
  }
  return needles.flatMap((needle) => {
    const forms = formsOf(needle);
    return [...places]
      .filter(([, bytes]) => forms.some((form) => bytes.includes(form)))
      .map(([name]) => `${name}: ${needle}`);
  });
}

function readPlain(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function formsOf(needle: string): string[] {
  const bytes = Buffer.from(needle);
  // Base64 of the needle inside a longer text depends on its offset in it: three forms, cut to the characters that are certain.
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const from = [0, 2, 3][offset] ?? 0;
    return text.slice(from, (offset + bytes.length) % 3 === 0 ? undefined : -1);
  });
  const forms = [
    needle,
    JSON.stringify(needle).slice(1, -1),
    encodeURIComponent(needle),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ];
  return forms.filter((form) => form.length >= 4);
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new TypeError(`not a record: ${text}`);
  return { ...value };
}
