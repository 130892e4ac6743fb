// Reads `fleet_keys`: the public keys whose lines of locks count here, by name.

import { bounds } from '../../bounds/bounds.js';
import { parsePublicKey } from '../records/audit/ledger.js';
import type { Cursor } from './cursor.js';
import type { Sources } from './read-files.js';
import type { RawConfiguration } from './schema.js';
import { publicKeyText } from './schema-parts.js';

/** Base64 of each key. `cursor` is at the map. */
export function parseFleetKeys(
  { fleetKeys, audit }: Pick<RawConfiguration, 'fleetKeys' | 'audit'>,
  cursor: Cursor,
  sources: Pick<Sources, 'text'>,
): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  for (const [name, written] of Object.entries(fleetKeys)) {
    const from = { place: cursor.place(name), path: cursor.path(name) };
    const text = publicKeyText.test(written) ? written : sources.text(written, from);
    const key = text === undefined ? undefined : parsePublicKey(text);
    const [owner] = [...keys].find(([, known]) => known === key) ?? [];
    if (text?.includes('PRIVATE KEY') === true)
      cursor.error([name], 'is a private key, which is for no gate; name the .pub file');
    else if (key === undefined && text !== undefined)
      cursor.error(
        [name],
        'is no Ed25519 public key; copy the .pub file that "audit fleet lock --new-key" made',
      );
    if (owner !== undefined) cursor.error([name], `is the key of ${owner} already`, 'defined-twice');
    if (key !== undefined) keys.set(name, key);
  }
  if (keys.size > bounds.fleetLockKeys) cursor.error([], `must hold at most ${bounds.fleetLockKeys} keys`);
  if (keys.size > 0 && !audit.ship.some(({ nats }) => nats !== undefined))
    cursor.warning([], 'has no effect: no receiver of the kind nats in audit.ship brings lines', 'no-effect');
  return keys;
}
