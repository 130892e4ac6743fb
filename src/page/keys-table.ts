// The accounts, keys and certificates of a configuration, with their last use and their expiry. Pure.

import type { DoorFacts } from '../gate/door/door.js';
import { formatTime } from '../host/words/instants.js';
import type { AccountSettings, Settings } from '../rules/config/settings.js';
import type { KeysTable } from './answers/api.js';

type Row = KeysTable['rows'][number];
type Expiry = DoorFacts['certificates'][number];

const unusedMs = 90 * 86_400_000;

/** `own`: certificates of the page itself. `started`: since when uses are counted; RFC 3339. */
export function keysTable(
  { listeners }: Settings,
  { atMs: nowMs, certificates, used }: Pick<DoorFacts, 'atMs' | 'certificates' | 'used'>,
  own: readonly Expiry[],
  started: string,
): KeysTable {
  const byName = new Map(used.map((use) => [JSON.stringify([use.listener, use.name]), use]));
  const usage = (listener: string, name: string): Partial<DoorFacts['used'][number]> =>
    byName.get(JSON.stringify([listener, name])) ?? {};
  const usedAs = (listener: string, name: string): Omit<Row, 'kind' | 'name' | 'what'> => {
    const { lastUsedMs, lastFrom, failures = 0, lastFailedMs, failedFrom } = usage(listener, name);
    return {
      ...(lastUsedMs === undefined ? {} : { lastUsed: formatTime(lastUsedMs) }),
      ...(lastFrom === undefined ? {} : { lastFrom }),
      failures,
      ...(lastFailedMs === undefined ? {} : { lastFailed: formatTime(lastFailedMs) }),
      ...(failedFrom === undefined ? {} : { failedFrom }),
      isUnused: lastUsedMs === undefined || nowMs - lastUsedMs > unusedMs,
    };
  };
  const rows = [
    ...[...certificates, ...own].map(({ role, name, leftMs }): Ending => {
      const endsMs = nowMs + leftMs;
      const row = { kind: 'certificate', name, what: whatFor[role] ?? role, isUnused: false } as const;
      return { endsMs, row: { ...row, ends: formatTime(endsMs) } };
    }),
    ...listeners.flatMap(({ name: listener, accounts, keys }): Ending[] => [
      ...keys.map(({ name, policy, expiresMs, from, hashes }): Ending => {
        const what = [
          ...(hashes.length > 1 ? ['is being replaced'] : []),
          ...(from.length === 0 ? [] : [`from ${from.join(' ')}`]),
        ].join(', ');
        const row = { kind: 'key', name, listener, policy, what, ...usedAs(listener, name) } as const;
        // The last moment of the key: if it ends with a day, that day is shown.
        if (expiresMs === undefined) return { endsMs: Infinity, row };
        return { endsMs: expiresMs, row: { ...row, ends: formatTime(expiresMs - 1) } };
      }),
      ...accounts.map((account): Ending => {
        const { name, policy } = account;
        const row = { kind: 'account', name, listener, policy, what: proofsOf(account) } as const;
        return { endsMs: Infinity, row: { ...row, ...usedAs(listener, name) } };
      }),
    ]),
  ];
  return {
    since: started,
    rows: rows.toSorted((a, b) => (a.endsMs === b.endsMs ? 0 : a.endsMs - b.endsMs)).map(({ row }) => row),
  };
}

interface Ending {
  readonly endsMs: number;
  readonly row: Row;
}

const whatFor: Readonly<Record<string, string>> = {
  listener: 'shown to clients',
  'client-ca': 'authority of client certificates',
  backend: 'shown by the backend',
  receiver: 'shown by the receiver',
  'receiver-client': 'shown to the receiver',
};

function proofsOf({ passwordHash, certificateName }: AccountSettings): string {
  return [
    ...(passwordHash === undefined ? [] : ['password']),
    ...(certificateName === undefined ? [] : [`certificate ${certificateName}`]),
  ].join(' or ');
}
