// `dovegate hash-password`: what stands in a configuration instead of a password. The password is never an argument: those
// are seen by everybody on the machine.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { costDefault, costMax, costMin, hashPassword } from '../domain/identity/credentials.js';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import { createHiddenLine } from './output/hidden-line.js';
import { stderr, stdout } from './output/output.js';

/** What it is to cost. */
export interface HashPasswordOptions {
  /** N is two to the power of it. */
  readonly cost: number;
}

/** What it does; resolves to an exit code. */
export interface HashPasswordSubcommand {
  hashPassword(options: HashPasswordOptions): Promise<number>;
}

/** Adds it to the program; `end` takes the exit code. */
export function addHashPassword(
  program: Command,
  subcommands: HashPasswordSubcommand,
  end: (code: number) => void,
): void {
  program
    .command('hash-password')
    .description('read a password (from the terminal, or stdin) and print its hash for an account')
    .addOption(
      new Option(
        '--cost <n>',
        `2^n steps of scrypt, ${costMin} to ${costMax}; one more is twice the time and memory of each login`,
      )
        .argParser(parseCost)
        .default(costDefault),
    )
    .action(async (options: HashPasswordOptions) => {
      end(await subcommands.hashPassword(options));
    });
}

/** With a name and its base64 it has to fit into the line of a stranger. */
const passwordBytesMax = 4096;

/** Exit code 0; 1: no password was given, or not the same twice; 64: one that nobody could log in with. */
export async function hashPasswordCommand({ cost }: HashPasswordOptions): Promise<number> {
  const password = process.stdin.isTTY ? await askTwice() : await readPassword();
  if (password === undefined) return exitCodes.failed;
  try {
    if (password.length === 0 || password.length > passwordBytesMax || password.includes(0)) {
      stderr(`a password has 1 to ${passwordBytesMax} bytes, none of them NUL`);
      return exitCodes.usage;
    }
    stdout(await hashPassword(password, cost));
    return exitCodes.ok;
  } finally {
    password.fill(0);
  }
}

/** All of stdin; one newline at its end is not part of the password. */
async function readPassword(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  const source: AsyncIterable<Buffer> = process.stdin;
  for await (const chunk of source) {
    chunks.push(chunk);
    length += chunk.length;
    // Enough to be refused; whatever this is, it is no password.
    if (length > 2 * passwordBytesMax) break;
  }
  const all = Buffer.concat(chunks);
  for (const chunk of chunks) chunk.fill(0);
  return all.at(-1) === 0x0a ? all.subarray(0, all.at(-2) === 0x0d ? -2 : -1) : all;
}

async function askTwice(): Promise<Buffer | undefined> {
  const { stdin } = process;
  stdin.setRawMode(true);
  try {
    const first = await ask('Password: ', Buffer.alloc(0));
    if (first === undefined) return undefined;
    const second = await ask('Again: ', first.rest);
    const isSame = second?.bytes.equals(first.bytes) === true;
    second?.bytes.fill(0);
    if (isSame) return first.bytes;
    first.bytes.fill(0);
    if (second !== undefined) stderr('these were two different passwords');
    return undefined;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
  }
}

/** A line of the terminal that is not shown; undefined: somebody gave up. `before` was typed already. */
function ask(
  prompt: string,
  before: Buffer,
): Promise<{ readonly bytes: Buffer; readonly rest: Buffer } | undefined> {
  process.stderr.write(prompt);
  const line = createHiddenLine(passwordBytesMax + 1);
  return new Promise((resolve) => {
    const { stdin } = process;
    const take = (chunk: Buffer): void => {
      const step = line.push(chunk);
      if (step.kind === 'more') return;
      stdin.off('data', take).off('end', giveUp);
      stdin.pause();
      stderr('');
      resolve(step.kind === 'line' ? step : undefined);
    };
    const giveUp = (): void => take(Buffer.of(0x03));
    stdin.on('data', take).once('end', giveUp);
    stdin.resume();
    if (before.length > 0) take(before);
  });
}

function parseCost(text: string): number {
  const cost = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (cost >= costMin && cost <= costMax) return cost;
  throw new InvalidArgumentError(`It must be a number from ${costMin} to ${costMax}.`);
}
