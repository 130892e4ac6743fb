// `dovegate hash-password`: prints the hash that a configuration holds instead of a password. The password is never an argument, since
// every user of the machine can see arguments.

import { readStdin, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { hashPassword } from '../../rules/identity/credentials.js';
import { openInterview } from './interview.js';

/** With a name, its base64 form must fit into the line of an unauthenticated client. */
const passwordBytesMax = 4096;

/** Exit code 0; 1: no password was given, or the two differ; 64: the password cannot be used to log in. */
export async function hashPasswordCommand({ cost }: { readonly cost: number }): Promise<number> {
  const password = process.stdin.isTTY ? await askTwice() : await readPassword();
  if (password === undefined) return exitCodes.failed;
  if (password.length === 0 || password.length > passwordBytesMax || password.includes(0)) {
    stderr(`a password has 1 to ${passwordBytesMax} bytes, none of them NUL`);
    return exitCodes.usage;
  }
  stdout(await hashPassword(password, cost));
  return exitCodes.ok;
}

/** All of stdin; one newline at its end is not part of the password. */
async function readPassword(): Promise<Buffer> {
  const all = await readStdin(2 * passwordBytesMax);
  return all.at(-1) === 0x0a ? all.subarray(0, all.at(-2) === 0x0d ? -2 : -1) : all;
}

async function askTwice(): Promise<Buffer | undefined> {
  const interview = openInterview();
  try {
    const first = await interview.askHidden('Password: ');
    if ((await interview.askHidden('Again: ')) === first) return Buffer.from(first);
    stderr('the two passwords differ');
    return undefined;
  } finally {
    interview.close();
  }
}
