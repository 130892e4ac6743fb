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
          kind: 'syslog',
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
          kind: 'syslog',
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

void test('a stream of NATS: every key, and what stands for those that are absent', () => {
  const { ship } = settingsOf(`${sound}
audit:
  ship:
    - nats: tls://Nats1.example.com:4222, tls://[2001:DB8::1]:4223
      stream: MAIL
      host: mail-gate-3
      credentials: nats.creds
      settle: 0s
      ca: ca.pem
    - nats: tls://nats2:4222
      certificate: gate.pem
      key: gate.key
`).audit;
  assert.deepEqual(
    ship.map(({ place, ...sink }) => [place.line, sink]),
    [
      [
        15,
        {
          kind: 'nats',
          name: 'nats1.example.com:4222',
          servers: [
            { host: 'nats1.example.com', port: 4222 },
            { host: '2001:db8::1', port: 4223 },
          ],
          stream: 'MAIL',
          hostWord: 'mail-gate-3',
          credentialsFile: '/etc/dovegate/nats.creds',
          settleMs: 0,
          caFile: '/etc/dovegate/ca.pem',
        },
      ],
      [
        21,
        {
          kind: 'nats',
          name: 'nats2:4222',
          servers: [{ host: 'nats2', port: 4222 }],
          stream: 'DOVEGATE_AUDIT',
          settleMs: 300_000,
          client: { certificateFile: '/etc/dovegate/gate.pem', keyFile: '/etc/dovegate/gate.key' },
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
  [
    'neither kind',
    'version: 1',
    'audit: { ship: [{ ca: ca.pem }] }',
    '1:17: audit.ship[0]: needs syslog or nats',
  ],
  [
    'both kinds',
    'version: 1',
    'audit: { ship: [{ syslog: "logs:1", nats: "tls://nats:4222" }] }',
    '1:37: audit.ship[0].nats: a receiver is either syslog or nats; write two of them',
  ],
  [
    'a server without TLS',
    'version: 1',
    'audit: { ship: [{ nats: "nats://nats:4222" }] }',
    '1:19: audit.ship[0].nats: nats:// is not encrypted: must be tls://HOST:PORT, several with commas, as tls://nats1.example.com:4222',
  ],
  [
    'a server without port',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1,tls://nats" }] }',
    '1:19: audit.ship[0].nats: must be tls://HOST:PORT, several with commas, as tls://nats1.example.com:4222',
  ],
  [
    'a host of several words',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1", host: mail.example.com }] }',
    '1:38: audit.ship[0].host: must be 1 to 63 letters, digits, dashes and underscores, without a dot, as mail-gate-3',
  ],
  [
    'a stream that is no name',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1", stream: a.b }] }',
    '1:38: audit.ship[0].stream: must be letters, digits, dashes and underscores, as DOVEGATE_AUDIT',
  ],
  [
    'credentials and a certificate',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1", credentials: a, certificate: b, key: c }] }',
    '1:38: audit.ship[0].credentials: a server knows us by credentials or by a certificate; take one of them out',
  ],
  [
    'keys of syslog for nats',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1", server_name: a, key_pins: [] }] }',
    '1:38: audit.ship[0].server_name: is not for a receiver of the kind nats; take it out',
    '1:54: audit.ship[0].key_pins: is not for a receiver of the kind nats; take it out',
  ],
  [
    'keys of nats for syslog',
    'version: 1',
    'audit: { ship: [{ syslog: "a:1", settle: 5m }] }',
    '1:34: audit.ship[0].settle: is not for a receiver of the kind syslog; take it out',
  ],
  [
    'a time without unit',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1", settle: 5 }] }',
    '1:38: audit.ship[0].settle: must be a duration with its unit, as 500ms, 5s, 10m or 7d',
  ],
  [
    'the same first server twice',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1" }, { nats: "tls://A:1,tls://b:1" }] }',
    '1:42: audit.ship[1].nats: a:1 gets the records already',
  ],
  [
    'the name of the verifier',
    'version: 1',
    'audit: { ship: [{ nats: "tls://a:1", host: verifier }] }',
    '1:38: audit.ship[0].host: "verifier" is the name of who reads all of them; take another one',
  ],
]);
