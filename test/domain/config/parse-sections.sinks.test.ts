// Goal: a receiver of records is read completely, and one that could not be served as it was meant is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf, sound, testMistakes } from './sound.js';

void test('every key of a receiver, and what stands for those that are absent', () => {
  const hex = 'ab'.repeat(32);
  const { ship } = settingsOf(`${sound}
audit:
  ship:
    - syslog: "[2001:DB8::1]:6514"
      ca: ca.pem
      server_name: logs.example.com
      key_pins: ["sha256:${hex}"]
      certificate: gate.pem
      key: gate.key
    - syslog: Logs.example.com:601
`).audit;
  assert.deepEqual(
    ship.map(({ place, ...sink }) => [place.line, sink]),
    [
      [
        15,
        {
          name: '[2001:db8::1]:6514',
          host: '2001:db8::1',
          port: 6514,
          caFile: '/etc/dovegate/ca.pem',
          serverName: 'logs.example.com',
          keyPins: [hex],
          client: { certificateFile: '/etc/dovegate/gate.pem', keyFile: '/etc/dovegate/gate.key' },
        },
      ],
      [
        21,
        {
          name: 'logs.example.com:601',
          host: 'logs.example.com',
          port: 601,
          serverName: 'logs.example.com',
          keyPins: [],
        },
      ],
    ],
  );
});

void test('another receiver is another configuration, another line for the same one is not', () => {
  const hashOf = (text: string): string => settingsOf(`${sound}audit: { ship: [${text}] }`).hash;
  const hash = hashOf('{ syslog: "a.example.com:1" }');
  assert.equal(settingsOf(`${sound}audit:\n  ship:\n    - syslog: a.example.com:1\n`).hash, hash);
  assert.notEqual(hashOf('{ syslog: "a.example.com:2" }'), hash);
});

testMistakes([
  [
    'no port',
    'version: 1',
    'audit: { ship: [{ syslog: logs.example.com }] }',
    '1:19: audit.ship[0].syslog: must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514',
  ],
  [
    'a UNIX socket',
    'version: 1',
    'audit: { ship: [{ syslog: "unix:/dev/log" }] }',
    '1:19: audit.ship[0].syslog: must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514',
  ],
  [
    'the same receiver twice',
    'version: 1',
    'audit: { ship: [{ syslog: "logs:1" }, { syslog: "LOGS:1" }] }',
    '1:41: audit.ship[1].syslog: logs:1 gets the records already',
  ],
  [
    'a certificate without its key',
    'version: 1',
    'audit: { ship: [{ syslog: "logs:1", certificate: c.pem }] }',
    '1:37: audit.ship[0].certificate: needs key as well',
  ],
  [
    'a key without its certificate',
    'version: 1',
    'audit: { ship: [{ syslog: "logs:1", key: c.key }] }',
    '1:37: audit.ship[0].key: needs certificate as well',
  ],
  [
    'a pin that is none',
    'version: 1',
    'audit: { ship: [{ syslog: "logs:1", key_pins: ["md5:x"] }] }',
    '1:48: audit.ship[0].key_pins[0]: must be "sha256:" and the SHA-256 of the SubjectPublicKeyInfo in base64 or 64 hex digits',
  ],
  [
    'one receiver where a list is asked for',
    'version: 1',
    'audit: { ship: { syslog: "logs:1" } }',
    '1:10: audit.ship: must be a list of receivers, as [{ syslog: logs.example.com:6514, ca: ca.pem }]',
  ],
]);
