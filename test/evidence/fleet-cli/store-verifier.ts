// A verifier of a store, without a program around it.
import assert from 'node:assert/strict';
import { Fleet } from '../../../src/evidence/fleet/fleet.js';
import { openMirror } from '../../../src/evidence/fleet-cli/mirror.js';
import { createStoreReader } from '../../../src/evidence/fleet-cli/store-reader.js';
import type { ObjectStore } from '../../../src/host/ports/store.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';

interface Credit {
  readonly keepMs?: number;
  readonly objectsPerDay?: number;
  readonly bytesPerDay?: number;
}

/** Of hosts with their keys; `silentMs`: of each, for ever unless it is given. */
export function openReader(
  owner: Owner,
  store: ObjectStore,
  keys: ReadonlyMap<string, string | undefined>,
  { silentMs = 1e15, ...credit }: Credit & { readonly silentMs?: number } = {},
) {
  const hosts = new Map([...keys].map(([host, key]) => [host, { key, silentMs }] as const));
  const state = openFolder(owner);
  const settings = { hosts, state, keepMs: 0, objectsPerDay: 8640, bytesPerDay: 1 << 30, ...credit };
  const of = { hosts, keepMs: settings.keepMs, openMs: 1e15, driftMs: undefined, wallMs: Date.now };
  const fleet = new Fleet({ ...of, store: store.place });
  const mirror = openMirror(
    { state, hosts, mirrorBytes: 1 << 30, mirrorKeepMs: Infinity },
    { note: () => assert.fail() },
  );
  const folder = { save: () => undefined };
  const silent = { told: () => [], take: () => undefined };
  const reader = createStoreReader(fleet, settings, store, undefined, folder, mirror, silent);
  const look = (isWhole = true) => reader.look(new AbortController().signal, isWhole);
  return { fleet, reader, mirror, state, look };
}
