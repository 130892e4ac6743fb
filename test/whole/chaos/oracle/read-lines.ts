// Reads files of JSON lines, plain or gzip, piece by piece: a run's files are larger than the memory.
import { createReadStream, existsSync } from 'node:fs';
import { createGunzip } from 'node:zlib';

const lf = 0x0a;
const chunkBytes = 1 << 20;

/**
 * Calls `use` for each line that ends with LF; the bytes are valid during the call only. Returns what stands after the last LF.
 * A file that is not there has no lines.
 */
export async function forEachLine(
  path: string,
  use: (line: Buffer, number: number) => void,
): Promise<Buffer> {
  if (!existsSync(path)) return Buffer.alloc(0);
  let rest: Buffer[] = [];
  let number = 0;
  for await (const chunk of chunksOf(path)) {
    let from = 0;
    for (let end = chunk.indexOf(lf); end !== -1; end = chunk.indexOf(lf, from)) {
      const piece = chunk.subarray(from, end);
      from = end + 1;
      number += 1;
      if (rest.length === 0) use(piece, number);
      else {
        use(Buffer.concat([...rest, piece]), number);
        rest = [];
      }
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  return Buffer.concat(rest);
}

/** The content of a file in pieces, uncompressed where its name ends with `.gz`. */
export async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: chunkBytes });
  if (!path.endsWith('.gz')) {
    yield* file as AsyncIterable<Buffer>;
    return;
  }
  const plain = createGunzip({ chunkSize: chunkBytes });
  file.on('error', (error) => plain.destroy(error));
  yield* file.pipe(plain) as AsyncIterable<Buffer>;
}

export type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that a line holds, or undefined where it holds none. */
export function parseObject(line: Buffer | string): Json | undefined {
  try {
    const value: unknown = JSON.parse(line.toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The objects of a small file. A cut last line is ignored. */
export async function readObjects(path: string): Promise<Json[]> {
  const objects: Json[] = [];
  const rest = await forEachLine(path, (line) => {
    const value = parseObject(line);
    if (value !== undefined) objects.push(value);
  });
  const last = parseObject(rest);
  if (last !== undefined) objects.push(last);
  return objects;
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function object(value: unknown): Json | undefined {
  return isObject(value) ? value : undefined;
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
