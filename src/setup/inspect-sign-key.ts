// Whether the key that signs the journal is still the one that signed it. Reading files comes in.
// The rule: it warns before the daemon starts with another key, and never prints a private one.

import { join } from 'node:path';
import { publicKeyName } from '../adapters/journal/segments.js';
import { parsePublicKey, parseSignKey } from '../domain/audit/signature.js';
import type { Problem } from '../domain/config/problem.js';
import { ownSignKeyName, type Settings } from '../domain/config/settings.js';

/** The text of a file; undefined: there is none. Throws what else the system says. */
type ReadIfThere = (path: string) => string | undefined;

/** A warning where the key is gone or another one; none where that cannot be seen. */
export function inspectSignKey(settings: Settings, read: ReadIfThere): readonly Problem[] {
  const { audit, state, listeners } = settings;
  const path = audit.signKeyFile ?? join(state, ownSignKeyName);
  let known: string | undefined;
  let now: string | undefined;
  try {
    known = parsePublicKey(read(join(audit.directory, publicKeyName)) ?? '');
    const text = read(path);
    now = text === undefined ? undefined : parseSignKey(text).key;
  } catch {
    // Not for our eyes, or no key: what cannot be used is reported by those who use it.
    return [];
  }
  if (known === undefined || now === known) return [];
  if (now === undefined && audit.signKeyFile !== undefined) return [];
  const what =
    now === undefined
      ? `${path} is gone, the key ${known} that signed ${audit.directory}, so the next start makes another one`
      : `${path} is ${now}, and ${audit.directory} was signed by ${known}`;
  const message = `${what}; put the old key back, or "dovegate audit verify" fails until somebody accepts the new one (--accept-key)`;
  const { file = '' } = listeners[0]?.place ?? {};
  return [
    { file, line: 1, column: 1, path: 'audit.sign_key', message, severity: 'warning', code: 'doubtful' },
  ];
}
