// What subcommands share: text for people and pipes on stdout, errors and warnings on stderr, and the fault that ends a command. Text of a
// client, a backend or a file reaches a terminal only through `plain`.

import { exitCodes } from '../ports/machine.js';
import { formatWords, printable } from '../words/text.js';

export function stdout(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function stderr(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** All of stdin; if it is longer than `bytesMax`, only enough to refuse it. Its pieces may be secrets, and are wiped. */
export async function readStdin(bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const source: AsyncIterable<Buffer> = process.stdin;
  for await (const chunk of source) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > bytesMax) break;
  }
  const all = Buffer.concat(chunks);
  for (const chunk of chunks) chunk.fill(0);
  return all;
}

export function plain(text: string): string {
  return printable(text);
}

export function formatPlace({ file, line }: { readonly file: string; readonly line: number }): string {
  return plain(`${file}:${line}`);
}

/** The canonical form for people: the name without quotes, although it is one word to Dovecot, then the arguments. */
export function formatCanonical([name = '', ...args]: readonly string[]): string {
  return [plain(name), formatWords(args)].join(' ').trimEnd();
}

/** Rows of cells below one another; the last cell of a row is not padded. */
export function formatColumns(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.slice(0, -1).entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)));
      return `${indent}${cells.join('  ')}`.trimEnd();
    })
    .join('\n');
}

/** The message is for the person who typed the command; `cause` is the system's error. */
export class CommandFault extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CommandFault';
    this.exitCode = exitCode;
  }
}

/** For what the command line cannot mean. */
export function wrongUsage(message: string): CommandFault {
  return new CommandFault(exitCodes.usage, message);
}

const words: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file or directory'],
  ['ENOTDIR', 'a part of its path is no directory'],
  ['EISDIR', 'it is a directory'],
  ['EACCES', 'permission denied; ask its owner, or run as root'],
]);

/** The message and the system's error, harmless for a terminal: a path in it can come from anybody. */
export function formatFault(fault: Error): string {
  const { cause } = fault;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  const text = fault.message.split('\n').map(printable).join('\n');
  return code === undefined ? text : `${text}: ${words.get(code) ?? printable(code)}`;
}
