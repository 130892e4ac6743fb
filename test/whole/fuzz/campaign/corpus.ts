// The saved inputs of the targets: test/fuzz/corpus/TARGET.txt, an input in each line, bytes that are not printable as %XX.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { projectRoot } from '../../../kit/plain/root.js';

// From build/test/whole/fuzz/campaign: the corpus is not compiled.
const folder = new URL('test/whole/fuzz/corpus/', projectRoot);
const fileOf = (name: string): URL => new URL(`${name}.txt`, folder);

/** The bytes of a line of a corpus. */
export function readInput(line: string): Buffer {
  const text = line.replaceAll(/%([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(text, 'latin1');
}

/** As a line of a corpus, without its LF. */
export function showInput(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replaceAll(/[^ -$&-~]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

export function corpusOf(name: string): Buffer[] {
  const file = fileOf(name);
  if (!existsSync(file)) return [];
  return readFileSync(file, 'latin1').split('\n').slice(0, -1).map(readInput);
}

/** Targets that have a corpus. */
export function corpusNames(): string[] {
  return existsSync(folder) ? readdirSync(folder).map((file) => file.replace(/\.txt$/, '')) : [];
}

/** Replaces the saved inputs of a target by the first of these that have room. */
export function saveCorpus(name: string, inputs: readonly Buffer[]): void {
  const lines: string[] = [];
  let chars = 0;
  for (const line of inputs.map(showInput)) {
    if (chars + line.length > corpusCharsMax) continue;
    chars += line.length + 1;
    lines.push(`${line}\n`);
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(fileOf(name), lines.join(''), 'latin1');
}

const corpusCharsMax = 10 * 1024;
