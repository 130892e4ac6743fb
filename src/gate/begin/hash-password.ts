// `dovegate hash-password`: prints the hash that a configuration holds instead of a password. The password is never an argument, since
// every user of the machine can see arguments.

import { readStdin, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { hashPassword } from '../../rules/identity/credentials.js';

/** With a name, its base64 form must fit into the line of an unauthenticated client. */
const passwordBytesMax = 4096;

/** Exit code 0; 1: no password was given, or the two differ; 64: the password cannot be used to log in. */
export async function hashPasswordCommand({ cost }: { readonly cost: number }): Promise<number> {
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
  const all = await readStdin(2 * passwordBytesMax);
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
    if (second !== undefined) stderr('the two passwords differ');
    return undefined;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
  }
}

/** Reads a line from the terminal without echo; undefined: canceled. `before`: keys that were typed already. */
function ask(
  prompt: string,
  before: Buffer,
): Promise<{ readonly bytes: Buffer; readonly rest: Buffer } | undefined> {
  process.stderr.write(prompt);
  const line = new HiddenLine(passwordBytesMax + 1);
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

/** The result after some keys: no line yet; a line, and the keys typed after it; or canceled. */
export type HiddenLineStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'line'; readonly bytes: Buffer; readonly rest: Buffer }
  | { readonly kind: 'given-up' };

const key = {
  interrupt: 0x03,
  end: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  enter: 0x0d,
  kill: 0x15,
  delete: 0x7f,
} as const;

/** One line that a terminal sends key by key; keys beyond `bytesMax` are ignored. */
export class HiddenLine {
  readonly #typed: Buffer;
  #length = 0;

  constructor(bytesMax: number) {
    this.#typed = Buffer.alloc(bytesMax);
  }

  /** Overwrites `chunk`. Not to be called again after it returned a line. */
  push(chunk: Buffer): HiddenLineStep {
    for (const [at, byte] of chunk.entries()) {
      const kind = this.#take(byte);
      if (kind === 'more') continue;
      const bytes = Buffer.from(this.#typed.subarray(0, this.#length));
      const rest = Buffer.from(chunk.subarray(at + 1));
      this.#typed.fill(0);
      chunk.fill(0);
      return kind === 'line' ? { kind, bytes, rest } : { kind };
    }
    chunk.fill(0);
    return { kind: 'more' };
  }

  #take(byte: number): HiddenLineStep['kind'] {
    switch (byte) {
      case key.enter:
      case key.lineFeed:
        return 'line';
      case key.interrupt:
        return 'given-up';
      case key.end:
        return this.#length === 0 ? 'given-up' : 'line';
      case key.backspace:
      case key.delete:
        // Removes the last character: in UTF-8, all bytes from its first one on.
        while (this.#length > 0 && ((this.#typed[this.#length - 1] ?? 0) & 0xc0) === 0x80) this.#length -= 1;
        this.#length = Math.max(0, this.#length - 1);
        return 'more';
      case key.kill:
        this.#length = 0;
        return 'more';
      default:
        if (this.#length === this.#typed.length) return 'more';
        this.#typed[this.#length] = byte;
        this.#length += 1;
        return 'more';
    }
  }
}
