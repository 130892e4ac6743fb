// The accounts, keys and certificates of a configuration, with what is known of their use and their end. Pure.

import { formatTime } from '../domain/audit/record.js';
import type { AccountSettings, Settings } from '../domain/config/settings.js';
import type { KeysTable } from '../domain/page/api.js';
import type { KeyUsage } from '../gateway/login/key-uses.js';
import type { Certificates } from '../setup/certificates.js';

type Row = KeysTable['rows'][number];
type Expiry = ReturnType<Certificates['expiries']>[number];

/** What was not used for so long is marked. */
const unusedMs = 90 * 86_400_000;

export function keysTable(
  { listeners }: Settings,
  usage: (listener: string, name: string) => KeyUsage,
  expiries: readonly Expiry[],
  { startedMs, nowMs }: { readonly startedMs: number; readonly nowMs: number },
): KeysTable {
  const usedAs = (listener: string, name: string): Omit<Row, 'kind' | 'name' | 'what'> => {
    const { lastUsedMs, lastFrom, failures } = usage(listener, name);
    return {
      ...(lastUsedMs === undefined ? {} : { lastUsed: formatTime(lastUsedMs) }),
      ...(lastFrom === undefined ? {} : { lastFrom }),
      failures,
      isUnused: lastUsedMs === undefined || nowMs - lastUsedMs > unusedMs,
    };
  };
  const rows = [
    ...expiries.map(({ role, name, leftMs }): Ending => {
      const endsMs = nowMs + leftMs;
      const row = { kind: 'certificate', name, what: whatFor[role], isUnused: false } as const;
      return { endsMs, row: { ...row, ends: formatTime(endsMs) } };
    }),
    ...listeners.flatMap(({ name: listener, accounts, keys }): Ending[] => [
      ...keys.map(({ name, policy, expiresMs, from, hashes }): Ending => {
        const what = [
          ...(hashes.length > 1 ? ['is being replaced'] : []),
          ...(from.length === 0 ? [] : [`from ${from.join(' ')}`]),
        ].join(', ');
        const row = { kind: 'key', name, listener, policy, what, ...usedAs(listener, name) } as const;
        // The last moment: a key that ends with a day shows that day.
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
    since: formatTime(startedMs),
    rows: rows.toSorted((a, b) => (a.endsMs === b.endsMs ? 0 : a.endsMs - b.endsMs)).map(({ row }) => row),
  };
}

interface Ending {
  readonly endsMs: number;
  readonly row: Row;
}

const whatFor: Readonly<Record<Expiry['role'], string>> = {
  listener: 'shown to clients',
  'client-ca': 'authority of client certificates',
  backend: 'shown by the backend',
  receiver: 'shown by the receiver',
  'receiver-client': 'shown to the receiver',
};

function proofsOf({ passwordHash, certificateName, keyPins }: AccountSettings): string {
  const certificate = certificateName ?? (keyPins.length === 0 ? undefined : 'the key of its certificate');
  return [
    ...(passwordHash === undefined ? [] : ['password']),
    ...(certificate === undefined ? [] : [`certificate ${certificate}`]),
  ].join(' or ');
}
