// Goal: `fleet_keys` takes a public key as text or as a file, and says of everything else what is wrong. What must not happen: a private
// key that a gate takes for a public one, since the copy of the configuration would hold it; a key with two names.
// bounds.fleetLockKeys

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { parseSettings } from '../../../src/domain/config/parse-settings.js';
import { makeSignKey } from '../../../src/domain/records/audit/ledger.js';

const made = makeSignKey();
const files: Readonly<Record<string, string>> = {
  '/etc/dovegate/lock.pub': `${made.key}\n`,
  '/etc/dovegate/lock.pem': made.publicPem,
  '/etc/dovegate/lock.key': made.secretPem,
  '/etc/dovegate/other': 'none',
};
const receiver = 'audit: { ship: [{ nats: "tls://127.0.0.1:4222", host: gate1 }] }';

function read(keys: Readonly<Record<string, string>>, more = receiver) {
  const text = `
version: 1
listeners: { support: { unix: /run/s.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*@example.org"], allow: [quota get] } }
fleet_keys: ${JSON.stringify(keys)}
${more}
`;
  return parseSettings('/etc/dovegate/dovegate.yaml', {
    readText(path) {
      const found = path.endsWith('.yaml') ? text : files[path];
      if (found === undefined) throw new Error('no such file');
      return found;
    },
    glob: () => [],
  });
}
const told = (...given: Parameters<typeof read>): readonly string[] =>
  read(...given).problems.map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

test('a key as text, as a file of base64, and as PEM is the same key', () => {
  const keys = [made.key, 'lock.pub', '/etc/dovegate/lock.pem'].map((security) => read({ security }));
  assert.deepEqual(
    keys.map(({ settings }) => [...(settings?.fleetKeys ?? [])]),
    keys.map(() => [['security', made.key]]),
  );
  // Who may change the file is looked at as for each file of the configuration.
  assert.ok(keys[1]?.files.has('/etc/dovegate/lock.pub'));
  assert.equal(new Set(keys.map(({ settings }) => settings?.hash)).size, 1);
  assert.notEqual(read({ renamed: made.key }).settings?.hash, keys[0]?.settings?.hash);
});

test('what is no public key, twice, too many, or brought by nobody', () => {
  assert.deepEqual(told({ security: 'lock.key' }), [
    'error fleet_keys.security: is a private key, which is for no gate; name the .pub file',
  ]);
  assert.match(told({ security: 'other' }).join(), /^error fleet_keys\.security: is no Ed25519 public key; /);
  assert.match(
    told({ security: 'gone' }).join(),
    /^error fleet_keys\.security: .*cannot be read: no such file/,
  );
  assert.deepEqual(told({ security: made.key, other: 'lock.pub' }), [
    'error fleet_keys.other: is the key of security already',
  ]);
  const many = Object.fromEntries(
    Array.from({ length: bounds.fleetLockKeys + 1 }, (_, at) => [`k${at}`, makeSignKey().key]),
  );
  assert.deepEqual(told(many), [`error fleet_keys: must hold at most ${bounds.fleetLockKeys} keys`]);
  assert.deepEqual(told({ security: made.key }, ''), [
    'warning fleet_keys: has no effect: no receiver of the kind nats in audit.ship brings lines',
  ]);
});
