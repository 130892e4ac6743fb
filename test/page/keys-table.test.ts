// Goal: what ends first comes first, what never ends last; what was not used since the start, or not for 90 days, is marked.
import { test } from 'node:test';
import { KeyUses } from '../../src/gate/login/key-uses.js';
import { keysTable } from '../../src/page/keys-table.js';
import { compareAnswers } from '../kit/plain/approved.js';
import { settingsOf, sound } from '../rules/config/sound.js';

const dayMs = 86_400_000;
const hash = (digit: string): string => `sha256$${digit.repeat(64)}`;

void test('accounts, keys and certificates in the order of their ends', () => {
  const keys = `{ a: { hash: "${hash('a')}", policy: support, from: [192.0.2.0/24] }, b: { hash: "${hash('b')}", policy: support, expires: 2026-06-30 } }`;
  const accounts = '{ panel: { policy: support, certificate_name: panel.example.com } }';
  const web = `  web: { tcp: "0.0.0.0:8443", protocol: http, tls: { certificate: c, key: k, client_ca: ca }, accounts: ${accounts}, keys: ${keys} }\nbackends:`;
  const settings = settingsOf(sound.replace('backends:', web));
  const nowMs = Date.UTC(2026, 0, 2);
  const uses = new KeyUses();
  uses.used('web', 'a', nowMs - 91 * dayMs, '192.0.2.7');
  uses.used('web', 'panel', nowMs - 1000, '2001:db8:0:0::/64');
  uses.refused('web', 'panel', nowMs - 2000, '192.0.2.8');
  const expiries = [
    { role: 'listener', name: 'web', leftMs: 3 * dayMs },
    { role: 'backend', name: 'mail1', leftMs: -dayMs },
  ] as const;
  const used = ['a', 'b', 'panel'].map((name) => ({ listener: 'web', name, ...uses.of('web', name) }));
  const [shown, own] = [expiries.slice(1), expiries.slice(0, 1)];
  const started = new Date(nowMs - 100 * dayMs).toISOString();
  const facts = { atMs: nowMs, certificates: shown, used };
  compareAnswers('test/page/keys-table.txt', [
    [
      'each row',
      () => {
        const { since, rows } = keysTable(settings, facts, own, started);
        return [since, ...rows.map((row) => JSON.stringify(row))].join('\n');
      },
    ],
  ]);
});
