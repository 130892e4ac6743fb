// `dovegate audit keygen` and `dovegate audit hmac`: the key that signs checkpoints, and what a secret looks like in records.
// The rule: a private key never reaches a file that others may read, nor one that was there before.

import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createRedactor } from '../../domain/audit/redact.js';
import { makeSignKey } from '../../domain/audit/signature.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault } from '../output/command-fault.js';
import type { Screen } from '../output/screen.js';
import { auditSection, type Places, pathsOf, readSmallFile } from './audit-places.js';

/**
 * A new key pair. With a file: the private key goes there (0600), the public one to stdout. Without: the private one to
 * stdout, the public one to stderr. Throws a CommandFault when the file is there, or cannot be made.
 */
export async function auditKeygen(screen: Screen, file: string | undefined): Promise<number> {
  const { secretPem, publicPem, key } = makeSignKey();
  const sentence = `public key, as records name it: ${key}`;
  if (file === undefined) {
    await screen.print(secretPem.trimEnd());
    screen.complain(publicPem.trimEnd());
  } else {
    writeSecret(file, secretPem);
    await screen.print(publicPem.trimEnd());
  }
  await screen.flush();
  screen.complain(sentence);
  return exitCodes.ok;
}

function writeSecret(file: string, text: string): void {
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw new CommandFault(exitCodes.configuration, `${file} cannot be made`, error);
  }
}

/** The name of the key in a journal's directory, where the daemon makes it. */
const keyName = 'hmac.key';

/** The HMAC of a value (`-`: of what stdin has, without one LF at its end), as records hold it. Throws a CommandFault. */
export async function auditHmac(
  screen: Screen,
  value: string,
  places: Places,
  keyFile: string | undefined,
): Promise<number> {
  const path = keyFile ?? keyFileOf(screen, places);
  const { hmac } = redactorOf(path).redact(
    value === '-' ? readFileSync(0, 'utf8').replace(/\r?\n$/, '') : value,
  );
  await screen.print(hmac);
  await screen.flush();
  return exitCodes.ok;
}

function keyFileOf(screen: Screen, places: Places): string {
  if (places.paths.length === 0) {
    const { directory, hmacKeyFile } = auditSection(screen, places.config);
    return hmacKeyFile ?? join(directory, keyName);
  }
  const [path, ...more] = pathsOf(screen, places);
  if (path === undefined || more.length > 0)
    throw new CommandFault(exitCodes.usage, 'the key of one journal is needed, or --key FILE');
  return join(path, keyName);
}

function redactorOf(path: string): ReturnType<typeof createRedactor> {
  const key = readSmallFile(path);
  try {
    return createRedactor(key);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandFault(exitCodes.configuration, `${path}: ${error.message}`);
  }
}
