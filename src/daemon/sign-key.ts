// The key that signs the journal: the configured one, or one of this host's own, which is made in `state` at the first start.
// The rule: a configured key that is missing is never replaced by another one.

import { makeFolder, readOrMakeFile, readText } from '../adapters/host/files.js';
import { makeSignKey, ownSignKeyName, parseSignKey } from '../domain/audit/signature.js';
import type { Settings } from '../domain/config/settings.js';

/** A private key. */
export interface SignKey {
  readonly pem: string;
  /** Base64 of its public half, as records name it. */
  readonly key: string;
  readonly path: string;
  /** It was made just now. */
  readonly isNew: boolean;
}

/** Reads the key, or makes it. Throws an Error that names the setting and the file. */
export function openSignKey({ audit, state }: Pick<Settings, 'audit' | 'state'>): SignKey {
  const { signKeyFile } = audit;
  const path = signKeyFile ?? `${state}/${ownSignKeyName}`;
  let isNew = false;
  let pem: string;
  try {
    if (signKeyFile !== undefined) pem = readText(path);
    else {
      makeFolder(state);
      pem = readOrMakeFile(path, () => {
        isNew = true;
        return makeSignKey().secretPem;
      });
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (signKeyFile !== undefined)
      throw new Error(`audit.sign_key: ${path} cannot be read: ${why}`, { cause });
    const text = `state: the key that signs the journal cannot be read or made: ${why}; make ${state} writable for the daemon, or set audit.sign_key`;
    throw new Error(text, { cause });
  }
  try {
    return { pem, key: parseSignKey(pem).key, path, isNew };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${signKeyFile === undefined ? 'state' : 'audit.sign_key'}: ${path}: ${why}`, { cause });
  }
}
